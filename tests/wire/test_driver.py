"""The replay finds what it is there to find: a worker of a few lines breaks one rule each time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.redis_process import RedisProcess
from tests.wire.driver import HEADER_SIZE, Outcome, Replay, as_bytes, is_r_empty_string, r_integers
from tests.wire.recording import Recording, load_all

RECORDINGS = load_all()
HEADER = RECORDINGS["chunk3"].expects("result")[0].result[:HEADER_SIZE]


class ScriptedWorker:
    """Publishes the recorded results. `fault` names the rule that it breaks, "" for none."""

    def __init__(self, server: RedisProcess, recording: Recording, fault: str) -> None:
        self.client: redis.Redis = server.client()
        self.queue = recording.queues[0]
        self.answers = {task.payload: task for task in reversed(recording.tasks)}
        self.fault = fault
        self.stop = threading.Event()

    def serve(self) -> None:
        while not self.stop.is_set():
            reply = self.client.blpop([self.queue], timeout=0.05)
            if reply is not None:
                self.run(as_bytes(reply[1]))

    def run(self, payload: bytes) -> None:
        task = self.answers[payload]
        over = task.job and not self.client.exists(f"{self.queue}.env.{task.job}")
        if task.expect != "result" or over:
            if task.expect == "kept" and self.fault != "unreadable dropped":
                self.client.rpush(f"pydoredis:{{{self.queue}}}:dead", payload)
            if task.expect != "kept" and self.fault == "answers everything":
                self.client.lpush(f"{self.queue}.out.{task.job}", HEADER)
            return
        numbers = [int(name) for name in task.iterations.split(",")]
        tag = f"iters {numbers[0]}...{numbers[-1]} host here pid 7 begin 2026-11-23-12:00:00"
        if self.fault == "odd tag":
            tag = tag.replace("...", "-")
        start, alive = f"{self.queue}.start.{task.job}.{tag}", f"{self.queue}.alive.{task.job}.{tag}"
        self.client.set(alive, b"OK", ex=None if self.fault == "alive for ever" else 10)
        wrong = 1 if self.fault == "wrong start value" else 0
        body = [13, len(numbers), *(number + wrong for number in numbers)]
        self.client.set(start, HEADER + b"".join(n.to_bytes(4, "big") for n in body))
        if self.fault in ("wrong start value", "running without alive"):
            if self.fault == "running without alive":
                self.client.delete(alive)
            self.stop.wait(0.3)
        for _ in range(2 if self.fault == "answers twice" else 1):
            self.client.lpush(f"{self.queue}.out.{task.job}", task.result)
        if self.fault == "alive deleted":
            self.client.delete(alive)
        if self.fault != "start stays":
            self.client.delete(start)


@contextmanager
def serving(server: RedisProcess, recording: Recording, fault: str) -> Iterator[None]:
    worker = ScriptedWorker(server, recording, fault)
    thread = threading.Thread(target=worker.serve)
    thread.start()
    try:
        yield
    finally:
        worker.stop.set()
        thread.join()


def replay(server: RedisProcess, client: redis.Redis, scenario: str, fault: str) -> Outcome:
    recording = RECORDINGS[scenario]
    with serving(server, recording, fault):
        return Replay(client, recording, strict=True, timeout_s=10, patience_s=0.5).run()


@pytest.mark.parametrize("scenario", ["basic_sqrt", "chunk3", "rng_chunk1", "alien_payload", "orphan_task"])
def test_a_worker_that_keeps_the_rules_passes(
    scenario: str, redis_process: RedisProcess, redis_client: redis.Redis
) -> None:
    outcome = replay(redis_process, redis_client, scenario, "")
    assert outcome.problems == []
    assert len(outcome.answers) == len(RECORDINGS[scenario].expects("result"))


@pytest.mark.parametrize(
    ("fault", "scenario", "problem"),
    [
        ("answers twice", "chunk3", "came twice"),
        ("start stays", "chunk3", "start keys"),
        ("alive for ever", "chunk3", "has a TTL of -1 ms"),
        ("alive deleted", "chunk3", "no alive key is left"),
        ("odd tag", "chunk3", "odd tag"),
        ("wrong start value", "chunk3", "holds [2, 3, 4]"),
        ("running without alive", "chunk3", "has a TTL of -2 ms"),
        ("answers everything", "orphan_task", "a result for a task that asks for none"),
        ("unreadable dropped", "alien_payload", "kept aside"),
    ],
)
def test_each_broken_rule_is_found(
    fault: str, scenario: str, problem: str, redis_process: RedisProcess, redis_client: redis.Redis
) -> None:
    problems = replay(redis_process, redis_client, scenario, fault).problems
    assert any(problem in line for line in problems), problems


def test_tasks_that_nobody_serves_are_named(redis_client: redis.Redis) -> None:
    outcome = Replay(redis_client, RECORDINGS["chunk3"], strict=True, timeout_s=0.2).run()
    assert outcome.timed_out
    assert "4 of 4 results" in outcome.problems[0]
    assert not redis_client.exists("golden")


def test_the_two_r_values_that_are_read_without_r() -> None:
    assert r_integers(HEADER + bytes.fromhex("0000000d 00000002 00000004 ffffffff")) == [4, -1]
    assert r_integers(HEADER + bytes.fromhex("0000000e 00000000")) is None
    assert r_integers(b"4") is None
    assert is_r_empty_string(HEADER + bytes.fromhex("00000010 00000001 00040009 00000000"))
    assert not is_r_empty_string(b"")
