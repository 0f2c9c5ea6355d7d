"""Keep the cyclic garbage collector off while values are made by the thousand."""

from __future__ import annotations

import gc
import threading


class Pause:
    """`with pause:` for what makes many objects and no garbage: the collector would go over them again and
    again. It is off as long as any thread is inside; the last one to leave turns it on, if it was on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._was_on:
                gc.enable()


pause = Pause()
