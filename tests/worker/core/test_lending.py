"""Bodies that wait for loops of their own: others are at work in their place, but never too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.wire import decode_task
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.executors import INTERRUPT_GRACE_S
from pydoredis.worker.core.lease import Lease, State
from pydoredis.worker.core.lending import SPARE_S
from tests.worker.core.scene import QUEUE, Scene, lone

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
CHOICE = st.integers(0, 100)


def ready(scene: Scene) -> None:
    """All executors are ready, and requests are answered."""
    for number in list(scene.pipes):
        executor = scene.core.executors.get(number)
        if executor is not None and executor.ready is None:
            scene.tell(events.Ready(number, "Python"))
    scene.answer()


def waits(scene: Scene, executor: int, on: bool = True) -> None:
    scene.tell(events.Waits(executor, on))
    scene.answer()


def depths(scene: Scene) -> dict[int, list[int]]:
    """Depths of the tasks in each pipe."""
    return {number: [lease.keys.depth for lease in pipe] for number, pipe in scene.pipes.items()}


def one_waits(**setup: object) -> tuple[Scene, int]:
    """A worker whose only body waits for a loop of its own, of two tasks."""
    scene = Scene(workers=1, **setup)  # type: ignore[arg-type]
    scene.up()
    executor, _ = lone(scene)
    scene.tell(events.InnerJob(executor, "Q", "inner", open=True))
    scene.job("inner", 2, depth=1)
    scene.pushed(1)
    waits(scene, executor)
    return scene, executor


def test_a_body_that_is_at_work_keeps_its_place() -> None:
    scene = Scene(workers=1)
    scene.up()
    lone(scene)
    scene.job("inner", 2, depth=1)
    scene.pushed(1)
    assert depths(scene) == {1: [0]}
    assert not scene.inner[1] or len(scene.inner[1]) == 2


def test_one_that_waits_is_replaced_by_what_it_waits_for() -> None:
    scene, _ = one_waits()
    assert depths(scene) == {1: [0], 2: []}, "somebody else is being started"
    ready(scene)
    assert depths(scene) == {1: [0], 2: [1]}
    scene.finish(2)
    scene.answer()
    assert depths(scene) == {1: [0], 2: [1]}
    scene.finish(2)
    scene.answer()
    waits(scene, 1, on=False)
    scene.finish(1)
    scene.answer()
    assert not len(scene.core.shelves)


def test_but_by_nothing_that_might_wait_as_well_without_end() -> None:
    scene, _ = one_waits()
    ready(scene)
    scene.job("another", 5)
    scene.pushed()
    assert depths(scene) == {1: [0], 2: [1]}
    assert len(scene.queue) == 5
    scene.finish(2)
    scene.answer()
    scene.finish(2)
    scene.answer()
    assert depths(scene) == {1: [0], 2: []}, "nothing deeper is left"
    assert len(scene.queue) == 5


def test_who_goes_on_makes_no_room_for_others() -> None:
    scene, _ = one_waits()
    ready(scene)
    waits(scene, 1, on=False)
    scene.finish(2)
    scene.answer()
    assert depths(scene) == {1: [0], 2: []}, "one is at work again, and there may be one"
    scene.finish(1)
    scene.answer()
    assert sorted(depths(scene).values()) == [[], [1]]


def test_what_waits_behind_it_goes_to_others() -> None:
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 500)
    scene.pushed()
    while len(scene.pipes[1]) < 2:
        scene.finish(1)
        scene.answer()
    scene.tell(events.Waits(1, on=True))
    assert scene.said(instructions.Recall)
    scene.answer()
    assert len(scene.pipes[1]) == 1
    assert scene.core.shelves.count(State.WAITING) == 0, "they went back to the queue"
    held = scene.core.shelves.count(State.RUNNING)
    assert held == 1


def test_two_bodies_have_two_places_and_only_two() -> None:
    scene = Scene(workers=2)
    scene.up()
    scene.job("a", 9)
    scene.pushed()
    for number in (1, 2):
        scene.tell(events.InnerJob(number, "Q", f"inner {number}", open=True))
        scene.job(f"inner {number}", 3, depth=1)
        scene.pushed(1)
        waits(scene, number)
    ready(scene)
    assert Counter(map(tuple, depths(scene).values())) == {(0,): 2, (1,): 2}
    for number, pipe in depths(scene).items():
        if pipe == [1]:
            waits(scene, number)
    ready(scene)
    assert len(scene.pipes) == 4, "nothing is deeper than they are, and nobody was started in vain"


def test_while_it_waits_nothing_is_asked_without_end() -> None:
    scene, _ = one_waits()
    ready(scene)
    scene.finish(2)
    scene.answer()
    scene.finish(2)
    scene.answer()
    scene.job("another", 5)
    scene.pushed()
    before = len(scene.requested(commands.Take))
    scene.wait(1.0)
    scene.answer()
    assert len(scene.requested(commands.Take)) - before <= 1


def test_an_agent_that_is_to_end_after_some_tasks_runs_those_that_bodies_wait_for() -> None:
    scene, _ = one_waits(iter=1)
    ready(scene)
    for _ in range(2):
        scene.finish(2)
        scene.answer()
    assert not scene.said(instructions.Stop)
    waits(scene, 1, on=False)
    scene.finish(1)
    scene.answer()
    scene.wait(1.0)
    scene.answer()
    assert scene.said(instructions.Stop)


def test_where_no_loop_may_be_in_a_body_such_tasks_are_left_to_others() -> None:
    scene = Scene(workers=1, nesting=0)
    scene.up()
    lone(scene)
    scene.inner[1] = []
    scene.job("inner", 2, depth=1)
    scene.pushed(1)
    waits(scene, 1)
    ready(scene)
    assert depths(scene) == {1: [0]}


# --- executors that are too many --------------------------------------------------------------------------


def test_they_end_when_they_were_not_needed_for_a_while() -> None:
    scene, _ = one_waits()
    ready(scene)
    for _ in range(2):
        scene.finish(2)
        scene.answer()
    waits(scene, 1, on=False)
    scene.wait(SPARE_S / 2)
    assert not scene.said(instructions.Dismiss)
    scene.wait(SPARE_S)
    (dismissed,) = scene.said(instructions.Dismiss)
    assert dismissed.executor == 2
    scene.die(2, cause="exited")
    assert list(scene.pipes) == [1], "it has no successor"
    scene.wait(10 * SPARE_S)
    assert len(scene.said(instructions.Dismiss)) == 1


def test_one_that_dies_while_its_body_waits_is_replaced_only_if_it_was_not() -> None:
    scene, _ = one_waits()
    ready(scene)
    scene.die(1, 1)
    assert list(scene.pipes) == [2]
    alone = Scene(workers=1)
    alone.up()
    lone(alone)
    waits(alone, 1)
    alone.die(1, 1)
    assert len(alone.pipes) == 1


# --- jobs that bodies begin -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["dies", "answers", "is interrupted", "cannot run it"])
def test_what_a_body_leaves_open_ends_with_it(end: str) -> None:
    scene, executor = one_waits()
    lease = scene.pipes[executor][0]
    if end == "dies":
        scene.die(executor, 1)
    elif end == "answers":
        scene.finish(executor)
    elif end == "is interrupted":
        scene.pipes[executor].clear()
        scene.tell(events.Interrupted(executor, lease.number, 0))
    else:
        scene.pipes[executor].clear()
        scene.tell(events.NotRun(executor, lease.number, "its message cannot be read"))
    assert scene.said(instructions.RemoveJob) == [instructions.RemoveJob("Q", "inner")]


def test_what_it_has_ended_itself_does_not() -> None:
    scene, executor = one_waits()
    scene.tell(events.InnerJob(executor, "Q", "inner", open=False))
    waits(scene, executor, on=False)
    scene.finish(executor)
    assert not scene.said(instructions.RemoveJob)


def test_a_cancelled_body_that_waits_is_interrupted_and_then_killed() -> None:
    scene, executor = one_waits()
    scene.environments.clear()
    scene.wait(4.0)
    scene.answer()
    scene.wait(0.1)
    assert scene.said(instructions.Interrupt) == [instructions.Interrupt(executor)]
    scene.wait(2 * INTERRUPT_GRACE_S)
    assert [each.executor for each in scene.said(instructions.Kill)] == [executor]


# --- in whatever order ------------------------------------------------------------------------------------


@dataclass
class Body:
    """What runs: how many tasks of its own loop are still out; None: it has begun none."""

    lease: Lease
    open: int | None = None
    parent: Body | None = None
    waiting: bool = False
    inner: list[str] = field(default_factory=list)


class LoopsInBodies(RuleBasedStateMachine):
    """A small pool, whose bodies begin loops as they like, down to the depth that is allowed, and whose
    executors die."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.nesting = 2, 3
        self.scene = Scene(workers=self.size, nesting=self.nesting, retry_pause_s=0.5)
        self.scene.up()
        self.jobs = 0
        self.bodies: dict[int, Body] = {}  # by lease
        self.parents: dict[str, Body] = {}  # by job

    # --- what the pool does -------------------------------------------------------------------------------

    def look(self) -> None:
        self.scene.answer()
        for pipe in self.scene.pipes.values():
            if pipe and pipe[0].number not in self.bodies:
                lease = pipe[0]
                self.bodies[lease.number] = Body(lease, parent=self.parents.get(lease.task.job))

    def running(self) -> list[tuple[int, Body]]:
        self.look()
        return [
            (number, self.bodies[pipe[0].number]) for number, pipe in sorted(self.scene.pipes.items()) if pipe
        ]

    def able(self) -> list[tuple[int, Body]]:
        """Those that can end."""
        return [(number, body) for number, body in self.running() if not body.waiting]

    @rule(tasks=st.integers(1, 4))
    def submits(self, tasks: int) -> None:
        self.jobs += 1
        self.scene.job(f"job {self.jobs}", tasks)
        self.scene.pushed()

    @precondition(lambda self: self.able())
    @rule(choice=CHOICE, tasks=st.integers(1, 3))
    def begins_a_loop(self, choice: int, tasks: int) -> None:
        able = self.able()
        executor, body = able[choice % len(able)]
        depth = body.lease.keys.depth
        if depth >= self.nesting:
            return
        self.jobs += 1
        name = f"job {self.jobs}"
        self.scene.tell(events.InnerJob(executor, "Q", name, open=True))
        self.scene.job(name, tasks, depth=depth + 1)
        self.parents[name] = body
        body.inner.append(name)
        body.open, body.waiting = tasks, True
        self.scene.pushed(depth + 1)
        waits(self.scene, executor)

    @precondition(lambda self: self.able())
    @rule(choice=CHOICE, seconds=st.sampled_from([0.0001, 0.004, 0.04, 1.0]))
    def ends(self, choice: int, seconds: float = 0.0001) -> None:
        able = self.able()
        executor, body = able[choice % len(able)]
        self.scene.finish(executor, seconds)
        self.scene.answer()
        parent = body.parent
        if parent is None or parent.open is None:
            return
        parent.open -= 1
        if parent.open == 0:
            self._goes_on(parent)

    def _goes_on(self, parent: Body) -> None:
        for number, pipe in self.scene.pipes.items():
            if pipe and pipe[0] is parent.lease and self.bodies.get(pipe[0].number) is parent:
                parent.open, parent.waiting = None, False
                self.scene.tell(events.InnerJob(number, "Q", parent.inner.pop(), open=False))
                waits(self.scene, number, on=False)
                return

    @precondition(lambda self: self.scene.pipes)
    @rule(choice=CHOICE)
    def dies(self, choice: int) -> None:
        """Of a body that waited, the agent removes the job; a body in that job is interrupted."""
        ready(self.scene)  # three that die before make the agent give up
        numbers = sorted(self.scene.pipes)
        executor = numbers[choice % len(numbers)]
        pipe = self.scene.pipes[executor]
        body = self.bodies.pop(pipe[0].number, None) if pipe else None
        self.scene.crashes.clear()
        self.scene.die(executor, pipe[0].task.iterations[0] if pipe else None)
        self.scene.answer()
        if body is not None:
            self._remove_loops_of(body)

    def _remove_loops_of(self, body: Body) -> None:
        for name in body.inner:
            assert instructions.RemoveJob("Q", name) in self.scene.said(instructions.RemoveJob)
            for waiting in self.scene.inner.values():
                waiting[:] = [message for message in waiting if decode_task(message).job != name]
            del self.scene.environments[QUEUE.env(name)]
            self.scene.tell(events.Changed([QUEUE.env(name)]))
            self.scene.answer()
        body.inner.clear()
        self._obey()

    def _obey(self) -> None:
        """Bodies of cancelled jobs are interrupted, and cancel theirs."""
        for each in self.scene.said(instructions.Interrupt):
            pipe = self.scene.pipes.get(each.executor)
            if pipe and pipe[0].cancelled:
                lease = pipe.pop(0)
                body = self.bodies.pop(lease.number, None)
                self.scene.tell(events.Interrupted(each.executor, lease.number, 0))
                self.scene.answer()
                if body is not None:
                    self._remove_loops_of(body)

    @rule()
    def become_ready(self) -> None:
        ready(self.scene)

    @rule(seconds=st.sampled_from([0.001, 0.03, 0.5, 15.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.scene.wait(seconds)
        self.scene.answer()
        self._obey()
        for each in self.scene.said(instructions.Dismiss):
            if each.executor in self.scene.pipes:
                self.scene.die(each.executor, cause="exited")
        self.scene.answer()

    # --- what is always so --------------------------------------------------------------------------------

    @invariant()
    def no_depth_has_more_than_there_are_workers(self) -> None:
        held = Counter(pipe[0].keys.depth for pipe in self.scene.pipes.values() if pipe)
        assert all(count <= self.size for count in held.values()), held

    @invariant()
    def there_are_no_more_executors_than_that(self) -> None:
        assert len(self.scene.pipes) <= self.size * (self.nesting + 1)

    @invariant()
    def what_waits_behind_a_body_that_waits_was_taken_back(self) -> None:
        for number, body in self.running():
            if body.waiting:
                assert len(self.scene.pipes[number]) == 1

    def teardown(self) -> None:
        """Whatever waits for whatever, all of it ends."""
        self.scene.crashes.clear()
        for _ in range(3000):
            ready(self.scene)
            if self.able():
                self.ends(0)
            elif not self.scene.queue and not any(self.scene.inner.values()) and not self.running():
                break
            else:
                self.time_goes_by(0.1)
        assert not self.scene.queue
        assert not any(self.scene.inner.values())
        assert not len(self.scene.core.shelves)
        for _ in range(2):
            ready(self.scene)  # one that was started last: before that it is not known to be idle
            self.time_goes_by(2 * SPARE_S)
        assert len(self.scene.pipes) == self.size


LoopsInBodies.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, phases=PHASES
)
TestLoopsInBodies = LoopsInBodies.TestCase


def test_nothing_is_fetched_that_would_wait_behind_a_deeper_task() -> None:
    """It would be given back at once, and fetched again, without end."""
    pool = LoopsInBodies()
    pool.submits(4)
    pool.ends(0, 0.004)
    pool.time_goes_by(15.0)
    pool.dies(0)
    pool.become_ready()
    pool.begins_a_loop(1, 1)
    pool.dies(1)
    pool.teardown()


def test_who_came_while_a_body_waited_is_too_many_when_it_goes_on() -> None:
    """Also one that was to replace an executor that died, and was put off."""
    pool = LoopsInBodies()
    pool.dies(1)
    pool.submits(1)
    pool.begins_a_loop(0, 2)
    pool.submits(4)
    pool.dies(0)
    pool.dies(1)
    pool.begins_a_loop(0, 1)
    pool.teardown()
