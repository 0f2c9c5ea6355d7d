"""Frames survive whatever pieces a pipe delivers them in, and whatever pieces it takes."""

from __future__ import annotations

import contextlib
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.worker.frames import Frame, FrameBuffer, FrameError, Kind, Outgoing, pack

INT32 = st.integers(min_value=-(2**31), max_value=2**31 - 1)
HEADS = {
    Kind.TASK: st.tuples(INT32, INT32),
    Kind.ANSWER: st.tuples(st.sampled_from([b"+", b"-", b"0"])),
    Kind.VERDICT: st.tuples(INT32),
    Kind.KEPT: st.tuples(INT32),
    Kind.RESULT: st.tuples(st.floats(allow_nan=False)),
    Kind.PARTIAL: st.tuples(INT32),
    Kind.INTERRUPTED: st.tuples(INT32),
}


def frames_of(kind: Kind) -> st.SearchStrategy[Frame]:
    bodies = st.one_of(st.binary(max_size=60), st.sampled_from([65_535, 65_536, 70_000, 300_000]).map(bytes))
    return st.builds(Frame, st.just(kind), INT32, HEADS.get(kind, st.just(())), bodies)


FRAMES = st.lists(st.sampled_from(Kind).flatmap(frames_of), max_size=6)
SIZES = st.one_of(st.integers(0, 100), st.sampled_from([65_536, 65_537, 200_000]))


def stream(frames: list[Frame]) -> bytes:
    return b"".join(
        piece
        for frame in frames
        for piece in pack(Kind(frame.kind), frame.token, *frame.head, body=frame.body)
    )


@given(FRAMES, st.data())
def test_any_pieces_give_the_same_frames(frames: list[Frame], data: st.DataObject) -> None:
    rest, buffer = stream(frames), FrameBuffer()
    found: list[Frame] = []
    while rest:
        size = data.draw(SIZES) or 1
        found += buffer.feed(rest[:size])
        rest = rest[size:]
    assert found == frames


@given(FRAMES, st.integers(min_value=1, max_value=8))
def test_frames_not_taken_are_not_lost(frames: list[Frame], taken: int) -> None:
    """Whoever stops iterating finds the rest at the next call."""
    buffer = FrameBuffer()
    first = buffer.feed(stream(frames))
    found = [frame for _, frame in zip(range(taken), first, strict=False)]
    first.close()  # type: ignore[attr-defined]  # it is a generator
    assert found + list(buffer.feed(b"")) == frames


@given(FRAMES, st.sampled_from([(1, -1), (0, 5), (99, 5), (int(Kind.TASK), 7), (int(Kind.RESULT), 0)]))
def test_a_header_that_makes_no_sense_is_an_error(frames: list[Frame], header: tuple[int, int]) -> None:
    """A kind that there is not, and a length that does not hold the kind's head."""
    kind, length = header
    found: list[Frame] = []
    with pytest.raises(FrameError):
        found.extend(FrameBuffer().feed(stream(frames) + struct.pack("<iii", kind, 0, length)))
    assert found == frames


@given(FRAMES)
def test_through_a_pipe(frames: list[Frame]) -> None:
    """Large bodies, for which a pipe has no room at once, among small ones."""
    reading, writing = os.pipe()
    outgoing, buffer = Outgoing(), FrameBuffer()
    for frame in frames:
        outgoing.add(pack(Kind(frame.kind), frame.token, *frame.head, body=frame.body))
    os.set_blocking(writing, False)
    found: list[Frame] = []
    try:
        while outgoing:
            try:
                outgoing.write(writing)
            except BlockingIOError:
                found += buffer.read(reading)
        os.close(writing)
        with contextlib.suppress(EOFError):
            while True:
                found += buffer.read(reading)
    finally:
        os.close(reading)
    assert found == frames


def test_a_pipe_that_blocks() -> None:
    frame = Frame(Kind.RESULT, 7, (0.5,), os.urandom(1_000_000))
    reading, writing = os.pipe()
    outgoing, buffer = Outgoing(), FrameBuffer()
    outgoing.add(pack(Kind.RESULT, 7, 0.5, body=frame.body))
    found: list[Frame] = []

    def read() -> None:
        while not found:
            found.extend(buffer.read(reading))

    reader = threading.Thread(target=read)
    reader.start()
    outgoing.write(writing)
    reader.join()
    assert found == [frame]
    assert not outgoing
    os.close(reading)
    os.close(writing)
