"""A task in an agent's hands, and what is known of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys, block_name
from pydoredis.protocol.messages import Task

_claim_numbers = itertools.count(1)


@dataclass(eq=False)
class Claim:
    """A task in our hands, under the names that our marks on it have in Redis.

    Attributes:
        keys: The queue it was taken from.
        task: The task.
        tag: Its tag, which names us.
        lapsed: Whether its alive key was ever found missing: then it may have been resubmitted.
        ours: Whether a Python coordinator submitted it.
        cancelled: Whether its job was cancelled.
    """

    keys: QueueKeys
    task: Task
    tag: str
    lapsed: bool = False
    ours: bool = False
    cancelled: bool = False

    @cached_property
    def name(self) -> str:
        """What tells this claim from all others: a tag comes again when a task is taken twice in a second."""
        return f"{self.tag} claim {next(_claim_numbers)}"

    @cached_property
    def block(self) -> str:
        """Name of its run of iterations."""
        return block_name(self.task.first, self.task.last)

    @cached_property
    def env(self) -> str:
        """Key of the job's environment."""
        return self.keys.env(self.task.job)

    @cached_property
    def out(self) -> str:
        """Key of the job's list of results."""
        return self.keys.out(self.task.job)

    @cached_property
    def published(self) -> str:
        """Key of the record of the job's published blocks."""
        return self.keys.published(self.task.job)

    @cached_property
    def given(self) -> str:
        """Key that says the task was given back."""
        return self.keys.given(self.task.job, self.name)

    @cached_property
    def start(self) -> str:
        """Key that says the task was taken."""
        return self.keys.start(self.task.job, self.tag)

    @cached_property
    def alive(self) -> str:
        """Key that says it still runs."""
        return self.keys.alive(self.task.job, self.tag)

    @cached_property
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


@dataclass(frozen=True, slots=True)
class Marked:
    """What `Store.mark` found out while it marked tasks.

    Attributes:
        environments: By environment key: its value as it is now, None if the key is gone.
        crashed: For each claim, whether an executor ever died on it; `Store.crashes` tells more.
    """

    environments: Mapping[str, bytes | None]
    crashed: Sequence[bool]
