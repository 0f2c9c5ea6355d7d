"""Frames survive whatever pieces a pipe delivers them in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.worker.frames import HEADER, Frame, FrameBuffer, FrameError, Kind, pack

FRAMES = st.lists(
    st.builds(
        Frame,
        kind=st.sampled_from(Kind),
        token=st.integers(min_value=-(2**31), max_value=2**31 - 1),
        body=st.binary(max_size=60),
    ),
    max_size=8,
)


def stream(frames: list[Frame]) -> bytes:
    return b"".join(pack(Kind(frame.kind), frame.token, frame.body) for frame in frames)


@given(FRAMES, st.data())
def test_any_pieces_give_the_same_frames(frames: list[Frame], data: st.DataObject) -> None:
    rest, buffer = stream(frames), FrameBuffer()
    found: list[Frame] = []
    while rest:
        size = data.draw(st.integers(min_value=0, max_value=len(rest)))
        found += buffer.feed(rest[:size])
        rest = rest[size:]
        if size == 0:
            found += buffer.feed(rest[:1])
            rest = rest[1:]
    assert found == frames


@given(FRAMES, st.integers(min_value=1, max_value=8))
def test_frames_not_taken_are_not_lost(frames: list[Frame], taken: int) -> None:
    """Whoever stops iterating finds the rest at the next call."""
    buffer = FrameBuffer()
    first = buffer.feed(stream(frames))
    found = [frame for _, frame in zip(range(taken), first, strict=False)]
    first.close()  # type: ignore[attr-defined]  # it is a generator
    assert found + list(buffer.feed(b"")) == frames


@given(FRAMES, st.integers(min_value=-(2**31), max_value=-1))
def test_negative_length_is_an_error(frames: list[Frame], length: int) -> None:
    found: list[Frame] = []
    with pytest.raises(FrameError):
        found.extend(FrameBuffer().feed(stream(frames) + HEADER.pack(1, 0, length)))
    assert found == frames
