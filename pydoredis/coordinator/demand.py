"""What a job tells of how far it is, and when. Pure: it goes along with what is said to Redis anyway."""

from __future__ import annotations

from pydoredis.coordinator.ledger import Ledger
from pydoredis.coordinator.window import Window
from pydoredis.protocol.telemetry import MAX_TRAIL, Demand

INTERVAL_S = 1.0
"""Seconds between two words about a job. One that is over sooner says nothing."""


class DemandNotes:
    """Keeps what is to be told of one job.

    Args:
        ledger: The job's books.
        window: Its pace.
        total: Number of iterations, if it is known.
    """

    def __init__(self, ledger: Ledger, window: Window, total: int | None) -> None:
        self._ledger = ledger
        self._window = window
        self._total = total
        self._due_s = float("inf")
        self._unsent = 0  # as it was told last
        self._trail: list[tuple[int, float]] = []  # how many iterations had been sent, and when (monotonic)

    def begin(self, now_s: float) -> None:
        """The job has begun."""
        self._due_s = now_s + INTERVAL_S
        self._trail.append((self._ledger.submitted, now_s))

    def due(self, waiting: int | None, failed: int, now_s: float) -> bytes | None:
        """What is to be told now; None if it is too soon.

        That everything is sent is told at once: else the last word would be that something waits.

        Args:
            waiting: Iterations that are known and not sent yet; None if nobody knows how many.
            failed: Iterations that ended with an error.
            now_s: The time (monotonic).
        """
        unsent = waiting if self._total is None else max(0, self._total - self._ledger.submitted)
        if now_s < self._due_s and not (self._unsent and unsent == 0):
            return None
        self._due_s = now_s + INTERVAL_S
        self._unsent = unsent or 0
        self._note(now_s)
        ledger = self._ledger
        return Demand(
            submitted=ledger.submitted,
            unsent=unsent,
            total=self._total,
            done=ledger.done,
            failed=failed,
            out=len(ledger),
            chunk_size=self._window.chunk(unsent),
            rate=round(self._window.rate, 3),
            trail=tuple((submitted, round(now_s - at_s, 1)) for submitted, at_s in self._trail),
        ).encode()

    def _note(self, now_s: float) -> None:
        """Remember when what was sent: of what is still out, and coarser the longer ago it was."""
        ledger = self._ledger
        if not self._trail or ledger.submitted > self._trail[-1][0]:
            self._trail.append((ledger.submitted, now_s))
        while len(self._trail) > 1 and self._trail[0][0] < ledger.oldest:
            del self._trail[0]
        if len(self._trail) > MAX_TRAIL:
            del self._trail[-2:0:-2]
