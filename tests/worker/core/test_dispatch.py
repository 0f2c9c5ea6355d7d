"""Which executor gets which task, and what is taken out of pipes again."""

from __future__ import annotations

from typing import Any

import pytest

from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.dispatch import Dispatch
from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Hand, Todo
from pydoredis.worker.core.lease import Lease, Shelves, State
from pydoredis.worker.core.prefetch import PATIENCE_S
from pydoredis.worker.core.recycling import Limits
from tests.worker.core.scene import Scene
from tests.worker.core.test_lease import lease
from tests.worker.core.test_prefetch import served


def up(workers: int, tasks: int, **settings: Any) -> Scene:
    """An agent that has served a job for a while and holds tasks ahead."""
    scene = Scene(workers=workers, **settings)
    scene.up()
    scene.job("a", tasks)
    scene.pushed()
    served(scene, 100)
    return scene


def waiting(number: int) -> Lease:
    """A task that waits for an executor."""
    one = lease(number)
    one.wait()
    return one


def test_a_task_is_not_handed_to_an_executor_that_is_not_ready() -> None:
    scene = up(2, 1000)
    dead = next(iter(scene.pipes))
    scene.die(dead, 1)
    started = max(scene.pipes)
    scene.wait(0.001)
    scene.answer()
    assert not scene.pipes[started]
    assert scene.core.shelves.count(State.WAITING) > 0
    scene.tell(events.Ready(started, "Python"))
    assert scene.pipes[started]


def test_no_more_executors_are_at_work_than_there_are_workers() -> None:
    """One that is to be replaced is still at work while its successor is ready."""
    scene = up(1, 1000, max_age_s=60.0)
    scene.now_s += 61
    scene.finish(1)
    assert scene.pipes[1]
    scene.tell(events.Ready(2, "Python"))
    scene.answer()
    assert not scene.pipes[2]
    while scene.pipes[1]:
        scene.finish(1)
    assert scene.pipes[2]


def test_a_task_is_handed_to_an_executor_that_can_run_it() -> None:
    do, executors, shelves = Todo(), Executors(2), Shelves()
    executors.add(Executor(1, "r", 0.0, ready="R"))
    executors.add(Executor(2, "cloudpickle", 0.0, ready="Python"))
    one = lease(1, shelves)
    one.wait()
    hiring = Hiring(executors, ["r", "cloudpickle"], do)
    Dispatch(shelves, executors, hiring, Limits(), do).hand_out(1.0)
    assert do == [Hand(2, one)]


def test_tasks_wait_behind_those_who_have_the_least_to_do() -> None:
    scene = Scene(workers=2)
    scene.up()
    scene.job("a", 2)
    scene.pushed()
    served(scene, 2, seconds=0.001)
    scene.job("a", 6)
    scene.pushed()
    assert [len(pipe) for pipe in scene.pipes.values()] == [3, 3]


@pytest.mark.parametrize(("seconds", "in_pipe"), [(0.0001, 8), (0.004, 1)])
def test_what_waits_behind_a_long_task_goes_back_as_soon_as_that_is_known(
    seconds: float, in_pipe: int
) -> None:
    """Be it in the pipe, or in the agent."""
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 10)
    scene.pushed()
    served(scene, 2, seconds)
    assert len(scene.pipes[1]) == in_pipe
    assert in_pipe == 8 or scene.core.shelves.count(State.WAITING) > 0
    scene.wait(seconds + PATIENCE_S + 0.001)
    scene.answer()
    assert len(scene.core.shelves) == 1
    assert len(scene.queue) == 7


def test_what_waits_behind_a_long_task_is_taken_back_once() -> None:
    scene = up(1, 130)
    scene.wait(PATIENCE_S + 0.02)
    scene.answer()
    for _ in range(3):
        scene.tell()
    assert len(scene.said(instructions.Recall)) == 1
    assert len(scene.pipes[1]) == 1


def test_a_pipe_is_asked_once_before_it_has_answered() -> None:
    scene = up(1, 130)
    scene.recalled = []
    scene.now_s += PATIENCE_S + 0.02
    for _ in range(3):
        scene.tell()
    assert len(scene.said(instructions.Recall)) == 1


def test_what_is_taken_out_of_a_pipe_goes_before_what_waits() -> None:
    """Nothing is put into a pipe before it is known what was taken out."""
    scene = up(1, 300)
    first = scene.pipes[1][0].task.first
    scene.recalled = []
    scene.pipes[1][5].cancel()
    scene.tell()
    scene.finish(1)
    scene.tell(*scene.recalled)
    firsts = [each.task.first for each in scene.pipes[1]]
    assert firsts[:6] == [first + n for n in (1, 2, 3, 4, 6, 7)]
    assert firsts == sorted(firsts)


def test_behind_a_task_that_was_cancelled_nothing_is_put() -> None:
    """The signal that ends it is to meet no other."""
    scene = up(1, 300)
    head = scene.pipes[1][0]
    head.cancel()
    for _ in range(3):
        scene.tell()
    assert scene.pipes[1] == [head]
    assert len(scene.said(instructions.Recall)) == 1
    assert len(scene.said(instructions.Interrupt)) == 1


def test_nothing_is_taken_back_from_behind_a_task_that_runs_alone() -> None:
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 1)
    scene.pushed()
    scene.wait(1)
    scene.tell(events.Signalled(15))
    scene.answer()
    assert not scene.said(instructions.Recall)


def test_for_an_executor_that_is_being_started_one_task_stays() -> None:
    scene = up(2, 1000)
    scene.die(2, scene.pipes[2][0].task.first)
    scene.wait(PATIENCE_S + 0.02)
    scene.answer()
    assert len(scene.pipes[1]) == 1
    assert scene.core.shelves.count(State.WAITING) == 1


def test_for_an_executor_that_is_started_after_a_pause_no_task_stays() -> None:
    scene = Scene(workers=2)
    scene.up()
    scene.job("a", 10)
    scene.pushed()
    served(scene, 10)
    scene.die(2)
    scene.job("a", 100)
    scene.pushed()
    assert scene.core.shelves.count(State.WAITING) > 0
    scene.wait(PATIENCE_S + 0.002)
    scene.answer()
    assert len(scene.said(instructions.Hire)) == 2
    assert len(scene.core.shelves) == 1
    assert len(scene.queue) == 99


def test_what_waits_for_the_only_executor_waits_for_its_successor() -> None:
    scene = up(1, 1000)
    count = len(scene.core.shelves)
    scene.die(1, scene.pipes[1][0].task.first)
    scene.answer()
    assert scene.core.shelves.count(State.WAITING) == count - 1
    scene.tell(events.Ready(2, "Python"))
    assert len(scene.pipes[2]) > 1


def test_a_task_of_which_a_part_is_finished_here_waits_here() -> None:
    scene = Scene(workers=1, retry_pause_s=10.0)
    scene.up()
    scene.job("a", 1, chunk_size=3)
    scene.pushed()
    (one,) = scene.pipes[1]
    scene.tell(events.Partly(1, one.number, 1, b"part"))
    scene.crashes = {2: 1}
    scene.die(1, 2)
    scene.answer()
    scene.tell(events.Ready(2, "Python"))
    assert scene.core.shelves[State.DELAYED] == [one]
    scene.job("long", 1)
    scene.pushed()
    scene.wait(11)
    scene.answer()
    assert scene.running() == {2: [1]}
    assert scene.core.shelves[State.WAITING] == [one]
    scene.finish(2, 11.0)
    assert scene.pipes[2] == [one]
    assert one.finished == 1


def test_an_agent_that_stops_finishes_what_runs_and_gives_back_what_waits() -> None:
    scene = up(2, 1000)
    assert all(len(pipe) > 1 for pipe in scene.pipes.values())
    scene.tell(events.Signalled(15))
    scene.answer()
    assert [len(pipe) for pipe in scene.pipes.values()] == [1, 1]
    assert len(scene.core.shelves) == 2


def test_the_running_task_has_run_since_it_was_begun_whatever_is_put_behind_it() -> None:
    executor = Executor(1, "cloudpickle", 0.0)
    executor.put(waiting(1), 0.001, 10.0)
    executor.put(waiting(2), 0.001, 20.0)
    assert executor.head_since_s == 10.0
    executor.pop(30.0)
    assert executor.head_since_s == 30.0


def test_nothing_waits_behind_a_task_of_which_nothing_is_known() -> None:
    executor = Executor(1, "cloudpickle", 0.0)
    executor.put(waiting(1), None, 10.0)
    assert not executor.takes(0.001, 0, 10.0)
    executor.pop(11.0)
    executor.put(waiting(2), 0.001, 11.0)
    assert executor.takes(0.001, 0, 11.0)
