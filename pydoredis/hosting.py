"""Loops inside of bodies: what a worker process tells the coordinators that bodies begin in it.

An executor is a `Host`: it knows where the running task comes from, so that loops in its body go there, too;
and it tells its agent when that body waits, so that somebody else may be at work meanwhile.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from pydoredis.errors import LocalProtocolError


@dataclass(frozen=True)
class Here:
    """Where a task comes from.

    Attributes:
        url: Address of the server, with its password; empty where bodies may run no loops.
        tag: See `ConnectionSettings`.
        queue: The queue.
        depth: In how many bodies the loop is of which it is a task.
        nesting: How deep loops may be on this machine.
        agent: The agent that has it.
        codecs: Languages of bodies that this agent serves.
    """

    url: str
    tag: str
    queue: str
    depth: int
    nesting: int
    agent: str
    codecs: Sequence[str]

    def encode(self) -> bytes:
        """As bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Here:
        """From bytes."""
        return cls(**json.loads(data))

    def __repr__(self) -> str:
        return f"Here({self.queue!r}, depth={self.depth}, nesting={self.nesting})"  # without the password


class News(NamedTuple):
    """What an agent is told about loops inside of the running body.

    Attributes:
        queue, job: A job on one of the agent's queues; empty if it is about the body.
        begins: Whether it is about to begin, or has ended.
        waits: Whether the body waits, or is at work again.
    """

    queue: str = ""
    job: str = ""
    begins: bool = False
    waits: bool = False


class Host:
    """A process that runs bodies, as loops in these see it. For any threads.

    Args:
        tell: Tells the agent something about a loop.
        task: The number of the running task.
    """

    def __init__(self, tell: Callable[[News], None], task: Callable[[], int]) -> None:
        self._tell = tell
        self._task = task
        self._told = b""
        self._here: Here | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: set[object] = set()
        self._waiting_in = 0  # the task of which the body waits

    def moved(self, told: bytes) -> None:
        """The next tasks come from here (`Here`)."""
        self._told, self._here = told, None

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that runs bodies; a child that one of them has forked is not."""
        return os.getpid() == self._pid

    @property
    def here(self) -> Here | None:
        """Where the running task comes from; None before the first one."""
        if self._here is None and self._told:
            self._here = Here.decode(self._told)
        return self._here

    def depth_of_loops(self) -> int:
        """In how many bodies loops are that the running body begins.

        Raises:
            LocalProtocolError: If that is deeper than loops may be here.
        """
        here = self.here
        if here is None:
            return 0
        if here.depth >= here.nesting:
            raise LocalProtocolError(
                f"loops inside of bodies go {here.nesting} deep on these workers, and this one would be "
                f"{here.depth + 1} deep: run it here with `do`, or start the workers with "
                f"`--nesting {here.depth + 1}`"
            )
        return here.depth + 1

    def begins(self, queue: str, job: str) -> None:
        """A job on one of the agent's queues is about to begin: it ends with the body, in any case."""
        self._tell(News(queue, job, True))

    def ended(self, queue: str, job: str) -> None:
        """It has ended."""
        self._tell(News(queue, job, False))

    def waits(self, who: object) -> None:
        """The running body waits, for all that `who` knows."""
        with self._lock:
            if self._waiting_in != self._task():  # what was said of an earlier one ended with it
                self._waiting, self._waiting_in = set(), self._task()
            if not self._waiting:
                self._tell(News(waits=True))
            self._waiting.add(who)

    def goes_on(self, who: object) -> None:
        """It does not, as far as `who` is concerned."""
        with self._lock:
            if who in self._waiting:
                self._waiting.remove(who)
                if not self._waiting and self._waiting_in == self._task():
                    self._tell(News(waits=False))


_host: Host | None = None


def use(host: Host) -> None:
    """This process runs bodies."""
    global _host
    _host = host


def current() -> Host | None:
    """What runs bodies in this process, if it does."""
    return _host if _host is not None and _host.is_ours else None
