"""What becomes of a task whose executor died: it is tried again, but not for ever (promise 6)."""

from __future__ import annotations

from typing import Literal

from pydoredis.protocol.messages import Verdict

INTERRUPTED = "interrupted by SIGINT"
"""Cause of what counts as a death though the executor lives: a signal that the agent has not sent."""

Decision = Literal["give-back", "again", "wait", "condemn"]


def decide(deaths: int, max_crashes: int, *, some_finished: bool) -> Decision:
    """What to do after the executor of an iteration died for the `deaths`-th time, on any machine.

    Returns:
        `give-back`: at once to the head of the queue, for whoever is free: most deaths are nobody's fault.
        `again`: at once, but here, where the results of those iterations are that were finished before.
        `wait`: keep it, marked and alive, for the worker's `retry_pause_s`, then try it again.
        `condemn`: its result is an error that names the cause; the rest of its block is delivered.
    """
    if deaths >= max_crashes:
        return "condemn"
    if deaths > 1:
        return "wait"
    return "again" if some_finished else "give-back"


def verdict(deaths: int, cause: str) -> Verdict:
    """The error of a condemned iteration."""
    times = "once" if deaths == 1 else f"{deaths} times"
    if cause == INTERRUPTED:
        return Verdict(
            "crash", f"the iteration was interrupted {times}, and not because its job was cancelled"
        )
    return Verdict("crash", f"the worker process died {times} on this iteration: {cause}")
