"""R's coordinator and R's worker, as models of what doRedis 3.0.2 was seen to do (protocol 4 and 5).

Each is a value; a step of it is one command. An R worker's taking and marking a task is one step where an R
coordinator is there: what happens in the millisecond between (protocol 12.7) costs it its loop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydoredis.protocol import wire
from pydoredis.protocol.keys import TaskTag
from pydoredis.protocol.python import DECLINED
from rinterop import dumps, values
from tests.model.jobs import JOB, NO_ITERATIONS, QUEUE, Job
from tests.model.server import Words

_START = QUEUE.start(JOB, "").encode()
_ALIVE = QUEUE.alive(JOB, "").encode()


class RCoordinator(NamedTuple):
    """R's coordinator.

    Attributes:
        phase: What it does next: "wait" for results, or the next command of its check (protocol, section 4).
        received: Blocks of the result messages so far, in their order.
        values: By iteration.
        started: Tags with a start key, as the check found them.
        dead: Those of them without an alive key.
        unsent: Messages that are to be submitted again.
    """

    phase: str = "wait"
    received: tuple[tuple[int, ...], ...] = ()
    values: tuple[tuple[int, object], ...] = ()
    started: tuple[bytes, ...] = ()
    dead: tuple[bytes, ...] = ()
    unsent: tuple[bytes, ...] = ()

    @property
    def checking(self) -> bool:
        """Whether a check is under way."""
        return self.phase not in ("wait", "remove env", "remove out", "closed", "failed")

    def words(self) -> Words | None:
        """Its next command, if there is one; it waits for a result with RPOP."""
        match self.phase:
            case "wait":
                return "RPOP", QUEUE.out(JOB)
            case "started":
                return "KEYS", QUEUE.start(JOB, "").removesuffix(".") + "*"
            case "alive":
                return "KEYS", QUEUE.alive(JOB, "").removesuffix(".") + "*"
            case "read":
                return ("MGET", *(_START + tag for tag in self.dead))
            case "take":
                return ("DEL", *(_START + tag for tag in self.dead))
            case "submit" | "submit lost":
                return "RPUSH", QUEUE.queue, self.unsent[0]
            case "length":
                return "LLEN", QUEUE.queue
            case "remove env":
                return "DEL", QUEUE.env(JOB)
            case "remove out":
                return "DEL", QUEUE.out(JOB)
        return None

    def heard(self, job: Job, reply: Any) -> RCoordinator:
        """Its state after the reply to that command."""
        match self.phase:
            case "wait":
                return self if reply is None else self._received(job, reply)
            case "started":
                tags = tuple(sorted(key.removeprefix(_START) for key in reply))
                return self._replace(phase="alive", started=tags)
            case "alive":
                alive = {key.removeprefix(_ALIVE) for key in reply}
                dead = tuple(tag for tag in self.started if tag not in alive)
                return self._replace(phase="read" if dead else "length", dead=dead)
            case "read":
                return self._replace(phase="take", unsent=tuple(_again(job, value) for value in reply))
            case "take":
                return self._replace(phase="submit", dead=())
            case "submit":
                return self._sent("length")
            case "length":
                return self._look_for_lost(job, reply)
            case "submit lost":
                return self._sent("wait")
            case "remove env":
                return self._replace(phase="remove out")
            case "remove out":
                return self._replace(phase="closed")
        raise AssertionError(self.phase)

    def _received(self, job: Job, message: bytes) -> RCoordinator:
        found = job.read(message)
        received = (*self.received, tuple(found))
        values_ = tuple(sorted({**dict(self.values), **found}.items()))
        done = len(received) == job.tasks
        return self._replace(phase="remove env" if done else "wait", received=received, values=values_)

    def _sent(self, then: str) -> RCoordinator:
        unsent = self.unsent[1:]
        return self._replace(phase=self.phase if unsent else then, unsent=unsent)

    def _look_for_lost(self, job: Job, length: int) -> RCoordinator:
        started, idle = self.started, self._replace(phase="wait", started=())
        if length or started:
            return idle
        if job.chunk_size > 1:
            return idle._replace(phase="failed")  # protocol 12.4
        lost = tuple(payload for block, payload in job.payloads.items() if block not in self.received)
        return idle._replace(phase="submit lost", unsent=lost) if lost else idle


def _again(job: Job, start: bytes | None) -> bytes:
    """The task that it makes of the value of a start key."""
    if start is None:
        return NO_ITERATIONS
    for block, payload in job.payloads.items():
        if wire.encode_start(block) == start:
            return payload
    raise AssertionError(f"no start key of ours: {start!r}")


class RWorker(NamedTuple):
    """R's worker.

    Attributes:
        phase: "idle", "popped" (it has a task, and has not marked it), "running", "pushed" (its start key is
            to be deleted), "dead".
        payload: The task.
    """

    phase: str = "idle"
    payload: bytes = b""

    def commands(self) -> list[Words]:
        """What its next step sends, once it has a task."""
        task = wire.decode_task(self.payload)
        if not task.iterations:
            return []
        tag = str(TaskTag(task.first, task.last, "r", 1, "2026-11-29-04:00:00"))
        start, alive = QUEUE.start(JOB, tag), QUEUE.alive(JOB, tag)
        if self.phase == "popped":
            return [("SET", alive, "OK", "EX", 10), ("SET", start, wire.encode_start(task.iterations))]
        return [("DEL", start)]

    def result(self, job: Job) -> Words:
        """Its answer. To a task of Python's it says that it is for others."""
        task = wire.decode_task(self.payload)
        if job.codec == "r":
            message = job.result(task.iterations, {})
        else:
            message = dumps(
                values.named_list([(str(i), values.character(DECLINED)) for i in task.iterations])
            )
        return "LPUSH", QUEUE.out(JOB), message
