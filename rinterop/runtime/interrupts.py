"""Ctrl-C while R is busy.

Python's handler only takes a note, which is read when Python code runs again: too late to stop a loop in R.
R's own handler asks R to stop. So while R evaluates for somebody who left SIGINT to Python, R's handler is
in its place. The handlers change hands in C: `signal.signal` knows nothing of R's.
"""

from __future__ import annotations

import ctypes
import signal
from _signal import getsignal  # type: ignore[import-not-found]  # the one of `signal` takes 5 microseconds for enums
from typing import Final

_SIGACTION_BYTES = 512
"""More than a `struct sigaction` has anywhere; it is kept and given back, never looked into."""

_SIGINT: Final = int(signal.SIGINT)
_libc = ctypes.CDLL(None)
_of_r: ctypes.Array[ctypes.c_char] | None = None


def remember_handler_of_r() -> None:
    """To be called when R has just installed its handler."""
    global _of_r
    _of_r = ctypes.create_string_buffer(_SIGACTION_BYTES)
    _libc.sigaction(_SIGINT, None, _of_r)


def leave_to_r() -> None:
    """Let R's handler have SIGINT for good, in a process that runs R and little else."""
    _libc.sigaction(_SIGINT, _of_r, None)


class Interrupts:
    """Gives SIGINT to R and back to Python. Nests: R calls Python, which calls R."""

    def __init__(self) -> None:
        self._of_python = ctypes.create_string_buffer(_SIGACTION_BYTES)
        self._is_with_r = False

    def to_r(self) -> bool:
        """Let R have SIGINT, if Python's default handler had it; returns who had it: whether it was R.

        A handler of the user's own, or a signal that is ignored, stays as it is.
        """
        before = self._is_with_r
        if not before and _of_r is not None and getsignal(_SIGINT) is signal.default_int_handler:
            _libc.sigaction(_SIGINT, _of_r, self._of_python)
            self._is_with_r = True
        return before

    def to_python(self) -> bool:
        """Let Python have SIGINT again; returns who had it: whether it was R."""
        before = self._is_with_r
        if before:
            _libc.sigaction(_SIGINT, self._of_python, None)
            self._is_with_r = False
        return before
