"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. If that is a finalizer, which the
garbage collector may call at any time, the exception is swallowed and the program goes on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noticed_interrupts() -> Iterator[Callable[[], None]]:
    """Remember Ctrl-C while the block lasts; gives a function to call now and then.

    It raises KeyboardInterrupt if there was one before. Nothing is changed outside of the main thread, or if
    the program handles SIGINT in its own way.
    """
    interrupted = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield check
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
