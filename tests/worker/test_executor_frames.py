"""Frames survive whatever pieces a pipe delivers them in, and whatever pieces it takes."""

from __future__ import annotations

import contextlib
import os
import struct
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pydoredis.protocol.wire import MAX_MESSAGE
from pydoredis.worker.answers import (
    Failed,
    FromExecutor,
    Interrupted,
    Loaded,
    Loop,
    Partial,
    Ready,
    Request,
    Result,
    decode,
)
from pydoredis.worker.frame_streams import FrameBuffer, Outgoing, pack
from pydoredis.worker.frames import Frame, FrameError, Kind, LoopNews, Operation

INT32 = st.integers(min_value=-(2**31), max_value=2**31 - 1)
HEADS = {
    Kind.TASK: st.tuples(INT32, INT32),
    Kind.ANSWER: st.tuples(st.sampled_from([b"+", b"-", b"0"])),
    Kind.VERDICT: st.tuples(INT32),
    Kind.KEPT: st.tuples(INT32),
    Kind.RESULT: st.tuples(st.floats(allow_nan=False)),
    Kind.PARTIAL: st.tuples(INT32),
    Kind.INTERRUPTED: st.tuples(INT32),
    Kind.LOOP: st.tuples(st.sampled_from([*map(bytes, LoopNews), b"?"])),
}


def frames_of(kind: Kind) -> st.SearchStrategy[Frame]:
    if kind in (Kind.BARRIER, Kind.FORGET, Kind.SKIP, Kind.INTERRUPTED, Kind.LOADED):
        return st.builds(Frame, st.just(kind), INT32, HEADS.get(kind, st.just(())), st.just(b""))
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


TOO_LONG = {
    Kind.READY: 1 << 20,
    Kind.FAILED: 1 << 20,
    Kind.INTERRUPTED: 4,
    Kind.LOADED: 0,
    Kind.RESULT: MAX_MESSAGE + (1 << 20) + 8,
    Kind.PARTIAL: MAX_MESSAGE + (1 << 20) + 4,
    Kind.REQUEST: MAX_MESSAGE + (1 << 20),
    Kind.LOOP: (1 << 20) + 1,
}


@pytest.mark.parametrize("kind", TOO_LONG)
def test_no_room_is_made_for_more_than_frames_of_a_kind_may_have(kind: Kind) -> None:
    buffer = FrameBuffer()
    for length in (TOO_LONG[kind] + 1, 2**31 - 1, -1, -(2**31)):
        with pytest.raises(FrameError):
            list(buffer.feed(struct.pack("<iii", kind, 0, length)))
        buffer = FrameBuffer()
    found = list(buffer.feed(struct.pack("<iii", kind, 0, TOO_LONG[kind])))
    assert len(found) == (TOO_LONG[kind] == 0)


def said(data: bytes) -> list[FromExecutor]:
    """What an agent takes out of these bytes."""
    return [decode(frame) for frame in FrameBuffer().feed(data)]


HEADERS = st.builds(
    struct.Struct("<iii").pack,
    st.one_of(st.sampled_from([kind.value for kind in Kind]), INT32),
    INT32,
    st.one_of(st.integers(-20, 60), INT32),
)


@settings(max_examples=3000)
@given(st.lists(st.one_of(HEADERS, st.binary(max_size=40)), max_size=8).map(b"".join))
@example(b"\x1e1" * 3000)
def test_whatever_an_executor_writes_is_a_message_or_a_frame_error(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        said(data)


@settings(max_examples=3000)
@given(
    st.sampled_from([kind for kind in Kind if kind >= Kind.READY]),
    INT32,
    st.binary(max_size=60),
)
@example(Kind.RESULT, 1, struct.pack("<d", float("nan")))
@example(Kind.RESULT, 1, struct.pack("<d", float("inf")))
@example(Kind.REQUEST, 1, b"G\xff\xff\xff\xff")
@example(Kind.REQUEST, 1, b"G\xff\xff\xff\x7f")
@example(Kind.LOOP, 1, b"?")
@example(Kind.REQUEST, 1, b"?\0\0\0\0")
@example(Kind.REQUEST, 1, b"")
def test_whatever_a_frame_holds_is_a_message_or_a_frame_error(kind: Kind, token: int, rest: bytes) -> None:
    with contextlib.suppress(FrameError):
        (found,) = said(struct.pack("<iii", kind, token, len(rest)) + rest)
        if isinstance(found, Result):
            assert 0 <= found.seconds < float("inf")
        if isinstance(found, Request):
            assert len(found.key) + len(found.value) == len(rest) - 5


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind < Kind.READY])
def test_executors_do_not_send_what_agents_send(kind: Kind) -> None:
    head = {Kind.TASK: (1, 2), Kind.ANSWER: (b"+",), Kind.VERDICT: (0,), Kind.KEPT: (0,)}.get(kind, ())
    with pytest.raises(FrameError, match="executors do not send"):
        said(b"".join(pack(kind, 1, *head)))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (pack(Kind.READY, 0, body=b"R \xff"), Ready("R \ufffd")),
        (pack(Kind.RESULT, 7, 0.5, body=b"value"), Result(7, 0.5, b"value")),
        (pack(Kind.RESULT, 7, -0.5), Result(7, 0.0, b"")),
        (pack(Kind.PARTIAL, 7, 3, body=b"values"), Partial(7, 3, b"values")),
        (pack(Kind.FAILED, 7, body=b"\xffwhy"), Failed(7, "\ufffdwhy")),
        (pack(Kind.INTERRUPTED, 7, 2), Interrupted(7, 2)),
        (pack(Kind.LOADED, 7), Loaded(7)),
        (pack(Kind.LOOP, 7, b"+", body=b"Q\0job"), Loop(7, LoopNews.BEGINS, "Q", "job")),
        (pack(Kind.LOOP, 7, b"w"), Loop(7, LoopNews.WAITS)),
        (pack(Kind.REQUEST, 1, body=b"S\x02\0\0\0keyed"), Request(1, Operation.SET, b"ke", b"yed")),
    ],
)
def test_what_executors_say(pieces: list[bytes], expected: FromExecutor) -> None:
    assert said(b"".join(pieces)) == [expected]


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
