"""The recorder of transcripts: what it writes down, and that the kept recordings are what it makes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import redis

from tests.redis_process import RedisProcess, needs_server
from tests.wire import record
from tests.wire.compare import Comparer
from tests.wire.recording import load_all

KEPT = {name: recording for name, recording in load_all().items() if name.startswith("loops-")}


@needs_server
def test_what_passes_is_written_down_in_order(redis_process: RedisProcess) -> None:
    messages: list[dict[str, Any]] = []
    binary = bytes(range(256)) * 400  # comes in several pieces
    with (
        record.Tap(redis_process.port, "coordinator", messages) as tap,
        redis.Redis.from_url(tap.url, protocol=2) as client,
    ):
        client.set("tapped", binary)
        with pytest.raises(redis.exceptions.ResponseError):
            client.incr("tapped")
        with client.pipeline(transaction=False) as pipe:
            pipe.get("tapped").delete("tapped").execute()
    assert {message["role"] for message in messages} == {"coordinator"}
    commands = [message for message in messages if message["ev"] == "cmd" and "tapped" in plain(message)]
    assert [command["name"] for command in commands] == ["SET", "INCRBY", "GET", "DEL"]
    assert base64.b64decode(commands[0]["argv"][2]) == binary
    for command in commands:
        (reply,) = (each for each in messages if each["ev"] == "reply" and each["n"] == command["n"])
        assert messages.index(reply) > messages.index(command)
        assert reply["t"] >= command["t"]
        assert ("error" in reply["value"]) == (command["name"] == "INCRBY")


def plain(message: dict[str, Any]) -> list[str]:
    """The words of a command, as far as they are text."""
    return [base64.b64decode(word).decode(errors="replace") for word in message["argv"]]


def test_connections_by_what_they_say() -> None:
    messages = [
        {"conn": 1, "role": "worker1", "name": "EXISTS"},
        {"conn": 2, "role": "worker1", "name": "SET"},
        {"conn": 1, "role": "worker1", "name": "BLPOP"},
        {"conn": 3, "role": "coordinator", "name": "SET"},
        {"conn": 2, "role": "worker1"},
    ]
    assert record.kinds(messages) == {1: "worker", 2: "liveness", 3: "coordinator"}


def test_loops_of_each_r_are_kept() -> None:
    assert sorted(KEPT) == ["loops-4.5", "loops-4.6"]
    for name, recording in KEPT.items():
        assert f" {name.removeprefix('loops-')}." in recording.versions["R"]
        assert (len(recording.expects("result")), recording.left_out) == (42, ())
        assert len(recording.jobs) == 6


@pytest.mark.rpeer
def test_loops_recorded_here(comparer: Comparer) -> None:
    made = record.record()
    kept = next(iter(KEPT.values()))
    assert [task.iterations for task in made.tasks] == [task.iterations for task in kept.tasks]
    assert made.left_out == ()
    # The values of the kept ones, under the names that the jobs have now.
    jobs = dict(zip(kept.jobs, made.jobs, strict=True))
    published = [(jobs[task.job], task.result) for task in kept.tasks]
    assert comparer.differences(made.tasks, published) == []
