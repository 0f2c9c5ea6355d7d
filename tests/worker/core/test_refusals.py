"""How an agent rests from tasks that it does not serve."""

from __future__ import annotations

import pytest

from pydoredis.worker.core.refusals import Refusals


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

    def test_a_queue_without_end_is_not_walked_through_without_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Refusals, "LONGEST_WALK", 10)
        refusals = Refusals()
        for n in range(10):
            refusals.note("job", f"{n}...{n}", 0.0)
        assert not refusals.resting(0.0)
        refusals.note("job", "10...10", 0.0)
        assert refusals.resting(0.0)

    def test_pauses_are_short_again_after_a_task_for_us(self) -> None:
        refusals = Refusals()
        for _ in range(10):
            refusals.note("job", "1...1", 0.0)
        refusals.served()
        assert not refusals.resting(0.0)
        refusals.note("job", "1...1", 0.0)
        assert refusals.due_s <= 0.1
