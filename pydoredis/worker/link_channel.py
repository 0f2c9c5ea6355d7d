"""A socket to Redis in the agent's loop: commands out, replies in, and no call that waits."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import hiredis

Word: TypeAlias = "bytes | bytearray | memoryview | str | int | float"
Command: TypeAlias = "Sequence[Word]"

_READ_BYTES: Final = 1 << 17
"""More than a record of TLS (16 KB). So none is taken in part, whose rest the descriptor would not show."""

_TURN_BYTES: Final = 1 << 20
"""How much one `read` or `write` moves at most, more or less: then the loop turns to others."""

_SMALL_BYTES: Final = 1 << 14
"""Pieces up to this size are joined: a copy costs less than another piece in a system call."""

_PIECES: Final = 64
"""Pieces of one system call: systems have a limit (IOV_MAX, 1024 on Linux and macOS)."""

_PLAIN: Final = frozenset({bytes, str, int, float})
"""Types of words that are packed as they are."""

_MORE: Final = object()
"""What hiredis answers when the next reply is not there as a whole; False may be a reply."""

_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Channel:
    """Writes commands to a connected socket and reads what Redis sends, without ever waiting.

    Attributes:
        moved_s: When (monotonic) bytes last went either way, or commands were given to be sent.

    Args:
        sock: Plain or TLS, connected; the channel owns it from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        # Without an encoding: replies are bytes. An error reply is a value, `hiredis.ReplyError`.
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._buffer = bytearray(_READ_BYTES)
        self._out: deque[memoryview] = deque()
        # TLS may have to read before it can write (a new key was announced), or write before it can read.
        self._write_wants_read = False
        self._read_wants_write = False
        self.moved_s = time.monotonic()

    def fileno(self) -> int:
        """The descriptor to wait for: always until it is readable."""
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether to wait until it is writable, too."""
        return self._read_wants_write or (bool(self._out) and not self._write_wants_read)

    def send(self, commands: Sequence[Command]) -> None:
        """Take commands to be written, in order. Large values are not copied: they must stay as they are
        until the reply has come or the channel is closed."""
        self._out.extend(pack(commands))
        self.moved_s = time.monotonic()

    def ready(self, readable: bool, writable: bool) -> list[Any]:
        """Write and read as much as goes just now; return the replies and pushes that are whole.

        Args:
            readable: Whether the descriptor is readable.
            writable: Whether it is writable.

        Raises:
            OSError: If the connection is lost, or what comes is not Redis's protocol.
        """
        if self._out and (writable or (readable and self._write_wants_read)):
            self.write()
        if readable or (writable and self._read_wants_write):
            return self._read()
        return []

    def write(self) -> None:
        """Write as much as goes just now.

        Raises:
            OSError: If the connection is lost.
        """
        self._write_wants_read = False
        written = 0
        try:
            while self._out and written < _TURN_BYTES:
                written += self._write_some()
        except ssl.SSLWantReadError:
            self._write_wants_read = True
        except _NOT_NOW:
            pass
        if written:
            self.moved_s = time.monotonic()

    def close(self) -> None:
        """Close the socket at once: no farewell by TLS, which could wait."""
        self._sock.close()

    # --- out ----------------------------------------------------------------------------------------------

    def _write_some(self) -> int:
        # TLS copies what it encrypts, and takes one piece at a time.
        if self._tls:
            sent = self._tls.send(self._out[0][:_TURN_BYTES])
        else:
            sent = self._sock.sendmsg(itertools.islice(self._out, _PIECES))
        left = sent
        while left:
            piece = self._out.popleft()
            if left < len(piece):
                self._out.appendleft(piece[left:])
                break
            left -= len(piece)
        return sent

    # --- in -----------------------------------------------------------------------------------------------

    def _read(self) -> list[Any]:
        self._read_wants_write = False
        replies: list[Any] = []
        came = 0
        try:
            while came < _TURN_BYTES:
                size = self._sock.recv_into(self._buffer)
                if not size:
                    raise ConnectionResetError("the server closed the connection")
                came += size
                self._reader.feed(self._buffer, 0, size)  # type: ignore[arg-type]  # takes any buffer
                while (reply := self._reader.gets()) is not _MORE:
                    replies.append(reply)
                if size < len(self._buffer) and not self._tls:
                    break  # that was all: another call would only say so (TLS gives one record at a time)
        except ssl.SSLWantWriteError:
            self._read_wants_write = True
        except _NOT_NOW:
            pass
        except hiredis.ProtocolError as error:
            raise ConnectionError(f"what answers there is no Redis ({error})") from error
        except OSError:
            # What came before the end is told first; the end is found again by the next call.
            if not replies:
                raise
        if came:
            self.moved_s = time.monotonic()
        return replies


def pack(commands: Sequence[Command]) -> Iterator[memoryview]:
    """Commands as Redis reads them, in pieces: large words as they are, all else joined."""
    small: list[bytes | memoryview] = []
    for command in commands:
        small_words = all(type(word) is not bytes or len(word) <= _SMALL_BYTES for word in command)
        if small_words and _PLAIN.issuperset(map(type, command)):
            small.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]  # any length
            continue
        words = [_flat(word) for word in command]
        small.append(b"*%d\r\n" % len(words))
        for word in words:
            data = word if isinstance(word, (bytes, memoryview)) else str(word).encode()
            small.append(b"$%d\r\n" % len(data))
            if len(data) <= _SMALL_BYTES:
                small.append(data)
            else:
                yield memoryview(b"".join(small))
                yield memoryview(data)
                small.clear()
            small.append(b"\r\n")
    yield memoryview(b"".join(small))


def _flat(word: Word) -> bytes | memoryview | str | int | float:
    """A word whose `len` is its size in bytes."""
    return memoryview(word).cast("B") if isinstance(word, (bytearray, memoryview)) else word
