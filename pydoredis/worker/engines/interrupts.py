"""SIGINT in an executor of Python bodies: it reaches bodies only, and each task once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

_A = TypeVar("_A")
_T = TypeVar("_T")


class Interrupts:
    """Turns SIGINT into a KeyboardInterrupt of the body that runs, or else of the next one.

    A body is what is called in a `with` block of this object, which adds no frame to tracebacks.

    Attributes:
        struck: Whether the running task was interrupted: its body may have caught the exception.
    """

    def __init__(self) -> None:
        self.struck = False
        self._armed = False  # whether the exception may be raised just now
        self._pending = False

    def install(self) -> None:
        """Handle SIGINT from now on. Without this, an object of this class changes nothing."""
        signal.signal(signal.SIGINT, self._handle)

    def __enter__(self) -> None:
        """A body begins. Raises KeyboardInterrupt if SIGINT came before."""
        self._armed = True
        if self._pending:
            self._strike()

    def __exit__(self, *_: object) -> None:
        """It has ended."""
        self._armed = False

    def shielded(self, function: Callable[[_A], _T]) -> Callable[[_A], _T]:
        """The same function, for bodies to call: it is not interrupted half-way, but when it has returned."""

        def call(data: _A) -> _T:
            if threading.current_thread() is not threading.main_thread():
                return function(data)  # no signal is handled there
            armed, self._armed = self._armed, False
            try:
                return function(data)
            finally:
                self._armed = armed
                if armed and self._pending:
                    self._strike()

        return call

    def forget(self) -> None:
        """A SIGINT that no body has got is not meant for those to come."""
        self._pending = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._pending = True
        if self._armed:
            self._strike()

    def _strike(self) -> None:
        # What the body does in the end, `finally` and the like, is not interrupted again.
        self._armed = self._pending = False
        self.struck = True
        raise KeyboardInterrupt
