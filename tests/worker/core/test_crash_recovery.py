"""How often a task is tried whose executor died, and what it is told."""

from __future__ import annotations

from pydoredis.protocol.messages import Verdict
from pydoredis.worker.core.crash_recovery import decide, verdict


def test_a_task_is_tried_again_at_once_then_later_then_never() -> None:
    decisions = [decide(n, 3, some_finished=False) for n in (1, 2, 3, 4)]
    assert decisions == ["give-back", "wait", "condemn", "condemn"]
    assert decide(1, 1, some_finished=False) == "condemn"


def test_a_task_that_is_partly_finished_stays_here() -> None:
    assert [decide(n, 3, some_finished=True) for n in (1, 2, 3)] == ["again", "wait", "condemn"]


def test_a_verdict_names_the_cause() -> None:
    message = "the worker process died 3 times on this iteration: killed by SIGKILL"
    assert verdict(3, "killed by SIGKILL") == Verdict("crash", message)
