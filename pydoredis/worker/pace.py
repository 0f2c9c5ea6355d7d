"""How many tasks an agent holds ahead: deep for microsecond tasks, none for long ones. Pure arithmetic."""

from __future__ import annotations

from pydoredis.backoff import Backoff

PIPE_AHEAD_S = 0.005
"""Seconds of work that wait in an executor's pipe. They hide the agent's own latency; a task that turns out
to be long holds up those behind it, so it is little."""

AGENT_AHEAD_S = 0.02
"""Seconds of work per executor that wait in the agent: a few round trips to a Redis nearby."""

MAX_IN_PIPE = 32
MAX_IN_AGENT = 128
"""Tasks per executor, whatever their length: they are marked and published in batches of bounded size."""

_WEIGHT = 0.2


class Pace:
    """What is known of the tasks of one job on this machine: how long they take."""

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._last_s = 0.0

    def note(self, seconds: float) -> None:
        """A task of the job took so long in its executor."""
        self._last_s = seconds
        if self._mean_s is None:
            self._mean_s = seconds
        else:
            self._mean_s += _WEIGHT * (seconds - self._mean_s)

    @property
    def expected_s(self) -> float | None:
        """Seconds that the next task will take at least as likely as not; None before the first."""
        if self._mean_s is None:
            return None
        # The last one counts in full: after one long task nothing is fetched ahead until short ones follow.
        return max(self._mean_s, self._last_s)

    def in_pipe(self) -> int:
        """How many tasks an executor may have in its pipe, the running one included: 1 or more."""
        return 1 + self._ahead(PIPE_AHEAD_S, MAX_IN_PIPE)

    def in_agent(self) -> int:
        """How many more tasks per executor the agent may hold: 0 or more."""
        return self._ahead(AGENT_AHEAD_S, MAX_IN_AGENT)

    def _ahead(self, seconds: float, limit: int) -> int:
        expected_s = self.expected_s
        if expected_s is None:
            return 0
        return min(limit, int(seconds / max(expected_s, 1e-6)))


class Refusals:
    """When to look at the queues again after tasks that are not served here were put back at their tails.

    The queue is walked through without much of a pause, since tasks for us may stand behind the others. Once
    a task comes by for the second time, all were seen, and pauses begin that double.
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
