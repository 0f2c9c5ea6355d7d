"""The Redis commands of an agent: join, take, mark, keep alive, publish, give back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

from pydoredis.errors import StoreUnavailable
from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys, crash_cause, crash_field
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings
from pydoredis.store import presence
from pydoredis.store.claims import Claim, Crash, Marked
from pydoredis.store.connection import Call, Script
from pydoredis.store.late_results import SweepingStore

ALIVE_TTL_S = 10
"""How long an alive key outlives its last refresh: fixed by doRedis (protocol, section 6)."""

ALIVE_AFTER_PUBLISH_MS = 3000
"""How long alive outlives start after a result: more than the 2 s of protocol 12.6, less than R's 10 s, so
that `tasks()` forgets finished tasks soon."""

RESTARTED_TTL_S = 3600
"""How long agents may take to find out that the server was restarted, and still be counted in again."""

GIVEN_TTL_S = 60
"""How long it is remembered that a claim was given back: longer than any retry of the same command."""

RECORD_TTL_S = 600
"""How long the record of a job's published blocks outlives its last refresh (`keep_record`)."""

CRASH_TTL_S = 24 * 3600
"""How long a queue's crash counts outlive the last crash."""

MAX_DEAD = 1000
"""How many unreadable payloads of a queue are kept for a human; the oldest go first."""

SMALL_ENVIRONMENT = 64 * 1024
"""Bytes up to which a known job environment is read again and compared, rather than only its length."""

Outcome = Literal["published", "duplicate", "resubmitted", "job-gone"]
GivenBack = Literal["given-back", "resubmitted", "job-gone"]
Beat = Literal["alive", "lapsed", "restored", "cancelled"]
End = Literal["head", "tail", "python"]

Lists = Mapping[str, QueueKeys]
"""Keys of lists to take tasks from, in order of preference, and the queues that they belong to."""


class WorkerStore(SweepingStore):
    """What an agent does with Redis, on one connection. Whatever it still holds, it can send again:
    publishing and giving back twice does it once.

    Args:
        connection: Which server.
        timeout_s: How long an answer may take before the connection counts as lost.
        reconnects: How often a command is tried again on a new connection when the old one is lost.
    """

    def __init__(
        self, connection: ConnectionSettings, *, timeout_s: float = 10.0, reconnects: int = 1
    ) -> None:
        super().__init__(connection, timeout_s=timeout_s, reconnects=reconnects)
        self._publish = Script.read("publish")
        self._mark = Script.read("mark")
        self._beat = Script.read("beat")
        self._give_back = Script.read("give_back")
        self._leave = Script.read("leave")
        self._rejoin = Script.read("rejoin")
        self._take = Script.read("take")

    # --- joining and leaving ------------------------------------------------------------------------------

    def join(self, queues: Sequence[QueueKeys], workers: int) -> None:
        """Open the queues that are not open yet, then count `workers` in (protocol, section 5)."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            for keys in queues:
                pipe.set(keys.live, wire.LIVE_VALUE, nx=True)
            for keys in queues:
                pipe.incrby(keys.count, workers)
            pipe.execute()

    def rejoin(self, queues: Sequence[QueueKeys], workers: int, run_id: str) -> list[QueueKeys]:
        """Join again those queues that a server lost when this run of it began; return them.

        To be called once per agent and run: a queue that was lost is recognized by its missing count.
        """
        replies = self._run(
            [
                (
                    self._rejoin,
                    (keys.live, keys.count, keys.restarted),
                    (run_id, workers, wire.LIVE_VALUE, RESTARTED_TTL_S),
                )
                for keys in queues
            ]
        )
        self._raise_first(replies)
        return [keys for keys, rejoined in zip(queues, replies, strict=True) if rejoined]

    def leave(self, queues: Sequence[QueueKeys], workers: int) -> None:
        """Take `workers` off the counts that are still there."""
        self._run([(self._leave, (keys.count,), (workers,)) for keys in queues])

    def announce(self, queues: Sequence[QueueKeys], agent: Presence) -> None:
        """Say that an agent serves these queues, for the next seconds."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            presence.announce(pipe, queues, agent)
            pipe.execute()

    def withdraw(self, queues: Sequence[QueueKeys], agent: Presence) -> None:
        """Say that an agent has left."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            presence.withdraw(pipe, queues, agent)
            pipe.execute()

    def any_live(self, queues: Sequence[QueueKeys]) -> bool:
        """Whether at least one of the queues is still open."""
        with self._translated():
            return bool(self._client.exists(*(keys.live for keys in queues)))

    # --- tasks --------------------------------------------------------------------------------------------

    def wait(self, lists: Lists, timeout_s: float) -> tuple[QueueKeys, bytes] | None:
        """Wait until a task comes, in the order of the lists, and take it; None when the time is over."""
        with self._translated():
            reply = cast("list[bytes] | None", self._client.blpop(list(lists), timeout=timeout_s))
        if reply is None:
            return None
        name, payload = reply
        return lists[name.decode()], payload

    def client_id(self) -> int:
        """The server's number of this connection; changes when it reconnects."""
        with self._translated():
            return int(self._client.client_id())

    def unblock(self, client_id: int) -> None:
        """End the `wait` that another `Store` is in, as if its time were over."""
        with self._translated():
            self._client.client_unblock(client_id)

    def exchange(
        self, results: Sequence[tuple[Claim, bytes | bytearray]], lists: Lists, wanted: int
    ) -> tuple[list[Outcome | None], list[tuple[QueueKeys, bytes]]]:
        """Publish results and take up to `wanted` tasks, in one round trip.

        Returns:
            What became of each result (None: the server would not take it just now, try again), and the
            tasks taken. A result whose reply is lost can be sent again.
        """
        by_queue: dict[QueueKeys, list[tuple[Claim, bytes | bytearray]]] = {}
        for result in results:
            by_queue.setdefault(result[0].keys, []).append(result)
        calls = [self._publication(batch) for batch in by_queue.values()]
        if wanted > 0:
            calls.append((self._take, tuple(lists), (wanted,)))
        replies = self._run(calls)
        taken: list[tuple[QueueKeys, bytes]] = []
        if wanted > 0:
            last = replies.pop()
            if isinstance(last, Exception):
                raise StoreUnavailable(self.connection.safe_url, str(last)) from last
            queues = list(lists.values())
            taken = [
                (queues[index - 1], payload) for index, payload in zip(last[::2], last[1::2], strict=True)
            ]
        outcomes: dict[int, Outcome | None] = {}
        for batch, reply in zip(by_queue.values(), replies, strict=True):
            for n, (claim, _) in enumerate(batch):
                said = "error" if isinstance(reply, Exception) else reply[n].decode()
                outcomes[id(claim)] = None if said.startswith("error") else cast("Outcome", said)
        if None in outcomes.values():
            self.disconnect()  # it may be that the master is another one by now
        return [outcomes[id(claim)] for claim, _ in results], taken

    def _publication(self, batch: Sequence[tuple[Claim, bytes | bytearray]]) -> Call:
        """Publishes results of one queue. One script for all: the client's cost is by the command."""
        keys: list[str] = []
        arguments: list[str | memoryview | int] = [RECORD_TTL_S]
        for claim, result in batch:
            keys += (claim.env, claim.out, claim.start, claim.alive, claim.published)
            stay_ms = 0 if claim.ours else ALIVE_AFTER_PUBLISH_MS
            arguments += (memoryview(result), claim.block, claim.name, int(claim.lapsed), stay_ms)
        return self._publish, keys, arguments

    def mark(self, claims: Sequence[Claim], known: Mapping[str, bytes]) -> Marked:
        """Say that these tasks were taken and run, and read the environments of their jobs.

        One transaction, the first thing after a task was taken (promise 4, protocol 12.7).

        Args:
            claims: The tasks.
            known: Values of environment keys that the caller already has. A small one is read again; of a
                large one only the length is compared.
        """
        lengths: list[str] = []
        keys = list(dict.fromkeys(claim.env for claim in claims))
        with self._translated():
            pipe = self._client.pipeline(transaction=True)
            marks = [key for claim in claims for key in (claim.alive, claim.start)]
            starts = [claim.start_value for claim in claims]
            # One command for all: the client needs several times as long for a command as Redis does.
            pipe.eval(self._mark.source, len(marks), *marks, wire.FIRST_ALIVE_VALUE, ALIVE_TTL_S, *starts)
            for key in keys:
                if len(known.get(key, b"")) > SMALL_ENVIRONMENT:
                    lengths.append(key)
                    pipe.strlen(key)
                else:
                    pipe.get(key)
            by_queue: dict[QueueKeys, list[str]] = {}
            for claim in claims:
                task = claim.task
                by_queue.setdefault(claim.keys, []).append(crash_field(task.job, task.first, task.last))
            for queue, fields in by_queue.items():
                pipe.hmget(queue.crashes, fields)
            replies = pipe.execute()
            environments: dict[str, bytes | None] = {}
            for key, reply in zip(keys, replies[1:], strict=False):
                if key not in lengths:
                    environments[key] = reply
                elif reply == len(known[key]):
                    environments[key] = known[key]
                else:
                    environments[key] = cast("bytes | None", self._client.get(key))
        counts = {
            queue: iter(values) for queue, values in zip(by_queue, replies[1 + len(keys) :], strict=True)
        }
        return Marked(environments, [next(counts[claim.keys]) is not None for claim in claims])

    def beat(self, claims: Sequence[Claim]) -> list[Beat]:
        """Refresh the alive keys of tasks in flight and note those that lapsed in their claims."""
        calls: list[Call] = [
            (
                self._beat,
                (
                    *(claim.env, claim.start, claim.alive, claim.published, claim.given),
                    claim.keys.cancelled(claim.task.job),
                ),
                (
                    *(int(claim.lapsed), claim.start_value, wire.ALIVE_VALUE, ALIVE_TTL_S),
                    *(claim.block, claim.name),
                ),
            )
            for claim in claims
        ]
        replies = self._run(calls)
        self._raise_first(replies)
        beats: list[Beat] = []
        for claim, reply in zip(claims, replies, strict=True):
            beats.append(cast("Beat", reply.decode()))
            claim.lapsed = claim.lapsed or beats[-1] == "lapsed"
            claim.cancelled = claim.cancelled or beats[-1] == "cancelled"
        return beats

    def give_back(self, claims: Sequence[Claim], end: End) -> list[GivenBack]:
        """Put tasks back on their queues and let go of them.

        Args:
            claims: The tasks.
            end: At the head of the queue, in their order; at its tail; or on the list for Python workers.
        """
        ordered = list(reversed(claims)) if end == "head" else list(claims)
        replies = self._run(
            [
                (
                    self._give_back,
                    (
                        claim.keys.python if end == "python" else claim.keys.queue,
                        *(claim.env, claim.start, claim.given, claim.alive),
                    ),
                    (claim.task.payload, end, int(claim.lapsed), GIVEN_TTL_S),
                )
                for claim in ordered
            ]
        )
        self._raise_first(replies)
        given = [cast("GivenBack", reply.decode()) for reply in replies]
        return given[::-1] if end == "head" else given

    def drop(self, claims: Sequence[Claim]) -> None:
        """Let go of tasks without an answer: their job is over."""
        with self._translated():
            self._client.delete(*(claim.start for claim in claims))

    def bury(self, keys: QueueKeys, payload: bytes) -> None:
        """Keep a payload that nobody can read, for a human to look at."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            pipe.rpush(keys.dead, payload)
            pipe.ltrim(keys.dead, -MAX_DEAD, -1)
            pipe.execute()

    def count_crash(self, claim: Claim, iteration: int | None, cause: str) -> int:
        """Note that an executor died on this task; return how often that happened, on all machines.

        Args:
            claim: The task.
            iteration: The iteration that was running, and for which deaths are counted; None if that is not
                known: then they are counted for the block as a whole.
            cause: Why it died.
        """
        task = claim.task
        block = crash_field(task.job, task.first, task.last)
        guilty = block if iteration is None else crash_field(task.job, iteration, iteration)
        with self._translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hincrby(claim.keys.crashes, guilty, 1)
            # So that whoever takes the block knows that there is something to look up.
            pipe.hincrby(claim.keys.crashes, block, 0)
            pipe.hset(claim.keys.crashes, crash_cause(guilty), cause)
            pipe.expire(claim.keys.crashes, CRASH_TTL_S)
            return int(pipe.execute()[0])

    def crashes(self, claim: Claim) -> list[Crash]:
        """All deaths that were counted for a task: for its iterations and for the block."""
        task = claim.task
        fields: dict[str, int | None] = {crash_field(task.job, task.first, task.last): None}
        fields.update({crash_field(task.job, n, n): n for n in task.iterations})
        with self._translated():
            pipe = self._client.pipeline(transaction=True)
            pipe.hmget(claim.keys.crashes, list(fields))
            pipe.hmget(claim.keys.crashes, [crash_cause(name) for name in fields])
            counts, causes = pipe.execute()
        return [
            Crash(iteration, int(count), (cause or b"").decode("utf-8", "replace"))
            for iteration, count, cause in zip(fields.values(), counts, causes, strict=True)
            if count and int(count)
        ]

    def keep_records(self, jobs: Sequence[tuple[QueueKeys, str]]) -> list[bool]:
        """Keep the records of published blocks of jobs that live; whether each one does. The others go."""
        with self._translated():
            pipe = self._client.pipeline(transaction=False)
            for keys, job in jobs:
                pipe.exists(keys.env(job))
                pipe.expire(keys.published(job), RECORD_TTL_S)
            lives = [bool(found) for found in pipe.execute()[::2]]
            gone = [keys.published(job) for (keys, job), alive in zip(jobs, lives, strict=True) if not alive]
            if gone:
                self._client.unlink(*gone)
        return lives
