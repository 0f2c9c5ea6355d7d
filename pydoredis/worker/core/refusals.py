"""When to look at the queues again after tasks that are not served here were put back at their tails."""

from __future__ import annotations

from pydoredis.backoff import Backoff


class Refusals:
    """Pauses, which double while there is nothing but what is not served here.

    The queue is walked through without much of a pause, since tasks for us may stand behind the others. Once
    a task comes by for the second time, all were seen, and pauses begin.
    """

    WALK = 100
    """So many tasks are put back in one go; then others have their turn."""

    LONGEST_WALK = 10_000
    """So many tasks are remembered."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._pause = Backoff(longest_s=10.0)
        self._breath = Backoff(longest_s=0.1)

    def note(self, job: str, block: str, now_s: float) -> None:
        """This block of a job was put back."""
        if (job, block) in self._seen or len(self._seen) >= self.LONGEST_WALK:
            self._seen.clear()
            self._pause.begin(now_s)
        self._seen.add((job, block))
        if len(self._seen) % self.WALK == 0:
            self._breath.begin(now_s)

    @property
    def due_s(self) -> float:
        """When (monotonic) the pause is over; infinity while there is none."""
        return min(self._pause.due_s, self._breath.due_s)

    def resting(self, now_s: float) -> bool:
        """Whether a pause is under way."""
        over = self._pause.over(now_s), self._breath.over(now_s)
        return not all(over)

    def served(self) -> None:
        """A task for us was there: the next pause is a short one."""
        self._pause.reset()
