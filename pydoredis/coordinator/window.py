"""How much a coordinator sends ahead, and in what pieces. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

AHEAD_S = 0.5
"""Seconds of work of the whole pool that are out. Workers never wait for the next task, and another job's
first task waits no longer than this."""

MIN_TASKS = 8
MIN_TASKS_PER_WORKER = 4
"""Tasks that are out at least: while the pace is not known, and when each takes long."""

MAX_TASKS = 4096
MAX_BYTES = 64 * 1024 * 1024
"""What is out at most, but always enough for each worker to have a task."""

TASK_S = 0.02
"""Seconds that a task should take with the chunk size `auto`: many times what it costs to hand it out."""

_PERIOD_S = 0.05
_WEIGHT = 0.5
_TAIL_SHARE = 4


@dataclass(slots=True)
class Window:
    """Follows the pace of a job.

    Attributes:
        chunk_size: Iterations per task; None: find out (`auto`).
        workers: How many work on the queue, as far as they say.
        max_ahead: How many iterations may be out or waiting behind the oldest that is out; None: no limit.
    """

    chunk_size: int | None = 1
    workers: int = 1
    max_ahead: int | None = None
    _rate: float = 0.0  # iterations per second
    _since_s: float | None = None
    _counted: int = 0
    _current: int = 1

    @property
    def rate(self) -> float:
        """Iterations that are done per second; 0 while that is not known."""
        return self._rate

    def note(self, iterations: int, now_s: float) -> None:
        """Results for so many iterations came in."""
        self._counted += iterations
        if self._since_s is None:
            # The time before the first result says more about the pool's start than about its pace.
            self._since_s, self._counted = now_s, 0
            return
        seconds = now_s - self._since_s
        if seconds >= _PERIOD_S and self._counted:
            rate = self._counted / seconds
            self._rate = rate if not self._rate else self._rate + _WEIGHT * (rate - self._rate)
            self._since_s, self._counted = now_s, 0
            if self.chunk_size is None:
                ideal = self._rate * TASK_S / max(1, self.workers)
                self._current = max(1, min(int(ideal), 4 * self._current))

    def chunk(self, remaining: int | None) -> int:
        """Iterations for the next task; fewer near the job's end, so that all workers end together."""
        if self.chunk_size is not None:
            return self.chunk_size
        if remaining is None:
            return self._current
        return max(1, min(self._current, remaining // (_TAIL_SHARE * max(1, self.workers))))

    def room(self, tasks: int, payload_bytes: int, ahead: int) -> int:
        """How many more tasks may go out.

        Args:
            tasks: How many are out.
            payload_bytes: Their size.
            ahead: Iterations from the oldest one that is out to the newest.
        """
        if self.max_ahead is not None and ahead >= self.max_ahead:
            return 0
        least = MIN_TASKS_PER_WORKER * self.workers
        if payload_bytes >= MAX_BYTES:
            return max(0, 2 * self.workers - tasks)
        size = self.chunk_size or self._current
        wanted = int(self._rate * AHEAD_S / size)
        return max(0, max(MIN_TASKS, least, min(wanted, MAX_TASKS)) - tasks)
