"""How far ahead an agent fetches, and how long it pauses: pure arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydoredis.backoff import Backoff
from pydoredis.protocol.messages import Verdict
from pydoredis.worker.crashes import decide, verdict
from pydoredis.worker.pace import (
    AGENT_AHEAD_S,
    MAX_IN_AGENT,
    MAX_IN_PIPE,
    PIPE_AHEAD_S,
    Pace,
    Refusals,
)

SECONDS = st.floats(0, 1e5)


def pace_after(*seconds: float) -> Pace:
    pace = Pace()
    for value in seconds:
        pace.note(value)
    return pace


def test_before_the_first_task_nothing_is_fetched_ahead() -> None:
    assert (Pace().in_pipe(), Pace().in_agent()) == (1, 0)


def test_long_tasks_wait_for_nobody() -> None:
    pace = pace_after(2.0)
    assert (pace.in_pipe(), pace.in_agent()) == (1, 0)


def test_one_long_task_ends_the_fetching_ahead_at_once() -> None:
    pace = pace_after(*[50e-6] * 1000)
    assert pace.in_pipe() == 1 + MAX_IN_PIPE
    assert pace.in_agent() == MAX_IN_AGENT
    pace.note(1.0)
    assert (pace.in_pipe(), pace.in_agent()) == (1, 0)


@given(st.lists(SECONDS, min_size=1))
def test_what_waits_is_bounded_in_number_and_time(seconds: list[float]) -> None:
    pace = pace_after(*seconds)
    expected = pace.expected_s
    assert expected is not None
    assert 1 <= pace.in_pipe() <= 1 + MAX_IN_PIPE
    assert 0 <= pace.in_agent() <= MAX_IN_AGENT
    assert (pace.in_pipe() - 1) * expected <= PIPE_AHEAD_S
    assert pace.in_agent() * expected <= AGENT_AHEAD_S


def test_backoff_doubles_up_to_its_limit_and_starts_anew() -> None:
    backoff = Backoff(first_s=1, longest_s=4)
    now_s = 100.0
    assert backoff.over(now_s)
    for longest in (1, 2, 4, 4):
        backoff.begin(now_s)
        assert now_s + longest / 2 <= backoff.due_s <= now_s + longest
        assert not backoff.over(now_s)
        now_s = backoff.due_s
        assert backoff.over(now_s)
        assert backoff.due_s == float("inf"), "nothing to wake up for any more"
    assert backoff.reset()
    assert not backoff.reset()
    backoff.begin(now_s)
    assert backoff.due_s <= now_s + 1


def test_backoff_begins_anew_after_an_attempt_that_was_of_use() -> None:
    backoff = Backoff(first_s=1, longest_s=8)
    now_s = 100.0
    for longest, lasting in ((1, 0.0), (2, 0.5), (4, 0.5), (8, 9.0), (1, 0.5), (2, 2.5), (1, 0.0), (2, 0.0)):
        backoff.begin(now_s)
        assert now_s + longest / 2 <= backoff.due_s <= now_s + longest
        now_s = backoff.due_s
        assert backoff.over(now_s)
        now_s += lasting


def test_a_task_is_tried_again_at_once_then_later_then_never() -> None:
    decisions = [decide(n, 3, some_finished=False) for n in (1, 2, 3, 4)]
    assert decisions == ["give-back", "wait", "condemn", "condemn"]
    assert decide(1, 1, some_finished=False) == "condemn"


def test_a_task_that_is_partly_finished_stays_here() -> None:
    assert [decide(n, 3, some_finished=True) for n in (1, 2, 3)] == ["again", "wait", "condemn"]


def test_a_verdict_names_the_cause() -> None:
    message = "the worker process died 3 times on this iteration: killed by SIGKILL"
    assert verdict(3, "killed by SIGKILL") == Verdict("crash", message)


class TestRefusals:
    def test_the_queue_is_walked_through_before_the_first_long_pause(self) -> None:
        refusals = Refusals()
        for n in range(Refusals.WALK - 1):
            refusals.note("job", f"{n}...{n}", 0.0)
            assert not refusals.resting(0.0)
        refusals.note("job", "last", 0.0)
        assert refusals.resting(0.0), "others have their turn"
        assert not refusals.resting(0.1)

    def test_pauses_grow_while_the_same_tasks_come_again(self) -> None:
        refusals = Refusals()
        now_s = 0.0
        pauses = []
        for _ in range(20):
            refusals.note("job", "1...1", now_s)
            if refusals.resting(now_s):
                pauses.append(refusals.due_s - now_s)
                now_s = refusals.due_s
                assert not refusals.resting(now_s)
        assert len(pauses) == 19
        assert pauses[0] <= 0.1
        assert all(5.0 <= pause <= 10.0 for pause in pauses[-5:])

    def test_pauses_are_short_again_after_a_task_for_us(self) -> None:
        refusals = Refusals()
        for _ in range(10):
            refusals.note("job", "1...1", 0.0)
        refusals.served()
        assert not refusals.resting(0.0)
        refusals.note("job", "1...1", 0.0)
        assert refusals.due_s <= 0.1
