"""The Redis commands of administration: look around and remove, without ever blocking the server.

Keys are found with SCAN, lists are read in stretches, and what is large is deleted in the background.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from redis.client import Pipeline
from redis.exceptions import ResponseError

from pydoredis.errors import LocalProtocolError, RemoteProtocolError, StoreUnavailable
from pydoredis.protocol import wire
from pydoredis.protocol.envelope_peek import HEAD_SIZE, job_of_head
from pydoredis.protocol.families import Family, Mark, in_pattern, side_keys, sort_keys
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings
from pydoredis.store import presence
from pydoredis.store.connection import Script
from pydoredis.store.late_results import SweepingStore, note_cancelled, note_over

MAX_COUNTED = 100_000
"""How many tasks of a queue are looked at to tell whose they are."""

DRAIN_TTL_S = 60
"""How long an agent that is to leave may take to hear of it."""

_SCAN_COUNT = 1000
_PAGE = 500
_STRETCH = 1000
_STRETCH_BYTES = 4 * 1024 * 1024

T = TypeVar("T")


class Peeked(NamedTuple):
    """The beginning of a task on a list.

    Attributes:
        job: Whose it seems to be; None if only the whole message can tell.
        size: Bytes of the whole message.
    """

    job: str | None
    size: int


class JobFigures(NamedTuple):
    """How far a job is.

    Attributes:
        results: Messages that wait for its coordinator.
        published: Tasks that our workers answered; None if there is no record.
    """

    results: int
    published: int | None


class Removed(NamedTuple):
    """How many tasks and keys were removed."""

    tasks: int
    keys: int


class AdminStore(SweepingStore):
    """A `Store` for administration."""

    def __init__(self, connection: ConnectionSettings, *, timeout_s: float = 10.0) -> None:
        super().__init__(connection, timeout_s=timeout_s)
        self._peek = Script.read("peek")
        self._remove_tasks = Script.read("remove_tasks")

    # --- looking around -----------------------------------------------------------------------------------

    def families(self) -> dict[str, Family]:
        """The keys of all queues."""
        return sort_keys(self._scan("*.*"))

    def family(self, queue: str) -> Family:
        """The keys of one queue."""
        found = sort_keys(self._scan(f"{in_pattern(queue)}.*"))
        return found.get(queue) or Family(QueueKeys(queue))

    def side_keys(self, keys: QueueKeys) -> list[str]:
        """The side keys of one queue."""
        return side_keys(keys, self._scan(f"{in_pattern(keys.side_prefix)}*"))

    def marked(self, keys: QueueKeys, marks: Sequence[Mark]) -> list[tuple[bool, bool]]:
        """For each task, whether its start key and its alive key are there, both seen at the same moment."""
        seen: list[tuple[bool, bool]] = []
        for page in _pages(marks, _PAGE):
            with self._translated():
                pipe = self._client.pipeline(transaction=True)
                for mark in page:
                    pipe.exists(keys.start(*mark))
                    pipe.exists(keys.alive(*mark))
                replies = pipe.execute()
            seen += [(bool(start), bool(alive)) for start, alive in zip(*[iter(replies)] * 2, strict=True)]
        return seen

    def figures(self, keys: QueueKeys, jobs: Sequence[str]) -> list[JobFigures]:
        """How far each of the jobs is."""
        found: list[JobFigures] = []
        for page in _pages(jobs, _PAGE):
            with self._translated():
                pipe = self._client.pipeline(transaction=False)
                for job in page:
                    pipe.llen(keys.out(job))
                    pipe.hlen(keys.published(job))
                replies = self._answers(pipe)
            pairs = zip(*[iter(replies)] * 2, strict=True)
            found += [JobFigures(results or 0, published or None) for results, published in pairs]
        return found

    def counts(self, queues: Sequence[QueueKeys]) -> list[int]:
        """How many workers say that they serve each queue; 0 where nobody counts."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            for keys in queues:
                pipe.get(keys.count)
            replies = self._answers(pipe)
        return [int(reply) if reply is not None and reply.isdigit() else 0 for reply in replies]

    def listed_agents(self, keys: QueueKeys) -> dict[str, int]:
        """Agents of a queue that are counted, living or dead, with how many workers each is counted for."""
        with self._translated():
            found = cast("dict[bytes, bytes]", self._client.hgetall(keys.agents))
        return {
            name.decode("utf-8", "replace"): int(count) for name, count in found.items() if count.isdigit()
        }

    def agents(self, keys: QueueKeys) -> list[Presence]:
        """The agents of ours that serve a queue."""
        with self._translated():
            return presence.living(self._client, keys)

    def length(self, name: str) -> int:
        """Number of elements of a list; 0 if there is none.

        Raises:
            LocalProtocolError: If something else is kept under that name.
        """
        with self._translated():
            kind = cast("bytes", self._client.type(name)).decode()
            if kind not in ("list", "none"):
                raise LocalProtocolError(f"{name!r} is no queue: a {kind} is kept under that name")
            return int(self._client.llen(name)) if kind == "list" else 0

    def peek(self, name: str, skip: int) -> list[Peeked]:
        """Look at a stretch of tasks, from the tail of a list on; empty where it ends, or is no list.

        Args:
            name: The list.
            skip: How many tasks at the tail to skip.
        """
        (reply,) = self._run([(self._peek, (name,), (skip, _STRETCH, HEAD_SIZE, _STRETCH_BYTES))])
        if _is_other_type(reply):
            return []
        if isinstance(reply, Exception):
            raise StoreUnavailable(self.connection.safe_url, str(reply)) from reply
        return [Peeked(job_of_head(head), size) for head, size in zip(reply[::2], reply[1::2], strict=True)]

    def _scan(self, pattern: str) -> Iterator[str]:
        """Names of keys. Those that are not UTF-8 are left out: no peer of ours could spell them."""
        seen: set[bytes] = set()
        cursor = 0
        while True:
            with self._translated():
                cursor, found = self._client.scan(cursor, match=pattern, count=_SCAN_COUNT)
            page = cast("list[bytes]", found)
            # SCAN may report a key twice while the server's table of keys grows.
            for name in set(page) - seen:
                with contextlib.suppress(UnicodeDecodeError):
                    yield name.decode()
            seen.update(page)
            if cursor == 0:
                return

    def _answers(self, pipe: Pipeline) -> list[Any]:
        """Replies; None where a key holds something of another type, which is then not doRedis's."""
        replies = pipe.execute(raise_on_error=False)
        for number, reply in enumerate(replies):
            if _is_other_type(reply):
                replies[number] = None
            elif isinstance(reply, Exception):
                raise reply
        return replies

    # --- removing -----------------------------------------------------------------------------------------

    def names_of(self, family: Family, job: str) -> list[str]:
        """Keys of a job."""
        keys = family.keys
        names = {keys.env(job), keys.out(job), keys.published(job), keys.demand(job)}
        for mark in family.start | family.alive:
            if mark.job == job:
                names |= {keys.start(*mark), keys.alive(*mark)}
        prefixes = (keys.given(job, ""), keys.pieces(job))
        names |= {name for name in self.side_keys(keys) if name.startswith(prefixes)}
        return sorted(names)

    def remove_job(self, keys: QueueKeys, job: str, names: Sequence[str]) -> Removed:
        """Take the tasks of a job off the queue and delete its keys, and say that this was on purpose.

        All of it happens in one transaction, unless there are too many tasks for one: then the last of them
        go together with the keys.

        Args:
            keys: The queue.
            job: The job's ID.
            names: Its keys.

        Returns:
            How many tasks were on the queue, and how many of the keys were there.
        """
        tasks, deleted, again = 0, 0, True
        doomed: Sequence[str] = names
        while again:
            batch = _Batch()
            again = False
            for name in keys.depths():
                skip = 0
                while stretch := self.peek(name, skip):
                    for index, payload in self._tasks_of(job, name, skip, stretch):
                        batch.add(name, index, payload)
                    skip += len(stretch)
                    if batch.full:
                        gone, _ = self._remove(keys, job, batch, ())
                        tasks, skip, again = tasks + sum(gone.values()), skip - gone.get(name, 0), True
                        batch = _Batch()
            if batch or doomed:
                # Look again: tasks may have come since, or have been passed over while the list moved.
                again = True
                gone, count = self._remove(keys, job, batch, doomed)
                tasks, deleted, doomed = tasks + sum(gone.values()), deleted + count, ()
        return Removed(tasks, deleted)

    def _tasks_of(
        self, job: str, name: str, skip: int, stretch: Sequence[Peeked]
    ) -> Iterator[tuple[int, bytes]]:
        """Index from the tail and bytes of the job's tasks in a stretch, by the ID that each message has."""
        maybe = [-(skip + n) for n, seen in enumerate(stretch, start=1) if seen.job in (job, None)]
        for page in _pages(maybe, 100):
            with self._translated():
                pipe = self._client.pipeline(transaction=False)
                for index in page:
                    pipe.lindex(name, index)
                payloads = pipe.execute()
            for index, payload in zip(page, payloads, strict=True):
                if payload is not None and _job_of(payload) == job:
                    yield index, payload

    def _remove(
        self, keys: QueueKeys, job: str, batch: _Batch, names: Sequence[str]
    ) -> tuple[dict[str, int], int]:
        """Remove these tasks and keys in one transaction; how many tasks went from each list, and keys."""
        nothing = f"removed {uuid.uuid4()}"
        with self._translated():
            fields = list(self._client.hscan_iter(keys.crashes, f"{in_pattern(job)}:*")) if names else []
            pipe = self._client.pipeline(transaction=True)
            for name, tasks in batch.tasks.items():
                pipe.eval(self._remove_tasks.source, 1, name, nothing, *tasks)
            pages = list(_pages(names, _PAGE))
            for page in pages:
                pipe.unlink(*page)
            if fields:
                pipe.hdel(keys.crashes, *(field for field, _ in fields))
            note_cancelled(pipe, keys, job)
            note_over(pipe, keys, job)
            replies = pipe.execute()
        lists = len(batch.tasks)
        return dict(zip(batch.tasks, replies, strict=False)), sum(replies[lists : lists + len(pages)])

    def drain(self, keys: QueueKeys, agent: str) -> None:
        """Have an agent leave, when it next says that it is there."""
        with self._translated():
            self._client.set(keys.drain(agent), b"", ex=DRAIN_TTL_S)

    def delete(self, names: Iterable[str]) -> int:
        """Delete keys; how many there were."""
        deleted = 0
        for page in _pages(list(names), _PAGE):
            with self._translated():
                deleted += int(self._client.unlink(*page))
        return deleted


class _Batch:
    """Tasks to remove in one transaction."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[int | bytes]] = {}
        self._count = 0
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self.tasks)

    @property
    def full(self) -> bool:
        """Whether more would keep the server busy for too long."""
        return self._count >= _STRETCH or self._size >= _STRETCH_BYTES

    def add(self, name: str, index: int, payload: bytes) -> None:
        """One more, nearer to the head of its list than the one before."""
        self.tasks.setdefault(name, []).extend((index, payload))
        self._count += 1
        self._size += len(payload)


def _is_other_type(reply: object) -> bool:
    """Whether a reply says that a key holds something else than a peer would keep there."""
    return isinstance(reply, ResponseError) and "WRONGTYPE" in str(reply)


def _job_of(payload: bytes) -> str | None:
    try:
        return wire.decode_task(payload).job
    except RemoteProtocolError:
        return None


def _pages(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
