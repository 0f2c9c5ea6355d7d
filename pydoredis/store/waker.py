"""Ends a wait on sockets from another thread."""

from __future__ import annotations

import contextlib
import socket


class Waker:
    """A descriptor that becomes readable when some thread says `wake`.

    A pair of sockets rather than a pipe: `select` takes nothing else on some systems.
    """

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    def fileno(self) -> int:
        """What to wait for, until it is readable."""
        return self._out.fileno()

    def wake(self) -> None:
        """End the wait that is under way, or else the next one. Does nothing after `close`."""
        with contextlib.suppress(OSError):  # full: it is awake already
            self._in.send(b"\0")

    def clear(self) -> None:
        """Take back all that was said so far."""
        with contextlib.suppress(BlockingIOError):
            while self._out.recv(4096):
                pass

    def close(self) -> None:
        """Close the descriptors."""
        self._in.close()
        self._out.close()
