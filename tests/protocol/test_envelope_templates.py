"""Messages that are put together from pieces are the bytes that the writer would have written."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol import envelope_templates, wire
from rinterop import values

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
numbers = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=12)


@given(texts, numbers, st.binary(max_size=300))
def test_tasks(job: str, numbers: list[int], arguments: bytes) -> None:
    expected = values.named_list(
        ID=values.character(job),
        argsList=values.named_list([(str(number), values.list_()) for number in numbers]),
        arguments=values.raw(arguments),
    )
    assert envelope_templates.task(job, numbers, arguments) == rinterop.dumps(expected)


@given(numbers, st.binary(max_size=300))
def test_results(numbers: list[int], outcomes: bytes) -> None:
    first, *others = map(str, numbers)
    expected = values.named_list([(first, values.raw(outcomes)), *((name, values.NULL) for name in others)])
    assert envelope_templates.result(numbers, outcomes) == rinterop.dumps(expected)


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=12))
def test_integers(numbers: list[int]) -> None:
    assert envelope_templates.integers(numbers) == rinterop.dumps(values.integer(*numbers))


def test_numbers_that_are_no_integers_for_r() -> None:
    with pytest.raises(struct.error):
        envelope_templates.integers([2**31])
    with pytest.raises(RemoteProtocolError, match="no integers"):
        wire.decode_task(envelope_templates.task("J", [1, 2**31], b""))
