"""How many tasks an agent holds ahead: many while tasks take microseconds, none while they take long.

What is held ahead hides the agent's own latency. A task that turns out to be long holds up those behind it,
so little is held, it is counted by job, and it goes back once a task runs longer than was expected.
"""

from __future__ import annotations

PIPE_AHEAD_S = 0.005
"""Seconds of work that wait in an executor's pipe."""

AGENT_AHEAD_S = 0.02
"""Seconds of work per executor that wait in the agent: a few round trips to a Redis nearby."""

SURPLUS_S = 0.1
"""Seconds of work per executor that may wait in the agent before some goes back: more than is fetched ahead,
so that noise moves nothing to and fro."""

PATIENCE_S = 0.03
"""A task that runs so much longer than it was expected to holds up what waits behind it."""

MAX_IN_PIPE = 32
MAX_IN_AGENT = 128
"""Tasks per executor, whatever their length: they are published in batches of bounded size."""

_WEIGHT = 0.2


def fitting(span_s: float, task_s: float) -> int:
    """How many tasks of a length fit into a time."""
    return int(span_s / max(task_s, 1e-6))


class Durations:
    """How long tasks of one job take on this machine."""

    __slots__ = ("_last_s", "_mean_s")

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._last_s = 0.0

    def note(self, seconds: float) -> bool:
        """A task of the job took so long in its executor; whether what waits here may be too much now."""
        # Than the mean: that goes on to rise after the first of many longer tasks.
        longer = self._mean_s is None or seconds > 2 * self._mean_s
        self._last_s = seconds
        if self._mean_s is None:
            self._mean_s = seconds
        else:
            self._mean_s += _WEIGHT * (seconds - self._mean_s)
        return longer and self.most_waiting < MAX_IN_AGENT

    @property
    def expected_s(self) -> float | None:
        """Seconds that the next task will take, at least as likely as not; None before the first."""
        if self._mean_s is None:
            return None
        # The last one counts in full: after one long task nothing is fetched ahead until short ones follow.
        return max(self._mean_s, self._last_s)

    @property
    def per_executor(self) -> int:
        """How many tasks of the job may wait in the agent for each executor that gets on with its work."""
        expected_s = self.expected_s
        if expected_s is None:
            return 0
        return min(MAX_IN_AGENT, fitting(AGENT_AHEAD_S, expected_s))

    @property
    def most_waiting(self) -> int:
        """How many tasks of the job may stay in the agent for each executor that gets on with its work."""
        # By the mean: a single task that was long because the machine was busy sends nothing back.
        return 0 if self._mean_s is None else fitting(SURPLUS_S, self._mean_s)
