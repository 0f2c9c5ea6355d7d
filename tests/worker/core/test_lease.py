"""What can become of a task that is held, and what its job knows of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pydoredis.protocol.messages import JobEnvironment, Task
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Lease, Shelves, State
from tests.worker.core.scene import QUEUE, Scene
from tests.worker.core.test_prefetch import served


def lease(number: int = 1, shelves: Shelves | None = None) -> Lease:
    """A task that was taken, of a job that is known."""
    job = LoadedJob(1, "env", JobEnvironment("cloudpickle", b"", True))
    kept_on = Shelves() if shelves is None else shelves
    return Lease(QUEUE, Task("J", (number,), b""), "tag", "name", number=number, shelves=kept_on, job=job)


def test_a_task_that_is_to_be_published_goes_nowhere_else() -> None:
    one = lease()
    one.answer(b"result")
    with pytest.raises(AssertionError, match="ANSWERED → WAITING"):
        one.wait()
    assert one.state is State.ANSWERED


def test_a_task_waits_behind_all_others_unless_it_has_waited_before() -> None:
    shelves = Shelves()
    leases = [lease(number, shelves) for number in (1, 2, 3)]
    for each in leases:
        each.wait()
    assert shelves[State.WAITING] == leases
    leases[1].hand(0.0)
    leases[1].wait(first=True)
    assert shelves[State.WAITING] == [leases[1], leases[0], leases[2]]


def test_a_job_knows_how_many_of_its_tasks_wait_or_run() -> None:
    one = lease()
    assert one.job is not None
    steps: list[Callable[[], None]] = [
        one.wait,
        lambda: one.hand(0.0),
        one.wait,
        lambda: one.hand(0.0),
        lambda: one.fall(1, "killed"),
        lambda: one.delay(1.0),
        one.wait,
        lambda: one.give_back("head"),
        one.finish,
    ]
    counts = []
    for step in steps:
        step()
        counts.append((one.job.tasks[State.WAITING], one.job.tasks[State.RUNNING]))
    waits, runs, neither = (1, 0), (0, 1), (0, 0)
    assert counts == [waits, runs, waits, runs, neither, neither, waits, neither, neither]


def test_tasks_are_handed_out_in_the_order_in_which_they_were_taken() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 200)
    scene.pushed()
    served(scene, 200)
    firsts = [each.lease.task.first for each in scene.said(instructions.Hand)]
    assert firsts == list(range(1, 201))


def test_what_waits_is_not_begun_once_its_job_is_over() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 300)
    scene.pushed()
    served(scene, 100)
    assert scene.core.shelves.count(State.WAITING) > 0
    begun = len(scene.said(instructions.Hand))
    (key,) = scene.environments
    scene.environments.clear()
    scene.tell(events.Changed([key]))
    scene.answer()
    assert scene.core.shelves.count(State.WAITING) == 0
    assert len(scene.said(instructions.Hand)) == begun


def test_what_waits_for_its_next_try_is_dropped_once_its_job_is_over() -> None:
    scene = Scene(workers=1, retry_pause_s=60.0)
    scene.up()
    scene.job("a", 1)
    scene.pushed()
    scene.crashes = {1: 1}
    scene.die(1, 1)
    scene.answer()
    assert scene.core.shelves.count(State.DELAYED) == 1
    (key,) = scene.environments
    scene.environments.clear()
    scene.tell(events.Changed([key]))
    scene.answer()
    assert not len(scene.core.shelves)
    assert "dropped task 1...1 of job a: cancelled" in scene.log()
