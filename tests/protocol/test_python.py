"""Results of Python jobs that are none: they cost their own iterations and nothing else."""

from __future__ import annotations

import dataclasses
import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.errors import EvaluatorError, RemoteProtocolError
from pydoredis.pickles.raised import Raised
from pydoredis.protocol import envelope_templates
from pydoredis.protocol.codec import FOLDED, Declined
from pydoredis.protocol.python import Program, PythonCodec, encode_result, failure

CODEC = PythonCodec(Program(print))
RAISED = Raised.of(ValueError("no"))


class EqualToNothing:
    """As an array, which has no truth."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


class LeavesTheProgram:
    def __reduce__(self) -> Any:
        return exit, (3,)


def decoded(numbers: list[int], pickled: bytes) -> list[tuple[int, bool, Any]]:
    """Items of a result message with these bytes in it."""
    return [*CODEC.decode_result("J", envelope_templates.result(numbers, pickled)).items]


def assert_unreadable(items: list[tuple[int, bool, Any]], numbers: list[int]) -> None:
    """Each of the iterations has an error that says so."""
    assert [number for number, _, _ in items] == numbers
    assert not any(succeeded for _, succeeded, _ in items)
    assert all(isinstance(error, EvaluatorError) for _, _, error in items)
    assert all("the result" in str(error) for _, _, error in items)


def test_outcomes_of_all_kinds() -> None:
    message = encode_result([4, 5, 6], [("ok", 7), None, failure(ValueError("no"))])
    four, five, (number, succeeded, error) = CODEC.decode_result("J", message).items
    assert (four, five, number, succeeded) == ((4, True, 7), (5, True, FOLDED), 6, False)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    "outcomes",
    [
        *([], [("ok", 1)], [("ok", 1)] * 3, 5, None, "ok", {"ok": 1, "error": 2}, (("ok", 1), ("ok", 2))),
        *([("ok", 1), 5], [("ok",), ("ok", 1)], [("ok", 1, 2)] * 2, [["ok", 1]] * 2, [("fine", 1)] * 2),
        *([("error", ValueError())] * 2, [("error", RAISED, "text")] * 2, [(EqualToNothing(), 1)] * 2),
        *([("ok", LeavesTheProgram())] * 2,),
    ],
)
def test_the_wrong_number_or_type(outcomes: Any) -> None:
    assert_unreadable(decoded([1, 2], pickle.dumps(outcomes)), [1, 2])


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.just("ok") | st.just("error"),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(plain, st.integers(1, 3))
def test_any_value_is_read_or_unreadable(value: Any, size: int) -> None:
    numbers = [*range(1, size + 1)]
    items = decoded(numbers, pickle.dumps(value))
    assert [number for number, _, _ in items] == numbers


@given(st.data())
def test_a_failure_with_wrong_fields(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(Raised)]))
    wrong: Any = {name: data.draw(plain)}
    damaged = dataclasses.replace(RAISED, **wrong)
    ((number, succeeded, error),) = decoded([3], pickle.dumps([("error", damaged)]))
    assert (number, succeeded) == (3, False)
    assert isinstance(error, BaseException)


@given(st.data())
def test_bytes_that_are_cut_or_changed(data: st.DataObject) -> None:
    message = bytearray(encode_result([1, 2], [("ok", [1.5, "text"]), failure(ValueError("no"))]))
    begin = message.index(b"\x80\x05")  # what pickle itself does with changed bytes may take any memory
    if data.draw(st.booleans()):
        del message[data.draw(st.integers(0, len(message) - 1)) :]
    else:
        message[data.draw(st.integers(0, begin - 1))] = data.draw(st.integers(0, 255))
    with suppress(RemoteProtocolError, Declined):
        items = CODEC.decode_result("J", bytes(message)).items
        assert all(succeeded or isinstance(value, BaseException) for _, succeeded, value in items)


@given(st.integers(0, 200))
def test_pickles_that_are_cut(length: int) -> None:
    pickled = pickle.dumps([("ok", ["text"] * 20), ("ok", {"k": b"bytes" * 20})])
    assert_unreadable(decoded([1, 2], pickled[: min(length, len(pickled) - 1)]), [1, 2])
