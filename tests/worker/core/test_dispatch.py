"""Which executor gets which task, and what is taken out of pipes again."""

from __future__ import annotations

from typing import Any

from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.executors import Executor
from pydoredis.worker.core.lease import Lease, State
from pydoredis.worker.core.prefetch import PATIENCE_S
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


def test_what_waits_behind_a_long_task_is_taken_back_once() -> None:
    scene = up(1, 130)
    scene.wait(PATIENCE_S + 0.02)
    scene.answer()
    for _ in range(3):
        scene.tell()
    assert len(scene.said(instructions.Recall)) == 1
    assert len(scene.pipes[1]) == 1


def test_nothing_is_taken_back_from_behind_a_task_that_runs_alone() -> None:
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 1)
    scene.pushed()
    scene.wait(1)
    scene.tell(events.Signalled(15))
    scene.answer()
    assert not scene.said(instructions.Recall)


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
    assert not executor.takes(0.001, 10.0)
    executor.pop(11.0)
    executor.put(waiting(2), 0.001, 11.0)
    assert executor.takes(0.001, 11.0)
