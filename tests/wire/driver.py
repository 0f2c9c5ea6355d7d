"""Plays the coordinator's part of a recording against a live server and watches what the worker does."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from tests.wire.recording import RecordedTask, Recording, Step

# Bodies of R values after the header (format, versions, encoding), which differs between R releases.
R_EMPTY_STRING = bytes.fromhex("00000010 00000001 00040009 00000000")
HEADER_SIZE = 23

# A worker leaves the alive key of a task for so long after its result, at least (12.6).
ALIVE_AFTER_S = 2
TAG = re.compile(r"iters (\d+)\.\.\.(\d+) host (\S+) pid (\d+) begin (\S+)")


@dataclass
class Outcome:
    """What came of a replay: result messages by job, and whatever broke a rule of the protocol."""

    answers: list[tuple[str, bytes]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    timed_out: bool = False


def as_bytes(reply: bytes | str | None) -> bytes:
    """A reply of the server; "" for none. (The client's types allow text, which this one never gives.)"""
    return reply.encode() if isinstance(reply, str) else reply or b""


def r_integers(data: bytes) -> list[int] | None:
    """The numbers of an R-serialized plain integer vector, or None if it is something else."""
    body = data[HEADER_SIZE:]
    if data[:2] != b"X\n" or body[:4] != b"\0\0\0\x0d" or len(body) < 8:
        return None
    count = int.from_bytes(body[4:8], "big")
    numbers = [int.from_bytes(body[8 + 4 * k : 12 + 4 * k], "big", signed=True) for k in range(count)]
    return numbers if len(body) == 8 + 4 * count else None


def is_r_empty_string(data: bytes) -> bool:
    """Whether these are the 39 bytes that `Q.live` holds."""
    return len(data) == HEADER_SIZE + len(R_EMPTY_STRING) and data.endswith(R_EMPTY_STRING)


class Replay:
    """One recording, played once.

    Args:
        strict: Push also the tasks that nobody should answer.
        timeout_s: For all results together.
        patience_s: For each effect that comes right after a result.
    """

    def __init__(
        self,
        client: redis.Redis,
        recording: Recording,
        *,
        strict: bool,
        timeout_s: float,
        patience_s: float = 5.0,
    ) -> None:
        self.client = client
        self.recording = recording
        self.strict = strict
        self.deadline = time.monotonic() + timeout_s
        self.patience_s = patience_s
        self.outcome = Outcome()
        self.waiting: dict[str, set[str]] = {}
        self.finished: set[str] = set()
        self.seen_starts: set[str] = set()
        self.awaited_s: dict[str, float] = {}  # when a job's last result had not come yet

    def run(self) -> Outcome:
        """Play all steps; what is wrong stands in the outcome, nothing is raised for it."""
        for step in self.recording.steps:
            self._play(step)
        for step in self.recording.steps:
            if step.do == "set" and step.job and step.job not in self.finished:
                self._finish(step.key, step.job)
        if self.strict:
            self._settle()
        self._look_for_leftovers()
        return self.outcome

    def _play(self, step: Step) -> None:
        if step.do == "set":
            self.client.set(step.key, step.value)
            self.finished.discard(step.job)
        elif step.do == "delete":
            self.client.delete(step.key)
        elif step.do == "finish":
            self._finish(step.key, step.job)
        else:
            tasks = [task for task in step.tasks if self.strict or task.expect == "result"]
            for task in tasks:
                if task.expect == "result":
                    self.waiting.setdefault(task.job, set()).add(task.iterations)
            if tasks:
                self.awaited_s.update((task.job, time.monotonic()) for task in tasks)
                self.client.rpush(step.key, *(task.payload for task in tasks))

    def _finish(self, env_key: str, job: str) -> None:
        """Wait for the job's results as its coordinator did, then take the environment away."""
        queue = env_key.split(".env.", 1)[0]
        wanted = len(self.waiting.pop(job, ()))
        out = f"{queue}.out.{job}"
        for _ in range(wanted):
            answer = self._next_answer(queue, job, out)
            if answer is None:
                self._give_up(queue, job, wanted)
                break
            if (job, answer) in self.outcome.answers:
                self._complain(f"the same result came twice: {answer[-60:]!r}")
            self.outcome.answers.append((job, answer))
        else:
            if wanted:
                self._wait_for(
                    lambda: not self._keys(f"{queue}.start.{job}"), f"start keys of {job} are gone"
                )
                self._check_alive(queue, job)
        if self.client.llen(out):
            self._complain(f"{self.client.llen(out)} results more than tasks")
        self.client.delete(env_key)
        self.finished.add(job)

    def _next_answer(self, queue: str, job: str, out: str) -> bytes | None:
        while time.monotonic() < self.deadline:
            if not self.client.llen(out):
                self.awaited_s[job] = time.monotonic()
            reply = self.client.brpop([out], timeout=0.1)
            if reply is not None:
                return as_bytes(reply[1])
            self._check_running(queue, job)
        return None

    def _check_running(self, queue: str, job: str) -> None:
        """A start key holds the iterations its tag names, and has an alive key beside it that expires."""
        prefix = f"{queue}.start.{job}."
        for key in self._keys(prefix):
            tag = key[len(prefix) :]
            value = as_bytes(self.client.get(key))
            if not value or key in self.seen_starts:
                continue
            self.seen_starts.add(key)
            match = TAG.fullmatch(tag)
            numbers = r_integers(value)
            if match is None or not numbers or (numbers[0], numbers[-1]) != (int(match[1]), int(match[2])):
                self._complain(f"start key {tag!r} holds {numbers or value!r}")
            # R coordinators take a start key without an alive key for a dead worker.
            ttl_ms = self.client.pttl(f"{queue}.alive.{job}.{tag}")
            if not 0 < ttl_ms <= 10_000:
                self._complain(f"alive key of running task {tag!r} has a TTL of {ttl_ms} ms")

    def _check_alive(self, queue: str, job: str) -> None:
        """After the last result its alive key is still there (R coordinators need that), for 2 s at least."""
        prefix = f"{queue}.alive.{job}."
        keys = self._keys(prefix)
        # On a busy machine, or busy with another job, we may have come too late to tell.
        if not keys and time.monotonic() - self.awaited_s[job] < ALIVE_AFTER_S:
            self._complain(f"no alive key is left of {job} right after its last result")
        blocks = {(t.iterations.split(",")[0], t.iterations.split(",")[-1]) for t in self.recording.tasks}
        for key in keys:
            match = TAG.fullmatch(key[len(prefix) :])
            # In milliseconds: TTL rounds, so that a key in its last half second has 0.
            ttl_ms = self.client.pttl(key)
            if match is None or (match[1], match[2]) not in blocks:
                self._complain(f"alive key with the odd tag {key[len(prefix) :]!r}")
            if not (0 <= ttl_ms <= 10_000 or ttl_ms == -2):
                self._complain(f"alive key {key!r} has a TTL of {ttl_ms} ms")

    def _settle(self) -> None:
        """Let the worker take what it must not answer; then nothing happens for a while."""
        silent = self.recording.expects("nothing") + self.recording.expects("kept")
        if not silent:
            return
        # Others may play on the same queue, so taking these can last as long as everything they do.
        while self._queued(silent) and time.monotonic() < self.deadline:
            time.sleep(0.01)
        if self._queued(silent):
            self._complain("elements that nobody should answer are still in the queue")
        self._wait_for(lambda: not self._not_kept(), None)
        for task in self._not_kept():
            self._complain(f"not kept aside: {task.payload[:60]!r}")
        quiet_until = time.monotonic() + 0.5
        while time.monotonic() < quiet_until:
            for task in self.recording.expects("nothing"):
                for queue in self.recording.queues:
                    if self.client.llen(f"{queue}.out.{task.job}"):
                        self._complain(
                            f"a result for a task that asks for none: {task.job} {task.iterations!r}"
                        )
                        return
            time.sleep(0.05)

    def _queued(self, tasks: list[RecordedTask]) -> bool:
        queued = {
            as_bytes(entry) for queue in self.recording.queues for entry in self.client.lrange(queue, 0, -1)
        }
        return any(task.payload in queued for task in tasks)

    def _not_kept(self) -> list[RecordedTask]:
        lists = [f"pydoredis:{{{queue}}}:dead" for queue in self.recording.queues]
        kept = [as_bytes(entry) for key in lists for entry in self.client.lrange(key, 0, -1)]
        return [
            task
            for task in self.recording.expects("kept")
            if not any(task.payload in entry for entry in kept)
        ]

    def _look_for_leftovers(self) -> None:
        """Of a job that is over only keys that expire by themselves may be left."""
        jobs = self.recording.jobs
        left: list[str] = []

        def forever() -> list[str]:
            nonlocal left
            left = [
                key for key in self._keys("") if any(j in key for j in jobs) and self.client.ttl(key) == -1
            ]
            return left

        if not self._wait_for(lambda: not forever(), None):
            self._complain(f"keys without expiry are left: {left}")

    def _give_up(self, queue: str, job: str, wanted: int) -> None:
        got = sum(1 for answered, _ in self.outcome.answers if answered == job)
        self.outcome.timed_out = True
        starts = [key.split(".start.", 1)[1] for key in self._keys(f"{queue}.start.{job}")]
        counts = Counter(task.expect for task in self.recording.tasks)
        self._complain(
            f"{wanted - got} of {wanted} results of {job} did not come; "
            f"queue length {self.client.llen(queue)}, start keys {starts}, tasks {dict(counts)}"
        )
        for task in self.recording.tasks:
            self.client.lrem(queue, 0, task.payload)  # type: ignore[arg-type]

    def _keys(self, prefix: str) -> list[str]:
        # Not KEYS with the prefix: queue names may hold what patterns take for special.
        return sorted(k.decode() for k in self.client.scan_iter(count=1000) if k.decode().startswith(prefix))

    def _wait_for(self, condition: Callable[[], object], what: str | None) -> bool:
        until = time.monotonic() + self.patience_s
        while not condition():
            if time.monotonic() > until:
                if what:
                    self._complain(f"still not after {self.patience_s} s: {what}")
                return False
            time.sleep(0.005)
        return True

    def _complain(self, problem: str) -> None:
        self.outcome.problems.append(problem)
