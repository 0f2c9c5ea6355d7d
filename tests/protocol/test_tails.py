"""The end of a task tells which iterations it has, for every form that R writes, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.tails import iterations_of_tail
from pydoredis.protocol.wire import decode_task
from rinterop import values
from tests.worker.executor_process import peer

JOB = "349_root_host_2026-11-23-11:45:31.773"

numbers = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=8, unique=True)


def task(iterations: list[int], *arguments: int, job: str = JOB) -> bytes:
    """A task as our coordinators write it."""
    element = values.named_list(x=values.integer(*arguments))
    elements = values.named_list([(str(number), element) for number in iterations])
    return rinterop.dumps(values.named_list(ID=values.character(job), argsList=elements))


def with_an_unknown_value(payload: bytes) -> bytes:
    """The task with something among its arguments that nobody can read."""
    return payload.replace(b"\0\0\0\x0d\0\0\0\x01\0\0\0\x07", b"\0\0\0\xc8\0\0\0\x01\0\0\0\x07")


@given(numbers, st.lists(st.sampled_from([1026, 511, 16, 254, -1, 7]), max_size=6))
def test_tasks_of_ours(iterations: list[int], arguments: list[int]) -> None:
    """Also where numbers among the arguments look like the beginning of the names: 1026 is 0x402."""
    assert iterations_of_tail(task(iterations, *arguments)) == tuple(iterations)


@pytest.mark.needs_r
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("as.character(7:9)", (7, 8, 9)),
        ("7:9", (7, 8, 9)),
        ("c('7', '9')", (7, 9)),
        ("c(7L, 9L, 1026L)", (7, 9, 1026)),
        ("1:1000", tuple(range(1, 1001))),
        ("3:1", (3, 2, 1)),
        ("5L", (5,)),
    ],
)
def test_tasks_of_r(names: str, expected: tuple[int, ...]) -> None:
    message = f"""{{ n <- {names}; args <- lapply(n, function(i) list(x = 7L, .Random.seed = as.integer(i)));
        names(args) <- n; serialize(list(ID = '{JOB}', argsList = args), NULL) }}""".replace("\n", " ")
    payload = peer().make(message)
    assert iterations_of_tail(payload) == expected == decode_task(payload).iterations


def test_a_task_that_cannot_be_read_is_one_with_a_problem() -> None:
    payload = with_an_unknown_value(task([4, 5], 7))
    found = decode_task(payload)
    assert (found.job, found.iterations, found.payload) == (JOB, (4, 5), payload)
    assert "cannot be read" in found.problem
    assert not decode_task(task([4, 5], 7)).problem


def test_what_nobody_could_answer_stays_an_error() -> None:
    """R has no integers for such numbers; and what is cut off has no end."""
    for payload in (with_an_unknown_value(task([2**31], 7)), with_an_unknown_value(task([1], 7))[:-1]):
        with pytest.raises(RemoteProtocolError):
            decode_task(payload)


@given(st.binary(max_size=200))
def test_garbage_does_not_tell(garbage: bytes) -> None:
    assert iterations_of_tail(garbage) is None
    end = task([1])[-46:]
    assert iterations_of_tail(garbage + end) is None


@given(st.data())
def test_damage_does_no_harm(data: st.DataObject) -> None:
    payload = bytearray(task([1, 2, 3], 7))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    iterations_of_tail(bytes(payload))
