"""Where the time of a task goes: processor time per task of agent, executors and Redis; idle use; growth.

    python -m benchmarks.breakdown [--tasks 20000] [--batches 5] [--idle 20]

Needs R with doRedis (for the messages of a no-op job) and Linux. One run, rpy2, two executors.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from benchmarks.pools import our_workers
from benchmarks.rjobs import feed, prepared
from pydoredis.server import EmbeddedServer
from tests.peers.processes import descendants

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def server_s(client: redis.Redis) -> float:
    """Seconds of processor time that the server has used."""
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tasks", type=int, default=20_000, help="tasks of a batch")
    arguments.add_argument("--batches", type=int, default=5, help="batches between the two looks at memory")
    arguments.add_argument("--idle", type=float, default=20, help="seconds to look at an idle worker")
    options = arguments.parse_args()
    with EmbeddedServer(password="") as server, redis.Redis(port=server.port) as client:
        material = prepared(client, server.port)
        with our_workers(server.port, 2, "rpy2") as (agent,):
            pids = [agent.pid, *descendants(agent.pid)]
            before = [processor_s(pid) for pid in pids]
            time.sleep(options.idle)
            idle = [processor_s(pid) - s for pid, s in zip(pids, before, strict=True)]
            feed(client, material, 2000)
            memory = [resident_mb(pid) for pid in pids]
            before, server_before = [processor_s(pid) for pid in pids], server_s(client)
            seconds = feed(client, material, options.tasks)
            busy = [processor_s(pid) - s for pid, s in zip(pids, before, strict=True)]
            server_busy = server_s(client) - server_before
            for _ in range(options.batches - 1):
                feed(client, material, options.tasks)
            grown = [resident_mb(pid) for pid in pids]
    table = Table(title=f"{options.tasks / seconds:,.0f} tasks/s, two rpy2 executors")
    for column in ("process", "µs/task", "idle, % of a core", "MB before", f"MB after {options.batches}x"):
        table.add_column(column, justify="left" if column == "process" else "right")
    names = ["agent", *(f"executor {n}" for n in range(1, len(pids)))]
    for name, used, rest, was, now in zip(names, busy, idle, memory, grown, strict=True):
        row = (f"{used / options.tasks * 1e6:.1f}", f"{rest / options.idle * 100:.2f}")
        table.add_row(name, *row, f"{was:.0f}", f"{now:.0f}")
    table.add_row("Redis, with the feeding", f"{server_busy / options.tasks * 1e6:.1f}", "", "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
