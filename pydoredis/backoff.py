"""Pauses between attempts. Pure arithmetic: the caller brings the time."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double while something keeps failing, with jitter, so that many workers spread out.

    An attempt that fails only after longer than the pause before it has been of use, and pauses begin anew:
    where connections are cut all the time, work goes on in between.
    """

    def __init__(self, first_s: float = 0.1, longest_s: float = 5.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._pause_s = 0.0
        self._due_s = float("inf")
        self._tried_s = float("inf")

    @property
    def active(self) -> bool:
        """Whether the last attempt failed."""
        return self._pause_s > 0

    @property
    def due_s(self) -> float:
        """When (monotonic) the pause is over; infinity while there is none."""
        return self._due_s

    def begin(self, now_s: float) -> None:
        """An attempt failed."""
        if now_s - self._tried_s > self._pause_s:
            self._pause_s = 0.0
        self._pause_s = min(max(2 * self._pause_s, self._first_s), self._longest_s)
        self._due_s = now_s + self._pause_s * random.uniform(0.5, 1.0)

    def over(self, now_s: float) -> bool:
        """Whether no pause is under way (any more)."""
        if now_s >= self._due_s:
            self._tried_s, self._due_s = now_s, float("inf")
        return self._due_s == float("inf")

    def reset(self) -> bool:
        """An attempt succeeded; returns whether that is news."""
        if not self._pause_s:
            return False
        self._pause_s, self._due_s = 0.0, float("inf")
        return True
