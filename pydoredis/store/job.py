"""The Redis commands of a coordinator (protocol, sections 4 and 15)."""

from __future__ import annotations

import contextlib
import functools
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pydoredis.errors import RemoteProtocolError, StoreFull, StoreUnavailable
from pydoredis.protocol.keys import QueueKeys, Span, TaskTag
from pydoredis.protocol.parts import Message
from pydoredis.protocol.presence import Staff
from pydoredis.protocol.telemetry import DEMAND_TTL_S
from pydoredis.settings import ConnectionSettings
from pydoredis.store import line, presence
from pydoredis.store.connection import CONNECT_TIMEOUT_S, Call, Script
from pydoredis.store.endpoints import WrongServer, connection_pool
from pydoredis.store.late_results import SweepingStore, expect_late, note_cancelled, note_over
from pydoredis.store.line import Line
from pydoredis.store.packing import Packer
from pydoredis.store.result_wait import ResultWait

if TYPE_CHECKING:
    from pydoredis.store.waker import Waker

LEASE_S = 6 * 3600
"""How long a job's keys outlive the last sign of life of its coordinator: time enough to debug one."""

INNER_LEASE_S = 120
"""The same for jobs inside of bodies: an agent removes what they leave, unless its machine dies with them."""

ANSWER_TIMEOUT_S = 10.0
"""How long an answer may take before the connection counts as lost."""

SMALL_JOB_BYTES = 64 * 1024
"""A job that is submitted in one step: its environment and its first tasks."""

CHECKED_BYTES = 16 * 1024 * 1024
"""From this size on it is looked whether the server has room for a job's environment."""

STRETCH = 1000
STRETCH_BYTES = 4 * 1024 * 1024
"""Tasks, and bytes of them, that are looked at in one step when a job's are taken off a queue."""

_SCAN_COUNT = 1000

Report: TypeAlias = "Callable[[int, int], None]"
"""Told how much was sent, and of how much: in bytes."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What keys say about the tasks of a job.

    Attributes:
        running: Spans of tasks with a start or an alive key.
        dead: Tags of tasks with a start key and no alive key, by span.
    """

    running: frozenset[Span]
    dead: Sequence[tuple[Span, str]]


class JobStore(SweepingStore):
    """The commands of one job, on a connection that the next job of this process takes over.

    Args:
        connection: Which server.
        keys: The job's queue.
        job: Its ID.
        environment: What all of its tasks share.
    """

    def __init__(
        self, connection: ConnectionSettings, keys: QueueKeys, job: str, environment: Message
    ) -> None:
        super().__init__(connection, reconnects=0)
        self._keys = keys
        self._job = job
        self._environment = environment
        self._lease_s = INNER_LEASE_S if keys.depth else LEASE_S
        self._pieces = [
            keys.piece(job, environment.name, number) for number in range(1, environment.count + 1)
        ]
        self._open_job = Script.read("open_job")
        self._collect = Script.read("collect")
        self._fault = Script.read("fault")
        self._withdraw = Script.read("withdraw")

    @cached_property
    def _client(self) -> redis.Redis:
        return _client(_pool(self.connection))

    @cached_property
    def _line(self) -> Line:
        return line.take(_pool(self.connection))

    @cached_property
    def _result_wait(self) -> ResultWait:
        return ResultWait(_pool(self.connection), self._out)

    def disconnect(self) -> None:
        """Drop idle connections, on one of which an answer may still be under way."""
        self._result_wait.close()
        self._line.drop()
        _pool(self.connection).disconnect(inuse_connections=False)

    def close(self) -> None:
        """Give the connections back."""
        self._result_wait.close()
        self._line.close()
        super().close()

    def open(
        self, tasks: Sequence[bytes] = (), *, if_workers: bool = False, report: Report | None = None
    ) -> int | None:
        """Store the job environment, and submit the first tasks.

        Args:
            tasks: Messages of tasks.
            if_workers: Whether they are submitted only if there are workers.
            report: Told how many bytes of a large environment are there, and of how many.

        Returns:
            What `workers` tells; None if the job's ID is taken: then nothing was submitted.

        Raises:
            StoreFull: If the server has no room for the environment.
        """
        with self._translated():
            try:
                return self._open(tasks, if_workers, report)
            except WrongServer:
                # The connection is from a time when the queue was there.
                self.disconnect()
                return self._open(tasks, if_workers, report)

    def _open(self, tasks: Sequence[bytes], if_workers: bool, report: Report | None) -> int | None:
        if self._environment.size + sum(map(len, tasks)) > SMALL_JOB_BYTES:
            return self._open_large(tasks, if_workers, report)
        call: Call = (
            self._open_job,
            (self._keys.env(self._job), self._keys.count, self._keys.tasks),
            (self._environment.value, self._lease_s, int(if_workers), *tasks),
        )
        (found,) = self._checked(self._run_scripts([call]))
        return None if found is None else _number(found)

    def _open_large(self, tasks: Sequence[bytes], if_workers: bool, report: Report | None) -> int | None:
        """In several steps: Lua would copy what it is given."""
        self._check_room(self._environment.size + sum(map(len, tasks)))
        try:
            self._set_pieces(report)
            set_ = ("SET", self._keys.env(self._job), self._environment.value, "NX", "EX", self._lease_s)
            stored, found = self._checked(self._line.ask([set_, ("GET", self._keys.count)]))
        except BaseException:
            # Nobody else would remove the pieces before they expire.
            self._line.drop()
            with contextlib.suppress(redis.RedisError, OSError):
                self._remove_pieces()
            raise
        if not stored:
            self._remove_pieces()
            return None
        workers = _number(found)
        if tasks and (workers or not if_workers):
            self._checked(self._line.ask([("RPUSH", self._keys.tasks, *tasks)]))
        return workers

    def _check_room(self, size: int) -> None:
        """Look whether the server takes so many bytes more, before anything is sent.

        Raises:
            StoreFull: If it does not.
        """
        if size < CHECKED_BYTES:
            return
        (told,) = self._line.ask([("INFO", "memory")])
        if isinstance(told, Exception):
            return  # we may not ask: then it has to refuse it
        said = dict(re.findall(r"(\w+):(\d+)", bytes(told).decode("ascii", "replace")))
        limit, used = int(said.get("maxmemory", 0)), int(said.get("used_memory", 0))
        if limit and used + size > limit:
            raise StoreFull(self.connection.safe_url, size, max(0, limit - used), limit)

    def _set_pieces(self, report: Report | None = None) -> None:
        """Store the pieces of the environment."""
        sent = 0
        for name, piece in zip(self._pieces, self._environment.pieces(), strict=True):
            self._checked(self._line.ask([("SET", name, piece, "EX", self._lease_s)]))
            sent += len(piece)
            if report is not None:
                report(sent, self._environment.size)

    def _remove_pieces(self) -> None:
        if self._pieces:
            self._line.post(("UNLINK", *self._pieces))

    def _execute(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        return self._line.ask(commands)

    @staticmethod
    def _checked(replies: list[Any]) -> list[Any]:
        """The replies; raises the first error among them."""
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def restore(self) -> None:
        """Store the environment again: the server lost it."""
        with self._translated():
            self._set_pieces()
            self._client.set(self._keys.env(self._job), self._environment.value, ex=self._lease_s)

    def renew(self, demand: bytes | None = None) -> bool:
        """Renew the lease of the job's environment; False if it is gone, or a part of it.

        Args:
            demand: What is to be said of the job beside that, as in the next methods.
        """
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            for name in (self._keys.env(self._job), *self._pieces):
                pipe.expire(name, self._lease_s)
            if demand is not None:
                pipe.execute_command(*self._say(demand))  # type: ignore[no-untyped-call]
            return all(pipe.execute())

    def was_cancelled(self, demand: bytes | None = None) -> bool:
        """Whether somebody removed the job."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.exists(self._keys.cancelled(self._job))
            if demand is not None:
                pipe.execute_command(*self._say(demand))  # type: ignore[no-untyped-call]
            return bool(pipe.execute()[0])

    def _say(self, demand: bytes) -> tuple[Any, ...]:
        """The command that says how far the job is."""
        return "SET", self._keys.demand(self._job), demand, "EX", DEMAND_TTL_S

    def workers(self) -> int:
        """How many workers say that they listen on the queue; 0 if that is not known."""
        with self._translated():
            return _number(cast("bytes | None", self._client.get(self._keys.count)))

    def is_served_by(self, agent: str) -> bool:
        """Whether this agent serves the queue."""
        with self._translated():
            (found,) = self._checked(self._line.ask([("HEXISTS", self._keys.agents, agent)]))
        return bool(found)

    def staff(self) -> Staff:
        """Who is on the queue, and where else workers are if nobody is."""
        counted = self.workers()
        with self._translated():
            agents = presence.living(self._client, self._keys)
        elsewhere: list[str] = []
        if not counted and not agents:
            # An ACL may keep other queues from us: then nothing is said of them.
            with contextlib.suppress(StoreUnavailable), self._translated():
                elsewhere = self._open_queues()
        return Staff(counted, agents, elsewhere)

    def _open_queues(self) -> list[str]:
        """Other queues with workers on them."""
        names = [
            name.decode("utf-8", "replace") for name in self._client.scan_iter("*.count", count=_SCAN_COUNT)
        ]
        counts = (
            [_number(count) for count in cast("list[bytes | None]", self._client.mget(names))]
            if names
            else []
        )
        return sorted(name.removesuffix(".count") for name, count in zip(names, counts, strict=True) if count)

    def send_and_collect(
        self, payloads: Sequence[bytes], read: int, wanted: int, demand: bytes | None = None
    ) -> list[bytes]:
        """Submit tasks, forget `read` results, get up to `wanted` more, in one round trip: oldest first."""
        batch = self._send_and_collect(payloads, read, wanted, demand)
        if read or batch:
            self._result_wait.outdate()
        return batch[::-1]

    def _send_and_collect(
        self, payloads: Sequence[bytes], read: int, wanted: int, demand: bytes | None
    ) -> list[bytes]:
        with self._translated():
            commands: list[tuple[Any, ...]] = []
            if payloads:
                commands.append(("RPUSH", self._keys.tasks, *payloads))
            if demand is not None:
                commands.append(self._say(demand))
            if commands:
                look = ("EVALSHA", self._collect.sha, 1, self._out, read, wanted)
                *said, batch = self._line.ask([*commands, look])
                self._checked(said)
                if not isinstance(batch, Exception):
                    return cast("list[bytes]", batch)
            (batch,) = self._checked(self._run_scripts([(self._collect, (self._out,), (read, wanted))]))
        return cast("list[bytes]", batch)

    def wait_for_result(self, timeout_s: float, waker: Waker) -> bytes | None:
        """Wait for a result; the oldest one, which stays where it is, or None if there may be another reason
        to act: the time is over, or the waker was used."""
        with self._translated():
            return self._result_wait.wait(timeout_s, waker)

    def submit(self, payloads: Sequence[bytes], *, python: bool = False) -> None:
        """Put tasks on the queue, or on the side list that only Python workers serve."""
        if payloads:
            with self._translated():
                self._client.rpush(self._keys.python if python else self._keys.tasks, *payloads)

    def marks(self) -> Marks:
        """Which tasks of the job are running, and which workers look dead."""
        started, alive = self._tags("start"), self._tags("alive")
        spans = {tag: _span(tag) for tag in started | alive}
        running = frozenset(span for span in spans.values() if span)
        dead = [(span, tag) for tag in started - alive if (span := spans[tag])]
        return Marks(running, dead)

    def take_from_dead(self, tag: str, payload: bytes | None, *, python: bool = False) -> bool:
        """Take a task from a worker whose alive key is gone, and submit it again if it is given.

        Returns:
            False if the worker is alive after all, or has answered.
        """
        keys = self._keys
        queue = keys.python if python else keys.tasks
        call: Call = (
            self._fault,
            (keys.start(self._job, tag), keys.alive(self._job, tag), queue),
            (payload or b"",),
        )
        (taken,) = self._run([call])
        if isinstance(taken, Exception):
            raise self._unavailable(taken)
        return bool(taken)

    def queued(self, payloads: Sequence[bytes]) -> list[bool]:
        """Which of these messages are on the queue or the side list."""
        if not payloads:
            return []
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            for payload in payloads:
                pipe.lpos(self._keys.tasks, cast("Any", payload))
                pipe.lpos(self._keys.python, cast("Any", payload))
            places = pipe.execute()
        return [a is not None or b is not None for a, b in zip(places[::2], places[1::2], strict=True)]

    def close_job(self, head: bytes | None, *, cancelled: bool) -> None:
        """Remove the job: its messages that may be on a queue, and its keys, in one transaction.

        Args:
            head: What the job's messages begin with, if some may be on a queue. Then somebody may be at work
                on one, too.
            cancelled: Whether running tasks are to be stopped.
        """
        keys, job = self._keys, self._job
        if head is not None:
            self._withdraw_tasks(head)
        late = cancelled or head is not None
        names = (keys.env(job), keys.out(job), keys.published(job), keys.demand(job), *self._pieces)
        with self._translated():
            if not late:
                self._line.post(("UNLINK", *names))
                return
            pipe = self._client.pipeline(transaction=True)
            if cancelled:
                note_cancelled(pipe, keys, job)
            pipe.unlink(*names)
            note_over(pipe, keys, job)
            expect_late(pipe, keys, job)
            pipe.execute()
        if head is not None:
            self._withdraw_tasks(head)  # what was given back meanwhile
        if starts := [keys.start(job, tag) for tag in self._tags("start")]:
            with self._translated():
                self._client.unlink(*starts)

    def _withdraw_tasks(self, head: bytes) -> None:
        """Take the job's messages off the lists, in steps that keep the server busy for a moment each."""
        nothing = f"removed {uuid.uuid4()}"
        for name in (self._keys.tasks, self._keys.python):
            skip, seen = 0, -1
            while seen:
                (reply,) = self._run(
                    [(self._withdraw, (name,), (head, nothing, skip, STRETCH, STRETCH_BYTES))]
                )
                if isinstance(reply, Exception):
                    raise self._unavailable(reply)
                seen, removed = reply
                skip += seen - removed

    # --- details ------------------------------------------------------------------------------------------

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(self.connection.safe_url, str(error))

    @property
    def _out(self) -> str:
        return self._keys.out(self._job)

    def _tags(self, kind: str) -> set[str]:
        """Tags of all start or alive keys of the job."""
        prefix = self._keys.start(self._job, "") if kind == "start" else self._keys.alive(self._job, "")
        pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", prefix) + "*"
        with self._translated():
            found = self._client.scan_iter(match=pattern, count=_SCAN_COUNT)
            return {key.decode("utf-8", "surrogateescape")[len(prefix) :] for key in found}


def is_served_by(connection: ConnectionSettings, keys: QueueKeys, agent: str) -> bool:
    """Whether this agent serves a queue.

    Raises:
        StoreUnavailable: If Redis does not answer.
    """
    store = JobStore(connection, keys, "", Message(b""))
    try:
        return store.is_served_by(agent)
    finally:
        store.close()


@functools.lru_cache(maxsize=8)
def _client(pool: redis.ConnectionPool) -> redis.Redis:
    """For all jobs on one server: to make a client takes longer than a command."""
    return redis.Redis(connection_pool=pool)


@functools.lru_cache(maxsize=8)
def _pool(connection: ConnectionSettings) -> redis.ConnectionPool:
    """Connections of jobs that have ended, for those to come: making one takes longer than a short job.

    A connection is for one command or pipeline at a time, so that jobs in several threads may share them. One
    that the server closed meanwhile is noticed when it is taken out, and made anew.
    """
    return connection_pool(
        connection,
        socket_timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        command_packer=Packer(),
        # What may or may not have happened when a connection is lost, the ledger finds out: nothing is sent
        # twice by itself.
        retry=Retry(NoBackoff(), 0),
    )


def _number(count: bytes | None) -> int:
    """What R and we write as the number of workers; 0 for what others may have written."""
    return int(count) if count and re.fullmatch(rb"\d+", count) else 0


def _span(tag: str) -> Span | None:
    try:
        parsed = TaskTag.parse(tag)
    except RemoteProtocolError:
        return None
    return parsed.first, parsed.last
