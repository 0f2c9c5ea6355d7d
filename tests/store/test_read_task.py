"""The script that takes tasks reads of them what `decode_task` reads, and reads nothing wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.messages import Task
from pydoredis.protocol.wire import decode_task
from pydoredis.store.connection import Script
from tests.protocol.test_tails import task
from tests.redis_process import needs_server
from tests.wire.recording import load_all
from tests.worker import test_executor_python as python_codec

pytestmark = needs_server

READ = (
    Script.read("read_task").source
    + """
local sound, job, numbers = pcall(read_task, ARGV[1])
if not sound or not job then return false end
return {job, table.concat(numbers, ',')}
"""
)

Read = Callable[[bytes], "tuple[str, tuple[int, ...]] | None"]
RECORDED = [each.payload for recording in load_all().values() for each in recording.tasks]
OURS = [
    python_codec.task(*({"i": n} for n in range(count)), first=first) for count, first in ((1, 1), (7, 100))
]


@pytest.fixture(scope="module")
def read(redis_process: object) -> Read:
    client: redis.Redis = redis_process.client()  # type: ignore[attr-defined]
    script = client.register_script(READ)

    def run(message: bytes) -> tuple[str, tuple[int, ...]] | None:
        found = script(args=[message])
        if found is None:
            return None
        return found[0].decode(), tuple(int(float(number)) for number in found[1].split(b","))

    return run


def decoded(message: bytes) -> Task | None:
    try:
        return decode_task(message)
    except RemoteProtocolError:
        return None


def agrees(read: Read, message: bytes) -> bool:
    """Whether the script has read the task. Where both read it, they must read the same."""
    told, known = read(message), decoded(message)
    if told is not None and known is not None:
        assert told == (known.job, known.iterations)
    return told is not None


def test_recorded_tasks_of_r(read: Read) -> None:
    assert len(RECORDED) > 100
    for message in RECORDED:
        known = decoded(message)
        assert agrees(read, message) == (known is not None and bool(known.iterations) and bool(known.job))


@pytest.mark.parametrize("message", OURS)
def test_tasks_of_ours(read: Read, message: bytes) -> None:
    assert agrees(read, message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=8, unique=True),
    st.lists(st.sampled_from([1026, 511, 16, 254, -1, 7]), max_size=6),
)
def test_numbers_that_look_like_the_beginning_of_names(
    read: Read, iterations: list[int], arguments: list[int]
) -> None:
    assert agrees(read, task(iterations, *arguments))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=1500)
@given(st.randoms(use_true_random=False), st.sampled_from([*RECORDED[::9], *OURS]))
def test_damaged_messages(read: Read, chance: random.Random, message: bytes) -> None:
    """Cut off, with bytes changed, doubled or left out: what the script reads of them is right."""
    damaged = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(max(1, len(damaged)))
        match chance.randrange(4):
            case 0:
                del damaged[at:]
            case 1:
                damaged[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                del damaged[at : at + chance.randrange(1, 9)]
            case _:
                damaged[at:at] = damaged[at : at + chance.randrange(1, 9)]
    agrees(read, bytes(damaged))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes(read: Read, message: bytes) -> None:
    agrees(read, message)
