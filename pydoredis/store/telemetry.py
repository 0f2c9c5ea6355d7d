"""The Redis commands of `pydoredis.telemetry`: a whole server in a few round trips, however full it is."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from redis.exceptions import NoPermissionError

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.envelope_peek import HEAD_SIZE, job_of_head
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.protocol.tails import iterations_of_tail
from pydoredis.protocol.telemetry import ACTIVITY_TTL_S, DEMAND_TTL_S, Activity, Demand
from pydoredis.settings import ConnectionSettings
from pydoredis.store.admin import AdminStore
from pydoredis.store.connection import Call, Script

EXACT: Final = 2000
"""Lists up to this length are looked at as a whole; of longer ones a sample is."""

SAMPLES: Final = 32
SAMPLE: Final = 16
"""How many stretches of a long list are looked at, and how many tasks of each."""

_TAIL_SIZE = 4096
_STRETCH_BYTES = 4 << 20

T = TypeVar("T")


class Said(NamedTuple):
    """A living agent.

    Attributes:
        presence: What it says of itself.
        activity: What it says of its work; None if it is of a version that says nothing.
        ago_s: How long ago.
    """

    presence: Presence
    activity: Activity | None
    ago_s: float


class Head(NamedTuple):
    """The task that is next to be taken from a list.

    Attributes:
        job: Its job.
        iteration: Its first iteration; None if that is too far from its end to be seen.
    """

    job: str
    iteration: int | None


class QueueFigures(NamedTuple):
    """What is known of a queue.

    Attributes:
        queued: Tasks that wait.
        counted: Workers that say that they listen, those of dead agents included.
        agents: Those of the agents, dead ones included.
        queued_of: How many tasks of each job wait.
        exact: Whether these are counted, and not estimated.
        heads: The next tasks.
        said: Its agents.
    """

    queued: int
    counted: int
    agents: int
    queued_of: Mapping[str, int]
    exact: bool
    heads: Sequence[Head]
    said: Sequence[Said]


class JobFigures(NamedTuple):
    """What is known of a job.

    Attributes:
        results: Messages that wait for its coordinator.
        published: Tasks that our workers answered.
        demand: What its coordinator says; None if it says nothing.
        ago_s: How long ago.
    """

    results: int
    published: int
    demand: Demand | None
    ago_s: float


class TelemetryStore(AdminStore):
    """A `Store` that looks at a whole server."""

    def __init__(self, connection: ConnectionSettings, *, timeout_s: float = 10.0) -> None:
        super().__init__(connection, timeout_s=timeout_s)
        self._heads = Script.read("heads")

    def queues(self, queues: Sequence[QueueKeys]) -> list[QueueFigures]:
        """What is known of each queue."""
        lists = [list(keys.depths()) for keys in queues]
        commands: list[tuple[Any, ...]] = []
        for keys, names in zip(queues, lists, strict=True):
            commands += [("LLEN", name) for name in names]
            commands += [("GET", keys.count), ("HGETALL", keys.agents)]
        replies = iter(self._ask(commands))
        lengths: list[dict[str, int]] = []
        counts: list[int] = []
        agents: list[dict[str, int]] = []
        for names in lists:
            lengths.append({name: length for name in names if (length := next(replies) or 0)})
            counts.append(_number(next(replies)))
            agents.append(
                {name.decode("utf-8", "replace"): _number(n) for name, n in (next(replies) or {}).items()}
            )
        said = self._said(queues, agents)
        samples = self._samples(lengths)
        return [
            QueueFigures(sum(length.values()), count, sum(names.values()), *sample, living)
            for length, count, names, sample, living in zip(
                lengths, counts, agents, samples, said, strict=True
            )
        ]

    def _said(self, queues: Sequence[QueueKeys], agents: Sequence[Mapping[str, int]]) -> list[list[Said]]:
        commands: list[tuple[Any, ...]] = []
        for keys, names in zip(queues, agents, strict=True):
            for name in names:
                activity = keys.activity(name)
                commands += [("HGETALL", keys.agent(name)), ("GET", activity), ("PTTL", activity)]
        replies = iter(self._ask(commands))
        return [[*_living(replies, len(names))] for names in agents]

    def _samples(
        self, lengths: Sequence[Mapping[str, int]]
    ) -> list[tuple[Mapping[str, int], bool, list[Head]]]:
        """For each queue whose tasks wait, whether that is exact, and which are next."""
        calls: list[Call] = []
        for lists in lengths:
            for name, length in lists.items():
                calls.append((self._heads, (name,), (HEAD_SIZE, _TAIL_SIZE)))
                calls += [
                    (self._peek, (name,), (skip, size, HEAD_SIZE, _STRETCH_BYTES))
                    for skip, size in _stretches(length)
                ]
        replies = iter([None if isinstance(each, Exception) else each for each in self._run(calls)])
        found: list[tuple[Mapping[str, int], bool, list[Head]]] = []
        for lists in lengths:
            queued: Counter[str] = Counter()
            heads: list[Head] = []
            exact = True
            for length in lists.values():
                heads += _head(next(replies))
                seen = [each for _ in _stretches(length) for each in next(replies) or ()]
                jobs = Counter(job for head in seen[::2] if (job := job_of_head(head)) is not None)
                if length <= EXACT and sum(seen[1::2]) < _STRETCH_BYTES:
                    queued.update(jobs)
                else:  # what was not looked at is taken to be as what was
                    exact = False
                    share = 2 * length / max(1, len(seen))
                    queued.update({job: round(share * count) for job, count in jobs.items()})
            found.append((queued, exact, heads))
        return found

    def jobs(self, jobs: Sequence[tuple[QueueKeys, str]]) -> list[JobFigures]:
        """What is known of each job."""
        commands: list[tuple[Any, ...]] = []
        for keys, job in jobs:
            commands += [("LLEN", keys.out(job)), ("HLEN", keys.published(job))]
            commands += [("GET", keys.demand(job)), ("PTTL", keys.demand(job))]
        replies = iter(self._ask(commands))
        return [
            JobFigures(next(replies) or 0, next(replies) or 0, *_told(replies, Demand.decode, DEMAND_TTL_S))
            for _ in jobs
        ]

    def health(self) -> tuple[Mapping[str, Any], float]:
        """What the server says of itself (`INFO`), and how many seconds an answer takes."""
        with self._translated():
            info: Mapping[str, Any] = {}
            with contextlib.suppress(NoPermissionError):  # then nothing is said of the server's health
                info = self._client.info()
            begun_s = time.perf_counter()
            self._client.ping()
            return info, time.perf_counter() - begun_s

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands together. A key that holds something else than a peer keeps there counts as none."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            return self._answers(pipe)


def _living(replies: Iterator[Any], count: int) -> Iterator[Said]:
    for _ in range(count):
        fields = next(replies)
        activity, ago_s = _told(replies, Activity.decode, ACTIVITY_TTL_S)
        if fields:  # else it has died, and is forgotten by the next one that sweeps
            with contextlib.suppress(RemoteProtocolError):
                yield Said(Presence.decode(fields), activity, ago_s)


def _told(replies: Iterator[Any], decode: Callable[[bytes], T], ttl_s: float) -> tuple[T | None, float]:
    """What was told, if it can be read, and how long ago: a value and what is left of its time."""
    value, left_ms = next(replies), next(replies)
    if not value or left_ms is None or left_ms < 0:
        return None, 0.0
    try:
        return decode(value), max(0.0, ttl_s - left_ms / 1000)
    except RemoteProtocolError:
        return None, 0.0


def _stretches(length: int) -> list[tuple[int, int]]:
    """Which parts of a list to look at: how many tasks to skip from its end, and how many to look at."""
    if length <= EXACT:
        return [(0, length)]
    step = (length - SAMPLE) / (SAMPLES - 1)
    return [(int(number * step), SAMPLE) for number in range(SAMPLES)]


def _head(reply: Any) -> list[Head]:
    if not reply:
        return []
    first, last = reply
    job = job_of_head(first)
    numbers = iterations_of_tail(last)
    return [] if job is None else [Head(job, numbers[0] if numbers else None)]


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0
