"""The jobs an agent works on: their environments, by id *and* content, and what is known of their pace."""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from dataclasses import dataclass, field

from pydoredis.protocol import wire
from pydoredis.protocol.messages import JobEnvironment
from pydoredis.worker.pace import Pace

KEPT_JOBS = 8
KEPT_BYTES = 128 * 1024 * 1024
"""How many environments an agent keeps, and of what size together, least recently used out. The one that was
used last stays, whatever its size; those of jobs that are over go."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """A job environment as it was found in Redis.

    Attributes:
        number: What executors know it by. Another content under the same key is another number.
        environment: The environment.
        pace: How long its tasks take here.
    """

    number: int
    environment: JobEnvironment
    pace: Pace = field(default_factory=Pace)


class Jobs:
    """Remembers the jobs of late."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._by_key: OrderedDict[str, Job] = OrderedDict()

    def known(self) -> dict[str, bytes]:
        """Values of the environment keys as they were read last."""
        return {key: job.environment.payload for key, job in self._by_key.items()}

    def find(self, key: str, value: bytes) -> Job:
        """The job whose environment key holds `value`.

        Raises:
            RemoteProtocolError: If that is not a job environment.
        """
        job = self._by_key.get(key)
        if job is None or job.environment.payload != value:
            job = Job(next(self._numbers), wire.decode_environment(value))
            self._by_key[key] = job
        self._by_key.move_to_end(key)
        while len(self._by_key) > 1 and (len(self._by_key) > KEPT_JOBS or self._size_bytes() > KEPT_BYTES):
            self._by_key.popitem(last=False)
        return job

    def forget(self, key: str) -> Job | None:
        """Let go of the job whose environment key this is: it is over. Returns what was known of it."""
        return self._by_key.pop(key, None)

    def _size_bytes(self) -> int:
        return sum(len(job.environment.payload) for job in self._by_key.values())
