"""An agent: the real core and its encoding of commands, with executors that answer when they are told to."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from pydoredis.protocol.agent_commands import RefusedError
from pydoredis.protocol.messages import JobEnvironment
from pydoredis.protocol.presence import Presence
from pydoredis.settings import WorkerSettings
from pydoredis.store.agent import AgentWire
from pydoredis.worker.core import WorkerCore, events, instructions
from pydoredis.worker.core.lease import Lease, State
from tests.model.jobs import QUEUE, Job
from tests.model.server import Words

FINISHED_S = 0.0001
"""How long each task takes: so little that others are fetched ahead."""

Action = tuple[Any, ...]
"""What happens to an agent: a name, and what belongs to it."""


class Begin:
    """Tells the time for tags. It stands still, but for pauses, so that the same tag comes again."""

    def __init__(self) -> None:
        self.second = 0

    def __call__(self) -> str:
        return f"2026-11-29-04:00:{self.second:02d}"


def no_refusal(environment: JobEnvironment) -> str | None:
    """Every job can be run."""
    return None


class Agent:
    """One agent with one executor.

    Attributes:
        name: Its ID and its host.
        core: Its core.
        now_s: Its clock.
        pipes: By executor: the tasks in its pipe.
        unready: Executors that are starting.
        words: The request that is under way, as Redis commands.
        replies: Those that have come so far.
        serving: Whether it takes tasks.
        stopped: Whether it has ended.
        deaths: Deaths of executors that were to be counted.
    """

    def __init__(self, name: str, job: Job, *, max_crashes: int) -> None:
        settings = WorkerSettings(queues=(QUEUE.queue,), workers=1, codec=job.codec, max_crashes=max_crashes)
        self.name = name
        self.job = job
        self.now_s = 1000.0
        self.begin = Begin()
        presence = Presence(name, name, 1, 1, (job.codec,), "3.11.7", "", "1.0")
        self.core = WorkerCore(settings, [QUEUE], presence, no_refusal, "redis://server", self.begin)
        lists = (
            {QUEUE.python: QUEUE, QUEUE.queue: QUEUE} if job.codec == "cloudpickle" else {QUEUE.queue: QUEUE}
        )
        self.wire = AgentWire(name, name, lists)
        self.pipes: dict[int, list[Lease]] = {}
        self.unready: list[int] = []
        self.asked: instructions.Ask | None = None
        self.words: tuple[Words, ...] = ()
        self.replies: tuple[Any, ...] = ()
        self.connected = self.serving = self.stopped = False
        self.deaths = 0
        self._carry_out(self.core.start(self.now_s))

    # --- what is seen from outside ------------------------------------------------------------------------

    @property
    def next_words(self) -> Words | None:
        """The next command that is to be carried out."""
        return (
            self.words[len(self.replies)] if self.connected and len(self.replies) < len(self.words) else None
        )

    @property
    def answered(self) -> bool:
        """Whether all commands of a request were carried out."""
        return bool(self.words) and len(self.replies) == len(self.words)

    @property
    def stopping(self) -> bool:
        """Whether it takes no more tasks."""
        return self.core._shutdown.begun

    @property
    def due(self) -> bool:
        """Whether anything will happen by the mere passing of time."""
        return self.core.due_s(self.now_s) < float("inf")

    def leases(self) -> Iterable[Lease]:
        """The tasks that it holds."""
        return iter(self.core.shelves)

    # --- what happens -------------------------------------------------------------------------------------

    def happen(self, action: Action) -> None:
        """Something happens to it."""
        getattr(self, f"_{action[0]}")(*action[1:])

    def _executed(self, reply: Any) -> None:
        self.replies = (*self.replies, reply)

    def _replied(self) -> None:
        assert self.asked is not None
        asked, self.asked = self.asked, None
        replies, self.words, self.replies = self.replies, (), ()
        said: list[object] = []
        for command, reply in zip(asked.commands, replies, strict=True):
            try:
                said.append(self.wire.decode(command, [reply]))
            except RefusedError as error:
                said.append(error)
        self._tell(events.Replied(asked.request, said))

    def _told(self, keys: Sequence[str]) -> None:
        self._tell(events.Changed(keys))

    def _lost(self) -> None:
        self.connected, self.words, self.replies = False, (), ()
        self._tell(events.Lost("connection reset"))

    def _connect(self, run: int) -> None:
        self.connected = True
        self._tell(events.Connected(f"run {run}", tracking=True))

    def _ready(self, executor: int) -> None:
        self.unready.remove(executor)
        self._tell(events.Ready(executor, "engine"))

    def _finish(self, executor: int) -> None:
        lease = self.pipes[executor].pop(0)
        result = self.job.result(lease.task.iterations, lease.verdicts)
        self._tell(events.Finished(executor, lease.number, FINISHED_S, result))

    def _die(self, executor: int, index: int) -> None:
        """It dies on an iteration of its first task; those before were finished."""
        lease = self.pipes.pop(executor)[0]
        done = lease.finished
        if index > done:
            self._tell(events.Partly(executor, lease.number, index, b"part"))
        self.deaths += 1
        iteration = lease.task.iterations[max(index, done)]
        self._tell(events.Died(executor, "killed by SIGSEGV", iteration, -11, ""))

    def _interrupt(self, executor: int) -> None:
        lease = self.pipes[executor].pop(0)
        self.deaths += 1
        self._tell(events.Interrupted(executor, lease.number, lease.finished))

    def _tick(self) -> None:
        self.now_s = max(self.now_s, self.core.due_s(self.now_s))
        self._tell()

    def _pause(self, seconds: int) -> None:
        self.now_s += seconds
        self.begin.second += 1

    def _signal(self) -> None:
        self._tell(events.Signalled(15))

    # --- what it does -------------------------------------------------------------------------------------

    def _tell(self, *happened: events.Event) -> None:
        self._carry_out(self.core.receive(happened, self.now_s))

    def _carry_out(self, todo: Sequence[instructions.Instruction]) -> None:
        pending = deque(todo)
        while pending:
            follows: list[events.Event] = []
            match pending.popleft():
                case instructions.Hire(executor):
                    self.pipes[executor] = []
                    self.unready.append(executor)
                    follows.append(events.Hired(executor, 100 + executor))
                case instructions.Hand(executor, lease):
                    self.pipes[executor].append(lease)
                case instructions.Recall(executor):
                    back = self.pipes[executor][1:]
                    del self.pipes[executor][1:]
                    follows.append(events.Recalled(executor, [lease.number for lease in back]))
                case instructions.Interrupt(executor):
                    lease = self.pipes[executor].pop(0)
                    follows.append(events.Interrupted(executor, lease.number, lease.finished))
                case instructions.Kill(executor, reason):
                    del self.pipes[executor]
                    self.unready = [each for each in self.unready if each != executor]
                    follows.append(events.Died(executor, reason, None, -9, ""))
                case instructions.Dismiss(executor):
                    del self.pipes[executor]
                    follows.append(events.Died(executor, "exited", None, 0, ""))
                case instructions.Ask() as ask:
                    self.asked, self.replies = ask, ()
                    # Without what has the server watch keys: worlds know what is watched.
                    self.words = tuple(_plain(self.wire.encode(c)[-1]) for c in ask.commands)
                case instructions.Reconnect():
                    follows.append(events.Lost("given up"))
                    self.connected, self.words, self.replies = False, (), ()
                case instructions.Serving():
                    self.serving = True
                case instructions.Stop():
                    self.stopped = True
                case instructions.Forget():
                    pass
                case instructions.Log(level):
                    assert level < logging.CRITICAL
                case other:
                    raise AssertionError(f"not expected here: {other}")
            if follows:
                pending += self.core.receive(follows, self.now_s)


def _plain(words: Sequence[Any]) -> Words:
    """A command as a value that stays as it is."""
    return tuple(bytes(word) if isinstance(word, (bytearray, memoryview)) else word for word in words)


def uncounted(agent: Agent) -> int:
    """Deaths that the agent has still to count."""
    return sum(1 for lease in agent.leases() if lease.state is State.FALLEN)
