"""Agents without executors, a hundred in a process: what a thousand machines ask of Redis, from one.

A simulated agent has the core, the wire and the link of a real one, so Redis cannot tell it from one. What
would run in executors is answered here: an iteration with the variables `i` and `seconds` has the value `i`
after so many seconds. Processes of such agents are started by `benchmarks.scale`.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import itertools
import mmap
import os
import secrets
import selectors
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pydoredis._version import __version__
from pydoredis.protocol.keys import QueueKeys, format_begin
from pydoredis.protocol.presence import Presence
from pydoredis.protocol.python import decode_task, encode_result
from pydoredis.settings import ConnectionSettings, WorkerSettings
from pydoredis.store.agent import AgentWire
from pydoredis.worker.core import WorkerCore, events, instructions
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.engines import selection
from pydoredis.worker.exchange import Exchange
from pydoredis.worker.link import Link
from pydoredis.worker.signals import Wakeup
from pydoredis.worker.surroundings import Outlook

PER_PROCESS = 100
"""Agents in one process. All of them die when it is killed."""

LEAST_S = 3e-5
"""How long an iteration takes at least, as agents are told: an executor needs so long for an empty one."""

_COUNT = struct.Struct("q")


class SimulatedExecutors:
    """The executors of one agent, which answer each task after the time that it names.

    Args:
        ran: Called for each task that is begun.
    """

    def __init__(self, ran: Callable[[], None]) -> None:
        self._ran = ran
        self._pipes: dict[int, deque[Lease]] = {}
        self._ends: dict[int, tuple[float, events.Finished]] = {}  # of the tasks that run

    @property
    def due_s(self) -> float:
        """When (monotonic) the next task ends; infinity if none runs."""
        return min((end_s for end_s, _ in self._ends.values()), default=float("inf"))

    def carry_out(self, instruction: instructions.Instruction, now_s: float) -> list[events.Event]:
        """Do what the core wants of executors; returns what it is to be told of that."""
        match instruction:
            case instructions.Hire(executor):
                self._pipes[executor] = deque()
                return [events.Hired(executor, os.getpid()), events.Ready(executor, "simulated")]
            case instructions.Hand(executor, lease):
                self._pipes[executor].append(lease)
                self._begin(executor, now_s)
            case instructions.Recall(executor):
                pipe = self._pipes[executor]
                waiting = [pipe.pop().number for _ in range(len(pipe) - 1)]
                return [events.Recalled(executor, waiting[::-1])]
            case instructions.Look(executor):
                return [events.Place(executor, now_s)]
            case instructions.Kill(executor) | instructions.Dismiss(executor):
                del self._pipes[executor]
                self._ends.pop(executor, None)
                return [events.Died(executor, "was told to end", None, 0, "")]
        return []

    def collect(self, now_s: float) -> list[events.Event]:
        """The tasks that have ended since the last call."""
        happened: list[events.Event] = []
        for executor, (end_s, finished) in list(self._ends.items()):
            if now_s >= end_s:
                happened.append(finished)
                del self._ends[executor]
                self._pipes[executor].popleft()
                self._begin(executor, now_s)
        return happened

    def _begin(self, executor: int, now_s: float) -> None:
        """Begin the first task in a pipe, if none runs there."""
        pipe = self._pipes[executor]
        if executor in self._ends or not pipe:
            return
        self._ran()
        numbers, arguments = decode_task(bytes(pipe[0].task.payload))
        seconds = sum(named["seconds"] for _, named in arguments)
        result = encode_result(numbers, [("ok", named["i"]) for _, named in arguments])
        told_s = max(seconds, LEAST_S * len(numbers))
        finished = events.Finished(executor, pipe[0].number, told_s, result)
        self._ends[executor] = now_s + seconds, finished


class SimulatedAgent:
    """A real core and a real link, with simulated executors.

    Args:
        host: Its machine's name. No two agents may have the same: tags of tasks would be the same, too.
        connection: Which Redis.
        settings: How to behave.
        selector: That of the process.
        wake: Ends the wait of that selector, from any thread.
        ran: Called for each task that is begun.
    """

    def __init__(
        self,
        host: str,
        connection: ConnectionSettings,
        settings: WorkerSettings,
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        ran: Callable[[], None],
    ) -> None:
        served = selection.Selection("cloudpickle", "rscript").result()
        presence = Presence(
            *(secrets.token_hex(8), host, os.getpid(), settings.workers),
            *(served.codecs, served.python, served.r_version, __version__),
        )
        queues = [QueueKeys(name) for name in settings.queues]
        wire = AgentWire(presence.id, host, selection.lists(queues, served.codecs))
        self._core = WorkerCore(
            *(settings, queues, presence, served.refusal, connection.safe_url),
            lambda: format_begin(datetime.now()),
            Outlook(),
        )
        self._executors = SimulatedExecutors(ran)
        self.link = Link(connection, wire.scripts(), selector, wake)
        self._exchange = Exchange(wire, self.link)

    @property
    def due_s(self) -> float:
        """When (monotonic) to call `proceed`, whatever happens until then."""
        return min(self._core.due_s(time.monotonic()), self.link.due_s, self._executors.due_s)

    def start(self) -> None:
        """Begin."""
        self._carry_out(self._core.start(time.monotonic()))

    def proceed(self, mask: int = 0) -> None:
        """Take note of what has happened, and do what follows; `mask`: what the selector says of the link."""
        heard = self.link.ready(mask) if mask else []
        heard += self.link.tick(time.monotonic())
        happened = [*map(self._exchange.translated, heard)]
        happened += self._executors.collect(time.monotonic())
        self._carry_out(self._core.receive(happened, time.monotonic()))

    def _carry_out(self, todo: Sequence[instructions.Instruction]) -> None:
        """Do what the core says, and what follows from that at once."""
        while todo:
            happened: list[events.Event] = []
            for instruction in todo:
                if isinstance(instruction, instructions.Ask):
                    self._exchange.ask(instruction.request, instruction.commands)
                else:
                    happened += self._executors.carry_out(instruction, time.monotonic())
            happened += self._executors.collect(time.monotonic())
            todo = self._core.receive(happened, time.monotonic()) if happened else ()


def serve(url: str, queue: str, agents: int, executors: int, tally: Path) -> None:
    """Be so many agents, until nobody holds the other end of our standard input any more."""
    with tally.open("r+b") as file:
        count = mmap.mmap(file.fileno(), _COUNT.size)
    numbers = itertools.count(1)

    def ran() -> None:
        _COUNT.pack_into(count, 0, next(numbers))

    selector = selectors.DefaultSelector()
    wakeup = Wakeup(selector)
    selector.register(sys.stdin, selectors.EVENT_READ, sys.stdin)
    settings = WorkerSettings(queues=(queue,), workers=executors, codec="cloudpickle", linger_s=3600)
    by_link: dict[object, SimulatedAgent] = {}
    for number in range(agents):
        host = f"simulated-{os.getpid()}-{number}"
        agent = SimulatedAgent(host, ConnectionSettings(url), settings, selector, wakeup.wake, ran)
        by_link[agent.link] = agent
        agent.start()
    # An agent is asked when it is due only after it was called: to ask a hundred at each turn takes too long.
    due = dict.fromkeys(by_link.values(), 0.0)
    order = [(0.0, number, agent) for number, agent in enumerate(by_link.values())]
    heapq.heapify(order)
    turns = itertools.count(len(order))
    while True:
        ready: dict[SimulatedAgent, int] = {}
        for key, mask in selector.select(max(0.0, order[0][0] - time.monotonic())):
            if key.data is sys.stdin:
                return
            if key.data is wakeup:
                wakeup.clear()
                ready.update(dict.fromkeys(set(by_link.values()) - set(ready), 0))
            else:
                ready[by_link[key.data]] = mask
        now_s = time.monotonic()
        while order[0][0] <= now_s:
            due_s, _, agent = heapq.heappop(order)
            if due_s == due[agent]:  # else it has changed since
                ready.setdefault(agent, 0)
            if not order:
                break
        for agent, mask in ready.items():
            agent.proceed(mask)
            due[agent] = min(agent.due_s, now_s + 3600)
            heapq.heappush(order, (due[agent], next(turns), agent))


class SimulatedPool:
    """Simulated agents in processes of their own.

    Args:
        url: Which Redis.
        queue: Its name.
        agents: How many there are to be.
        executors: How many each of them has.

    Attributes:
        sizes: How many agents are in each process; there are two processes at least.
    """

    def __init__(self, url: str, queue: str, agents: int, executors: int) -> None:
        number = max(2, -(-agents // PER_PROCESS))
        self.sizes = [agents // number + (place < agents % number) for place in range(number)]
        self._folder = tempfile.TemporaryDirectory(prefix="pydoredis-scale-")
        self._tallies = [Path(self._folder.name) / str(place) for place in range(number)]
        self.processes: list[subprocess.Popen[bytes]] = []
        for size, tally in zip(self.sizes, self._tallies, strict=True):
            tally.write_bytes(_COUNT.pack(0))
            words = (url, queue, str(size), str(executors), str(tally))
            command = [sys.executable, "-m", "benchmarks.simulated_agents", *words]
            self.processes.append(subprocess.Popen(command, stdin=subprocess.PIPE))

    @property
    def begun(self) -> int:
        """How many tasks executors have begun, those included that died with their process."""
        return sum(_COUNT.unpack(tally.read_bytes())[0] for tally in self._tallies)

    def kill(self, place: int) -> None:
        """End a process, at once, with all of its agents."""
        self.processes[place].kill()
        self.processes[place].wait()

    def close(self) -> None:
        """End them all."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            with process:  # closes its pipe
                process.wait()
        self._folder.cleanup()


@contextlib.contextmanager
def simulated_agents(url: str, queue: str, agents: int, executors: int) -> Iterator[SimulatedPool]:
    """A `SimulatedPool` for as long as the block lasts."""
    with contextlib.closing(SimulatedPool(url, queue, agents, executors)) as pool:
        yield pool


def main() -> None:
    """Be one process of a `SimulatedPool`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("queue")
    parser.add_argument("agents", type=int)
    parser.add_argument("executors", type=int)
    parser.add_argument("tally", type=Path, help="file in which the number of tasks stands that were begun")
    options = parser.parse_args()
    serve(options.url, options.queue, options.agents, options.executors, options.tally)


if __name__ == "__main__":
    main()
