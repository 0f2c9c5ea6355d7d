"""Pauses between attempts: pure arithmetic."""

from __future__ import annotations

from pydoredis.backoff import Backoff


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
