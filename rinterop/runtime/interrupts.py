"""Ctrl-C while R is busy, and other signals that both R and Python have a mind about.

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
_SIGPIPE: Final = int(signal.SIGPIPE)
_libc = ctypes.CDLL(None)
_of_r: ctypes.Array[ctypes.c_char] | None = None
_pipe_of_r: ctypes.Array[ctypes.c_char] | None = None


def before_r_starts() -> None:
    """To be called before R installs its handlers: R from 4.5 on leaves SIGINT ignored if it finds it so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def take_from_r() -> None:
    """To be called when R has just installed its handlers, which it gets back where that is wanted."""
    global _of_r, _pipe_of_r
    _of_r, _pipe_of_r = (ctypes.create_string_buffer(_SIGACTION_BYTES) for _ in range(2))
    _libc.sigaction(_SIGINT, None, _of_r)
    _libc.sigaction(_SIGPIPE, None, _pipe_of_r)
    # R's handler for a broken pipe raises an R error, which would end the process when Python writes.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # R's handler asks for an interrupt of whatever R does next; the caller sets another one if it likes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def leave_to_r() -> None:
    """Let R have its signals for good, in a process that runs R and little else.

    What R code starts finds them as R's own children do: a signal that is ignored, as Python ignores SIGPIPE
    and SIGXFSZ, would be ignored in those programs, too.
    """
    _libc.sigaction(_SIGINT, _of_r, None)
    _libc.sigaction(_SIGPIPE, _pipe_of_r, None)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


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
