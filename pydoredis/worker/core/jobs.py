"""The jobs that an agent works on: their environments, by ID *and* content, and how long their tasks take."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import JobEnvironment
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.prefetch import Durations

KEPT_JOBS = 8
KEPT_BYTES = 128 * 1024 * 1024
"""How many environments an agent keeps, and of what size together, least recently used out. The one that was
used last stays, whatever its size; those of jobs that are over go."""


@dataclass(eq=False)
class LoadedJob:
    """A job environment as it was found in Redis.

    Attributes:
        number: What executors know it by. Another content under the same key is another number.
        key: Its environment key.
        environment: The environment.
        depth: How deep it is: in how many bodies (`QueueKeys.depth`).
        fetched: How many bytes of its pieces are here.
        durations: How long its tasks take here.
        tasks: How many tasks of it wait or run, by state (`lease.State`). In other states a task may not know
            its job yet.
    """

    number: int
    key: str
    environment: JobEnvironment
    depth: int = 0
    fetched: int = 0
    durations: Durations = field(default_factory=Durations)
    tasks: list[int] = field(default_factory=lambda: [0] * len(State))

    @property
    def whole(self) -> bool:
        """Whether all of the environment is here."""
        about = self.environment.apart
        return about is None or self.fetched == about.size


class LoadedJobs:
    """Remembers the jobs of late."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._by_key: OrderedDict[str, LoadedJob] = OrderedDict()
        self._recorded: dict[tuple[QueueKeys, str], None] = {}

    def lengths(self) -> dict[str, int]:
        """Lengths in bytes of the environments that are known, by key."""
        return {key: len(job.environment.payload) for key, job in self._by_key.items()}

    def known(self, key: str) -> LoadedJob | None:
        """The job whose environment was read last from this key."""
        return self._by_key.get(key)

    def find(self, key: str, value: bytes) -> LoadedJob:
        """The job whose environment key holds `value`.

        Raises:
            RemoteProtocolError: If that is not a job environment.
        """
        job = self._by_key.get(key)
        if job is not None and job.environment.payload == value:
            self._by_key.move_to_end(key)
            return job
        job = LoadedJob(next(self._numbers), key, wire.decode_environment(value))
        self._by_key[key] = job
        self._by_key.move_to_end(key)
        for each in list(self._by_key.values()):
            if len(self._by_key) <= KEPT_JOBS and self._size_bytes() <= KEPT_BYTES:
                break
            if each is not job and each.whole:
                del self._by_key[each.key]
        return job

    @property
    def partial(self) -> list[LoadedJob]:
        """Those of whose environments something is still to be fetched."""
        return [job for job in self._by_key.values() if not job.whole]

    def __iter__(self) -> Iterator[LoadedJob]:
        """All that are known."""
        return iter(list(self._by_key.values()))

    def forget(self, key: str) -> LoadedJob | None:
        """Let go of the job whose environment key this is: it is over. Returns what was known of it."""
        return self._by_key.pop(key, None)

    # --- jobs of which a record of published blocks is kept in Redis --------------------------------------

    def record(self, keys: QueueKeys, job: str) -> None:
        """A task of this job was taken."""
        self._recorded[keys, job] = None

    @property
    def recorded(self) -> list[tuple[QueueKeys, str]]:
        """Jobs of which tasks were taken and that were not found to be over."""
        return list(self._recorded)

    def end(self, keys: QueueKeys, job: str) -> None:
        """This job is over."""
        self._recorded.pop((keys, job), None)

    def _size_bytes(self) -> int:
        return sum(job.environment.size for job in self._by_key.values())
