"""Frames in pipes: a stream of bytes becomes frames, frames become bytes on their way (`worker.frames`)."""

from __future__ import annotations

import itertools
import os
import struct
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from pydoredis.protocol import wire
from pydoredis.worker.frames import LONGEST_TEXT, Bytes, Frame, FrameError, Kind

_KEY_SPACE: Final = 1 << 20
"""What a REQUEST may have in addition to the largest value that Redis takes."""

_HEADER: Final = struct.Struct("<iii")
_HEAD_FORMATS: Final = {
    Kind.TASK: "ii",
    Kind.ANSWER: "c",
    Kind.VERDICT: "i",
    Kind.KEPT: "i",
    Kind.RESULT: "d",
    Kind.PARTIAL: "i",
    Kind.INTERRUPTED: "i",
    Kind.LOOP: "c",
}
_LONGEST: Final = {
    Kind.READY: LONGEST_TEXT,
    Kind.FAILED: LONGEST_TEXT,
    Kind.INTERRUPTED: 0,
    Kind.LOADED: 0,
    Kind.HERE: LONGEST_TEXT,
    Kind.LOOP: LONGEST_TEXT,
    Kind.ENV_FILE: LONGEST_TEXT,
    Kind.BARRIER: 0,
    Kind.SKIP: 0,
    Kind.FORGET: 0,
}
# By number, and for frames to be written with the header before it: an agent has thousands of them a second.
_HEADS: Final = {kind: struct.Struct("<" + _HEAD_FORMATS.get(kind, "")) for kind in Kind}
_LAYOUTS: Final[Mapping[int, tuple[struct.Struct, int]]] = {
    kind.value: (form, form.size + _LONGEST.get(kind, wire.MAX_MESSAGE + _KEY_SPACE))
    for kind, form in _HEADS.items()
}
"""By kind: the head, and the greatest length that a header may tell. Whoever reads a frame makes room for as
much as its header says, so more than that is not believed."""

_UNKNOWN: Final = (_HEADER, -1)  # no length is right

_FRONTS: Final = {kind: struct.Struct("<iii" + _HEAD_FORMATS.get(kind, "")) for kind in Kind}

_LARGE: Final = 1 << 16
"""Bodies from so many bytes on are not copied if that can be avoided."""

_READ_SIZE: Final = 1 << 18
_NO_ROOM: Final = memoryview(b"")
_MOST_PIECES: Final = 64  # at a time; systems take at least 16, Linux 1,024


def pack(kind: Kind, token: int, *head: object, body: Bytes | memoryview = b"") -> list[Bytes | memoryview]:
    """The bytes of one frame, a large body apart from the rest."""
    form = _FRONTS[kind]
    front = form.pack(kind, token, form.size - _HEADER.size + len(body), *head)
    return [front, body] if len(body) >= _LARGE else [front + body]


class FrameBuffer:
    """Turns a stream of bytes into frames, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._data = bytearray()
        # A large frame of which the front has come, and where the rest of its body goes.
        self._large: Frame | None = None
        self._room = _NO_ROOM

    def read(self, fd: int) -> Iterator[Frame]:
        """Read once from a pipe, and yield every frame that is now whole.

        Raises:
            FrameError: If a header makes no sense: no such kind, or a length that none of its frames has.
            EOFError: If the other side has closed its end.
            BlockingIOError: If nothing is there and the pipe does not block.
        """
        if self._room:
            count = os.readv(fd, [self._room])
            if not count:
                raise EOFError
            yield from self._fill(count)
            return
        data = os.read(fd, _READ_SIZE)
        if not data:
            raise EOFError
        yield from self.feed(data)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add `data`, and yield every frame that is now whole; see `read`."""
        if self._room:
            count = min(len(data), len(self._room))
            self._room[:count] = data[:count]
            data = data[count:]
            yield from self._fill(count)
        buffer = self._data
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= _HEADER.size:
                kind, token, length = _HEADER.unpack_from(buffer, start)
                form, longest = _LAYOUTS.get(kind, _UNKNOWN)
                if not form.size <= length <= longest:
                    raise FrameError(f"frame of kind {kind} with length {length}")
                body = start + _HEADER.size + form.size
                stop = body - form.size + length
                if stop > end and (length < _LARGE or body > end):
                    break
                head = form.unpack_from(buffer, body - form.size)
                if stop > end:
                    self._expect(Frame(kind, token, head, bytearray(stop - body)), buffer[body:])
                    start = end
                    break
                content = bytes(memoryview(buffer)[body:stop])
                start = stop
                yield Frame(kind, token, head, content)
        finally:
            del buffer[:start]

    def _expect(self, frame: Frame, beginning: bytearray) -> None:
        self._large = frame
        self._room = memoryview(frame.body)
        self._room[: len(beginning)] = beginning
        self._room = self._room[len(beginning) :]

    def _fill(self, count: int) -> Iterator[Frame]:
        self._room = self._room[count:]
        if not self._room and self._large is not None:
            frame, self._large = self._large, None
            self._room = _NO_ROOM  # an empty view of the body would keep that
            yield frame


class Outgoing:
    """Bytes on their way into a pipe."""

    def __init__(self) -> None:
        self._waiting: deque[Bytes | memoryview] = deque()
        self._owners: deque[int] = deque()  # of each of them
        self._last_owner = 0  # whose byte was the last that was written

    def __bool__(self) -> bool:
        """Whether some have to wait still."""
        return bool(self._waiting)

    def add(self, pieces: Sequence[Bytes | memoryview], owner: int = 0) -> None:
        """Line them up; `owner` is for `withdraw`."""
        self._waiting.extend(pieces)
        self._owners.extend([owner] * len(pieces))

    def withdraw(self, owners: Collection[int]) -> None:
        """Drop what belongs to these owners, but for one of whom some bytes are in the pipe already."""
        pieces = zip(self._waiting, self._owners, strict=True)
        left = [pair for pair in pieces if pair[1] not in owners or pair[1] == self._last_owner]
        self._waiting = deque(piece for piece, _ in left)
        self._owners = deque(owner for _, owner in left)

    def write(self, fd: int) -> None:
        """Write all; or what the pipe takes, if it does not block.

        Raises:
            BlockingIOError: If it takes no more.
            BrokenPipeError: If nobody reads.
        """
        waiting, owners = self._waiting, self._owners
        while waiting:
            if len(waiting) == 1:
                count = os.write(fd, waiting[0])
                if count == len(waiting[0]):
                    waiting.clear()
                    self._last_owner = owners.pop()
                    return
            else:
                count = os.writev(fd, list(itertools.islice(waiting, _MOST_PIECES)))
            while waiting and count >= len(waiting[0]):
                count -= len(waiting.popleft())
                self._last_owner = owners.popleft()
            if count:
                waiting[0] = memoryview(waiting[0])[count:]
                self._last_owner = owners[0]
