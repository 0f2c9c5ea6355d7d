"""Many workers on one Redis: what they cost it at rest, per task, and what happens when a hundred are killed.

    python -m benchmarks.scale [--real 1 30] [--simulated 30 300 1000] [--executors 2] [--tasks 4000]
                               [--idle 15] [--no-kill] [--quick]

Real agents are `pydoredis worker` processes; simulated ones speak to Redis as these do, a hundred in a
process (`benchmarks.simulated_agents`). Each pool has a Redis server of its own. Values of all loops are
checked. Simulated agents use more of the machine than Redis does: where there are many, the times are theirs,
but the processor time of Redis is not. Whoever may do so (root) has the system prefer Redis to them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.pools import QUEUE, end
from benchmarks.scale_figures import Figures, Options, Scene, used_bytes
from benchmarks.simulated_agents import simulated_agents
from tests.peers.processes import descendants
from tests.redis_process import RedisProcess

START_TIMEOUT_S = 180.0


# --- pools --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def preferred_server() -> Iterator[RedisProcess]:
    """A server that need not wait for the processor while agents use it: theirs are other machines."""
    with RedisProcess() as server:
        assert server.process is not None
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, server.process.pid, -10)
        yield server


@contextlib.contextmanager
def real_agents(url: str, agents: int, executors: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many `pydoredis worker` processes."""
    command = [
        *(sys.executable, "-m", "pydoredis", "worker", "--queue", QUEUE, "--codec", "cloudpickle"),
        *("--url", url, "--workers", str(executors), "--loglevel", "WARNING"),
    ]
    processes = [subprocess.Popen(command) for _ in range(agents)]
    try:
        yield processes
    finally:
        end(processes, 60)


def memory(agent: int) -> Figures:
    """Of an agent and of one of its executors; memory that processes share counts for each in part (PSS)."""
    executor = next(iter(descendants(agent)))
    return {
        f"real {name}: MB {what}": f"{_kept_mb(pid, kind):.1f}"
        for name, pid in (("agent", agent), ("executor", executor))
        for what, kind in (("resident", "Rss"), ("of its own (PSS)", "Pss"))
    }


def _kept_mb(pid: int, kind: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024


def real(agents: int, options: Options) -> Figures:
    """Figures of a pool of real agents."""
    with preferred_server() as server, server.client() as client:
        idle_bytes = used_bytes(client)
        with real_agents(server.url, agents, options.executors) as processes:
            scene = Scene(server, agents, options)
            scene.await_count(agents * options.executors, START_TIMEOUT_S)
            return {**scene.measured(idle_bytes), **scene.large_results(), **memory(processes[0].pid)}


def simulated(agents: int, options: Options, *, kill: bool) -> tuple[Figures, Figures]:
    """Figures of a pool of simulated agents; and of one of which a part is killed, if that is wanted."""
    with preferred_server() as server, server.client() as client:
        idle_bytes = used_bytes(client)
        with simulated_agents(server.url, QUEUE, agents, options.executors) as pool:
            scene = Scene(server, agents, options)
            scene.await_count(agents * options.executors, START_TIMEOUT_S)
            return scene.measured(idle_bytes), scene.killed(pool) if kill else {}


# --- the tables ---------------------------------------------------------------------------------------------


def main() -> int:
    """Print the tables."""
    options = parsed()
    logging.getLogger("pydoredis").setLevel(logging.ERROR)  # a line for each task that was lost in the kill
    columns: dict[str, Figures] = {}
    for agents in options.real:
        say(f"{agents:,} real agents")
        columns[f"{agents:,} real"] = real(agents, options)
    of_kill: Figures = {}
    for agents in options.simulated:
        say(f"{agents:,} simulated agents")
        is_last = agents == options.simulated[-1]
        columns[f"{agents:,} simulated"], of_kill = simulated(
            agents, options, kill=is_last and not options.no_kill
        )
    table = Table(title=f"Agents on one Redis, {options.executors} executors each", title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for row in dict.fromkeys(row for figures in columns.values() for row in figures):
        table.add_row(row, *(figures.get(row, "") for figures in columns.values()))
    console = Console(width=130)
    console.print(table)
    if of_kill:
        table = Table(
            title="Some are killed in the middle of a loop", title_justify="left", show_header=False
        )
        for item in of_kill.items():
            table.add_row(*item)
        console.print(table)
        columns["with a kill"] = of_kill
    handed = report.Figures()
    for name, figures in columns.items():
        for row, text in figures.items():
            handed.add(f"{row}: {name}", float(text.replace(",", "")), "as named")
    handed.write(options.json)
    return 0


def parsed() -> Options:
    """The command line."""
    parser = report.parser(__doc__)
    parser.add_argument("--real", type=int, nargs="*", default=[1, 30], help="numbers of real agents")
    parser.add_argument("--simulated", type=int, nargs="*", default=[30, 300, 1000], help="of simulated ones")
    parser.add_argument("--executors", type=int, default=2, help="of each agent")
    parser.add_argument("--tasks", type=int, default=4000, help="tasks of one iteration in a loop")
    parser.add_argument("--lone", type=int, default=50, help="lone tasks, and lone loops, at most")
    parser.add_argument("--idle", type=float, default=15, help="seconds at rest; each agent sweeps in 15 s")
    parser.add_argument("--no-kill", action="store_true", help="kill nobody")
    parser.add_argument("--quick", action="store_true", help="a few simulated agents, a few tasks")
    options = parser.parse_args(namespace=Options())
    if options.quick:
        options.real, options.simulated = [], [4]
        options.tasks, options.lone, options.idle = 50, 3, 0.5
    return options


def say(what: str) -> None:
    """Tell how far it is."""
    print(f"{what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
