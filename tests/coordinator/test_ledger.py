"""The books of a job: whatever happens in whatever order, every iteration counts once, and the job ends."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pydoredis.coordinator.ledger import Block, Ledger, Sighting, Verdict


def submit(ledger: Ledger, size: int = 1) -> Block:
    return ledger.submit(size, b"task %d" % (ledger.submitted + 1), 0.0)


class TestDelivery:
    def test_a_block_counts_once(self) -> None:
        ledger = Ledger()
        submit(ledger, 3)
        assert ledger.deliver([1, 2, 3]) == [True, True, True]
        assert ledger.deliver([1, 2, 3]) == [False, False, False]
        assert (ledger.done, ledger.repeated, len(ledger)) == (3, 3, 0)

    def test_parts_of_blocks_and_strangers(self) -> None:
        ledger = Ledger()
        submit(ledger, 3)
        assert ledger.deliver([2, 7]) == [True, False]
        assert ledger.deliver([1, 2, 3]) == [True, False, True]
        assert ledger.done == 3
        assert len(ledger) == 0

    def test_a_number_twice_in_one_result(self) -> None:
        ledger = Ledger()
        submit(ledger, 2)
        assert ledger.deliver([1, 1]) == [True, False]
        assert ledger.deliver([2]) == [True]

    def test_knows_the_size_of_what_is_out(self) -> None:
        ledger = Ledger()
        ledger.submit(1, b"12345", 0.0)
        ledger.submit(1, b"123", 0.0)
        assert (ledger.payload_bytes, ledger.oldest) == (8, 1)
        ledger.deliver([1])
        assert (ledger.payload_bytes, ledger.oldest) == (3, 2)
        ledger.deliver([2])
        assert ledger.oldest == 3


class TestFaults:
    def test_tries_again_and_gives_up(self) -> None:
        ledger = Ledger(max_crashes=2)
        block = submit(ledger, 3)
        ledger.deliver([2])
        first = ledger.judge(block.span)
        assert first == ledger.judge(block.span) == Verdict(block, again=True), "a verdict changes nothing"
        assert first.payload == block.payload
        assert ledger.bury(first, 1.0) == []
        assert (block.faults, block.submitted_s, ledger.resubmitted) == (1, 1.0, 1)
        last = ledger.judge(block.span)
        assert (last.again, last.payload) == (False, None)
        assert ledger.bury(last, 2.0) == [1, 3]
        assert ledger.done == 3
        assert ledger.deliver([1, 2, 3]) == [False] * 3

    @pytest.mark.parametrize("span", [(1, 2), (2, 3), (4, 6)])
    def test_a_task_that_is_not_out_changes_nothing(self, span: tuple[int, int]) -> None:
        ledger = Ledger(max_crashes=1)
        submit(ledger, 3)
        verdict = ledger.judge(span)
        assert verdict == Verdict(None, again=False)
        assert (verdict.payload, verdict.python_only) == (None, False)
        assert ledger.bury(verdict, 1.0) == []
        assert (ledger.done, len(ledger)) == (0, 1)

    @pytest.mark.parametrize("is_python", [True, False])
    def test_what_was_declined_goes_to_workers_with_python(self, is_python: bool) -> None:
        ledger = Ledger(is_python=is_python)
        block = submit(ledger, 2)
        assert not ledger.judge(block.span).python_only
        assert ledger.decline(2) is block
        assert ledger.judge(block.span).python_only is is_python
        assert ledger.decline(3) is None

    def test_says_whether_messages_may_be_left(self) -> None:
        ledger = Ledger()
        assert not ledger.leaves_messages
        submit(ledger)
        assert ledger.leaves_messages
        ledger.deliver([1])
        assert not ledger.leaves_messages
        ledger.resubmit(submit(ledger), 1.0)
        ledger.deliver([2])
        assert ledger.leaves_messages

    def test_remembers_copies_that_may_still_be_queued(self) -> None:
        ledger = Ledger()
        block = submit(ledger)
        ledger.resubmit(block, 1.0)
        ledger.deliver([1])
        assert ledger.copies == 1


class TestLosses:
    def test_only_what_two_checks_in_a_row_did_not_find(self) -> None:
        ledger = Ledger()
        lost, waiting, running = (submit(ledger) for _ in range(3))
        for check in (1, 2):
            suspects = ledger.suspects({running.span}, 10)
            assert set(suspects) == {lost, waiting}
            found = ledger.examine(Sighting({running.span}, suspects, [waiting]))
            assert found == ([] if check == 1 else [lost])
            assert ledger.is_searching
        ledger.resubmit(lost, 1.0)
        assert not ledger.is_searching

    @pytest.mark.parametrize("seen", ["running", "queued"])
    def test_a_block_seen_in_between_is_not_lost(self, seen: str) -> None:
        ledger = Ledger()
        block = submit(ledger)
        ledger.examine(Sighting((), [block]))
        if seen == "running":
            ledger.examine(Sighting({block.span}))
        else:
            ledger.examine(Sighting((), [block], [block]))
        assert ledger.examine(Sighting((), [block])) == []

    def test_a_block_delivered_in_between_is_not_lost(self) -> None:
        ledger = Ledger()
        block = submit(ledger)
        suspects = ledger.suspects((), 10)
        ledger.examine(Sighting((), suspects))
        ledger.deliver([1])
        assert ledger.examine(Sighting((), [block])) == []

    def test_every_block_has_its_turn(self) -> None:
        ledger = Ledger()
        blocks = [submit(ledger) for _ in range(20)]
        looked_at: set[Block] = set()
        for _ in range(5):
            suspects = ledger.suspects((), 4)
            assert len(suspects) == 4
            looked_at.update(suspects)
            ledger.examine(Sighting((), suspects, suspects))
        assert looked_at == set(blocks)

    def test_what_was_missing_is_looked_for_again(self) -> None:
        ledger = Ledger()
        blocks = [submit(ledger) for _ in range(20)]
        missing = blocks[3]
        ledger.examine(Sighting((), [missing]))
        assert missing in ledger.suspects((), 2)


class JobOnAPool(RuleBasedStateMachine):
    """A queue, workers and results, with everything going wrong; the ledger is told what a driver sees."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(max_crashes=3, is_python=True)
        self.declined: set[int] = set()
        self.queue: list[tuple[int, ...]] = []
        self.running: list[tuple[int, ...]] = []
        self.results: list[tuple[int, ...]] = []
        self.counted: dict[int, int] = {}

    def numbers(self, block: Block) -> tuple[int, ...]:
        return tuple(range(block.first, block.last + 1))

    def again(self, block: Block) -> None:
        self.queue.append(self.numbers(block))
        self.ledger.resubmit(block, 0.0)

    def count(self, numbers: list[int]) -> None:
        for number in numbers:
            self.counted[number] = self.counted.get(number, 0) + 1

    @rule(size=st.integers(1, 4))
    def submits(self, size: int) -> None:
        if len(self.ledger) < 8:
            self.queue.append(self.numbers(submit(self.ledger, size)))

    @precondition(lambda self: self.queue)
    @rule(at=st.integers(0, 100))
    def a_worker_takes(self, at: int) -> None:
        self.running.append(self.queue.pop(at % len(self.queue)))

    @precondition(lambda self: self.running)
    @rule(at=st.integers(0, 100), copies=st.integers(1, 3))
    def a_worker_answers(self, at: int, copies: int) -> None:
        self.results += [self.running.pop(at % len(self.running))] * copies

    @precondition(lambda self: self.running)
    @rule(at=st.integers(0, 100), late_answer=st.booleans())
    def a_worker_dies(self, at: int, late_answer: bool) -> None:
        numbers = self.running.pop(at % len(self.running))
        verdict = self.ledger.judge((numbers[0], numbers[-1]))
        if late_answer:
            self.results.append(numbers)  # it was alive after all: the verdict is not carried out
            return
        before = verdict.block.faults if verdict.block else 0
        given_up = self.ledger.bury(verdict, 0.0)
        if verdict.payload is not None:
            assert not given_up
            self.queue.append(numbers)
        if verdict.block is not None:
            assert verdict.block.faults == before + 1 <= self.ledger.max_crashes
            assert bool(given_up) == (verdict.block.faults == self.ledger.max_crashes)
            assert verdict.python_only == (verdict.block.first in self.declined)
        self.count(given_up)

    @precondition(lambda self: self.running)
    @rule(at=st.integers(0, 100))
    def a_worker_declines(self, at: int) -> None:
        numbers = self.running.pop(at % len(self.running))
        block = self.ledger.decline(numbers[-1])
        found = self.ledger.find(numbers[-1])
        assert block is (found if found and not found.due_s else None)
        if block is not None:
            self.declined.add(block.first)
            assert block.python_only
            self.again(block)

    @precondition(lambda self: self.results)
    @rule(at=st.integers(0, 100), cut=st.booleans(), failed=st.sets(st.integers(0, 3)))
    def a_result_comes(self, at: int, cut: bool, failed: Collection[int] = ()) -> None:
        numbers = list(self.results.pop(at % len(self.results)))
        if cut and len(numbers) > 1:
            self.results.append(tuple(numbers[1:]))
            numbers = numbers[:1]
        fresh = self.ledger.deliver(numbers)
        for place, (number, new) in enumerate(zip(numbers, fresh, strict=True)):
            if new and place in failed and self.ledger.may_return(number):
                self.ledger.retry(number, b"again", 1, due_s=1.0)
                self.declined.discard(number)
            elif new:
                self.count([number])

    @precondition(lambda self: self.delayed())
    @rule(at=st.integers(0, 100))
    def a_pause_is_over(self, at: int) -> None:
        delayed = self.delayed()
        block = delayed[at % len(delayed)]
        self.ledger.release(block, 2.0)
        self.queue.append(self.numbers(block))

    def delayed(self) -> list[Block]:
        return [block for block in self.ledger if block.due_s]

    @precondition(lambda self: self.queue or self.results)
    @rule(at=st.integers(0, 100))
    def something_is_lost(self, at: int) -> None:
        place = [place for place in (self.queue, self.results) if place][at % 2 - 1]
        place.pop(at % len(place))

    @rule()
    def everything_is_lost(self) -> None:
        self.queue.clear()
        self.running.clear()
        self.results.clear()

    @rule(limit=st.integers(1, 5))
    def a_check(self, limit: int) -> None:
        spans = {(numbers[0], numbers[-1]) for numbers in self.running}
        suspects = self.ledger.suspects(spans, limit)
        queued = [block for block in suspects if self.numbers(block) in self.queue]
        lost = self.ledger.examine(Sighting(spans, suspects, queued))
        assert not set(lost) & set(queued)
        assert not set(suspects) & set(self.delayed()), "nobody looks for what waits"
        for block in lost:
            self.again(block)

    @invariant()
    def nothing_counts_twice(self) -> None:
        assert all(count == 1 for count in self.counted.values())
        assert len(self.counted) == self.ledger.done
        out = sum(len(block.unanswered()) for block in self.ledger)
        assert self.ledger.done + out == self.ledger.submitted
        unanswered = [number for block in self.ledger for number in block.unanswered()]
        assert self.ledger.oldest <= min(unanswered, default=self.ledger.submitted + 1)
        assert self.ledger.payload_bytes == sum(len(block.payload) for block in self.ledger)

    def teardown(self) -> None:
        """From any state on, honest workers and checks bring the job to its end."""
        rounds = 0
        while len(self.ledger):
            rounds += 1
            assert rounds < 200, "the job does not end"
            while self.delayed():
                self.a_pause_is_over(0)
            self.results += self.queue + self.running
            self.queue, self.running = [], []
            random.Random(rounds).shuffle(self.results)
            while self.results:
                self.a_result_comes(0, cut=False)
            self.a_check(2)
        assert sorted(self.counted) == list(range(1, self.ledger.submitted + 1))
        self.nothing_counts_twice()


TestJobOnAPool = JobOnAPool.TestCase
TestJobOnAPool.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
