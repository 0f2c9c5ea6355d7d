"""What a worker tells the program that started it: that it is ready, and what bodies print.

One JSON document per line, over a pipe. Nothing waits for the reader: what it does not read in time is
dropped and counted.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""How much may wait for the reader."""


class Report:
    """The writing end.

    Args:
        fd: The pipe; None to report nothing.
        output: Whether to report what bodies print.
    """

    def __init__(self, fd: int | None = None, *, output: bool = False) -> None:
        self._fd = fd
        self._output = output
        self._waiting = bytearray()
        self._dropped = 0
        if fd is not None:
            os.set_blocking(fd, False)
            os.set_inheritable(fd, False)

    @property
    def pending(self) -> bool:
        """Whether something waits for the reader."""
        return bool(self._waiting)

    def ready(self, workers: int) -> None:
        """The workers can be given tasks."""
        self._send({"event": "ready", "workers": workers})

    def printed(self, job: str, iteration: int | None, text: str) -> None:
        """A body printed a line."""
        if not self._output:
            return
        if len(self._waiting) > MAX_WAITING_BYTES:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._send(
                {"event": "output", "job": job, "iteration": None, "text": f"({dropped} lines left out)"}
            )
        self._send({"event": "output", "job": job, "iteration": iteration, "text": text})

    def flush(self) -> None:
        """Write what the pipe takes."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._waiting and self._fd is not None:
                written = os.write(self._fd, self._waiting)
                del self._waiting[:written]

    def _send(self, event: dict[str, Any]) -> None:
        if self._fd is not None:
            self._waiting += json.dumps(event).encode() + b"\n"
            self.flush()
