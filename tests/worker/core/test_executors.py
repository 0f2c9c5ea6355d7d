"""What is known of executors, and what may be put into their pipes."""

from __future__ import annotations

from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.executors import Executor, Executors
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.core.prefetch import MAX_IN_PIPE, PIPE_AHEAD_S
from tests.worker.core.scene import Scene
from tests.worker.core.test_lease import lease
from tests.worker.core.test_prefetch import served


def waiting(number: int) -> Lease:
    """A task that waits for an executor."""
    one = lease(number)
    one.wait()
    return one


def test_who_is_about_to_be_killed_is_given_no_task() -> None:
    """Its answer came before it died."""
    scene = Scene(workers=1, timelimit_s=5.0)
    scene.up()
    scene.job("a", 2)
    scene.pushed()
    scene.wait(6)
    assert scene.said(instructions.Kill)
    scene.finish(1, 5.0)
    scene.answer()
    assert not scene.pipes[1]
    assert len(scene.queue) == 1
    scene.die(1, cause="time limit")
    scene.wait(1)
    scene.tell(events.Ready(2, "Python"))
    scene.answer()
    assert len(scene.pipes[2]) == 1


def test_who_is_about_to_be_killed_has_one_successor_though_a_task_waits() -> None:
    scene = Scene(workers=1, timelimit_s=5.0)
    scene.up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 100)
    scene.tell(events.Lost("reset"))  # so nothing goes back
    scene.wait(6)
    assert scene.said(instructions.Kill)
    scene.die(1, 1, "time limit")
    assert len(scene.pipes) == 1


def test_in_a_pipe_are_so_many_tasks_at_most_however_short_they_are() -> None:
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 200, seconds=1e-6)
    assert len(scene.pipes[1]) == 1 + MAX_IN_PIPE


def test_what_is_left_in_a_pipe_is_work_as_before() -> None:
    executor = Executor(1, "cloudpickle", 0.0)
    for number in (1, 2, 3):
        executor.put(waiting(number), PIPE_AHEAD_S / 3, 10.0)
    executor.pop(10.001)
    assert executor.takes(PIPE_AHEAD_S / 4, 0, 10.001)
    assert not executor.takes(PIPE_AHEAD_S / 2, 0, 10.001)


# --- what is said of them ---------------------------------------------------------------------------------


def test_a_process_that_was_not_started_yet_has_no_number() -> None:
    executors = Executors(2)
    executors.add(Executor(1, "cloudpickle", 0.0))
    executors.add(Executor(2, "cloudpickle", 0.0, pid=102))
    assert executors.pids == (102,)
    assert executors.next_pids == (102,)


def test_who_is_given_no_more_tasks_will_run_none() -> None:
    executors = Executors(2)
    executors.add(Executor(1, "cloudpickle", 0.0, pid=101, retired_for="it is old"))
    executors.add(Executor(2, "cloudpickle", 0.0, pid=102, ending="time limit"))
    executors.add(Executor(3, "cloudpickle", 0.0, pid=103))
    assert executors.pids == (101, 102, 103)
    assert executors.next_pids == (103,)


def test_the_first_that_is_ready_tells_what_engine_they_are() -> None:
    executors = Executors(2)
    executors.add(Executor(1, "r", 0.0))
    assert executors.engine_text == "started when needed"
    executors.add(Executor(2, "r", 0.0, ready="R 4.3.1"))
    assert executors.engine_text == "R 4.3.1"
