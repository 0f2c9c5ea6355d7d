"""Where an executor is, told by the times of its output (`pydoredis.worker.frames`).

The R engines do the same in evaluate.R.
"""

from __future__ import annotations

import os
import select
import sys

from pydoredis.worker.frames import CUT_BEGINS


class Places:
    """Tells the agent which place this process has reached, and separates what is printed at different ones.

    Without `watch`, nothing happens.
    """

    def __init__(self) -> None:
        self._fd = self._times = -1
        self._cut = b""
        self._place = 0

    def watch(self, fd: int, cut: bytes, times: int) -> None:
        """From now on: the process's standard outputs are `fd`, too, and `cut` is the agent's secret.

        Where it is told by the times of `times`, which may be `fd`.
        """
        self._fd, self._cut, self._times = fd, cut, times

    def reach(self, place: int) -> None:
        """This place is reached: what is printed from now on is printed there."""
        if self._fd < 0:
            return
        flush()
        if os.stat(self._fd).st_mtime != self._place:
            self._write(b"%b%d%b" % (CUT_BEGINS, self._place, self._cut))
        os.utime(self._fd, (place, place))
        if self._times != self._fd:
            os.utime(self._times, (place, place))
        self._place = place

    def _write(self, data: bytes) -> None:
        """All of it or nothing: it is shorter than what a pipe takes in one piece."""
        while True:
            try:
                os.write(self._fd, data)
                return
            except BlockingIOError:  # something that a body started has set the pipe so
                select.select([], [self._fd], [])


def flush() -> None:
    """What Python code has printed goes into the pipe now."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - twice for each task: `suppress` takes as long as all the rest
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
