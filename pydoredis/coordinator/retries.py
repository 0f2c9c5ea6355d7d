"""How often an iteration that raised an error is run again, and after which pauses. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

from pydoredis.errors import EvaluatorError, WorkerCrashed

MAX_PAUSE_S = 3600.0
"""Longest pause before a retry, in seconds, where each pause is twice the one before."""


@dataclass(frozen=True, slots=True)
class Retries:
    """What a loop's `retries` and `backoff` say.

    Attributes:
        most: How often an iteration is run again at most.
        backoff_s: Seconds before it is: a number is the first pause, and each later one is twice as long;
            several numbers are the pauses themselves, the last of which stands for all later ones.
    """

    most: int = 0
    backoff_s: float | tuple[float, ...] = 0.0

    def pause_s(self, failures: int, error: BaseException) -> float | None:
        """How long to wait before an iteration is run again; None if it is not.

        Args:
            failures: How often it has failed, this time included.
            error: What it raised this time.
        """
        if failures > self.most or not _may_pass(error):
            return None
        if isinstance(self.backoff_s, tuple):
            return self.backoff_s[min(failures, len(self.backoff_s)) - 1]
        return float(min(self.backoff_s * 2.0 ** min(failures - 1, 64), MAX_PAUSE_S))


NO_RETRIES = Retries()


def _may_pass(error: BaseException) -> bool:
    """Whether another run may end otherwise.

    What cannot be read or sent stays so. What kills workers was run again already, as `max_crashes` says.
    """
    return isinstance(error, Exception) and not isinstance(error, (EvaluatorError, WorkerCrashed))
