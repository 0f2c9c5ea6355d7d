"""What an agent tells of itself that its core cannot know: memory of its processes, and what it warned of."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence

from pydoredis.protocol.telemetry import MAX_ERROR, MAX_ERRORS, Surroundings, Warned
from pydoredis.worker.process import resident_bytes


class Outlook:
    """Keeps the last warnings, and looks at memory when it is called."""

    def __init__(self) -> None:
        self._warnings: deque[tuple[float, str]] = deque(maxlen=MAX_ERRORS)

    def logged(self, level: int, text: str) -> None:
        """The agent has logged a line."""
        if level >= logging.WARNING:
            self._warnings.append((time.monotonic(), text[:MAX_ERROR]))

    def __call__(self, pids: Sequence[int]) -> Surroundings:
        """What there is to say of these processes, and the last warnings."""
        now_s = time.monotonic()
        weighed = {pid: resident_bytes(pid) for pid in pids}
        return Surroundings(
            {pid: size for pid, size in weighed.items() if size},
            [Warned(round(now_s - at_s, 3), text) for at_s, text in self._warnings],
        )
