"""A task that an agent has taken, under the names that its marks have in Redis."""

from __future__ import annotations

from dataclasses import dataclass

from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys, block_name
from pydoredis.protocol.messages import Task


@dataclass(eq=False)
class Claim:
    """A task that was taken and marked by an agent.

    Attributes:
        keys: The queue that it was taken from.
        task: The task.
        tag: Its tag (`TaskTag`), which names the agent's machine.
        name: Tells this claim from all others of all agents: a tag comes again when a task is taken twice in
            a second.
        lapsed: Whether its alive key was ever found missing: then it may have been resubmitted.
        ours: Whether a Python coordinator submitted it.
        cancelled: Whether its job was cancelled.
    """

    keys: QueueKeys
    task: Task
    tag: str
    name: str
    lapsed: bool = False
    ours: bool = False
    cancelled: bool = False

    @property
    def block(self) -> str:
        """Name of its run of iterations."""
        return block_name(self.task.first, self.task.last)

    @property
    def env(self) -> str:
        """Key of the job's environment."""
        return self.keys.env(self.task.job)

    @property
    def out(self) -> str:
        """Key of the job's list of results."""
        return self.keys.out(self.task.job)

    @property
    def published(self) -> str:
        """Key of the record of the job's published blocks."""
        return self.keys.published(self.task.job)

    @property
    def given(self) -> str:
        """Key that says the task was given back."""
        return self.keys.given(self.task.job, self.name)

    @property
    def start(self) -> str:
        """Key that says the task was taken."""
        return self.keys.start(self.task.job, self.tag)

    @property
    def alive(self) -> str:
        """Key that says it still runs."""
        return self.keys.alive(self.task.job, self.tag)

    @property
    def start_value(self) -> bytes:
        """What the start key holds."""
        return wire.encode_start(self.task.iterations)


@dataclass(frozen=True, slots=True)
class Crash:
    """Deaths of executors on one iteration, or on a block as a whole (`iteration` is None).

    Attributes:
        iteration: Which one was running.
        deaths: How many executors died on it.
        cause: Why the last one did.
    """

    iteration: int | None
    deaths: int
    cause: str
