"""What follows from what executors report."""

from __future__ import annotations

import logging

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol import wire
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.membership import BEAT_INTERVAL_S
from tests.worker.core.scene import Scene, lone

GONE = 99


@pytest.mark.parametrize(
    "event",
    [
        events.Hired(GONE, 7),
        events.HireFailed(GONE, "no memory"),
        events.Ready(GONE, "Python"),
        events.Finished(GONE, 1, 0.1, b"result"),
        events.Partly(GONE, 1, 1, b"part"),
        events.NotRun(GONE, 1, "no engine"),
        events.Interrupted(GONE, 1, 0),
        events.Recalled(GONE, [1]),
        events.Place(GONE, 1.0),
        events.Memory(GONE, 10**9),
        events.Died(GONE, "killed", None, None, ""),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_an_executor_reported_that_is_not_there_any_more_says_nothing(
    event: events.Event,
) -> None:
    scene = Scene(max_memory_mb=100)
    scene.up()
    _, lease = lone(scene)
    scene.done.clear()
    scene.tell(event)
    assert not scene.done
    assert lease.state is State.RUNNING


@pytest.mark.parametrize("idle", [True, False])
@pytest.mark.parametrize("kind", ["finished", "partly", "not run", "interrupted"])
def test_what_an_executor_reported_of_a_task_that_is_not_its_first_one_says_nothing(
    scene: Scene, kind: str, idle: bool
) -> None:
    executor, lease = lone(scene)
    task = lease.number + 1
    if idle:
        executor, task = next(number for number, pipe in scene.pipes.items() if not pipe), lease.number
    reports: dict[str, events.Event] = {
        "finished": events.Finished(executor, task, 0.1, b"result"),
        "partly": events.Partly(executor, task, 1, b"part"),
        "not run": events.NotRun(executor, task, "no engine"),
        "interrupted": events.Interrupted(executor, task, 0),
    }
    scene.done.clear()
    scene.tell(reports[kind])
    assert not scene.done
    assert (lease.state, lease.kept) == (State.RUNNING, [])


def test_parts_of_a_result_are_kept_until_the_task_begins_anew(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.tell(events.Partly(executor, lease.number, 1, b"one"))
    scene.tell(events.Partly(executor, lease.number, 2, b"two"))
    assert lease.kept == [(1, b"one"), (2, b"two")]
    scene.tell(events.Partly(executor, lease.number, 1, b"one again"))
    assert lease.kept == [(1, b"one again")]


def test_who_lists_workers_sees_the_process_numbers_of_the_executors(scene: Scene) -> None:
    scene.wait(BEAT_INTERVAL_S + 0.001)
    announced = scene.requested(commands.Announce)[-1]
    assert announced.agent.pids == (101, 102)


def test_where_no_process_can_be_started_the_agent_ends() -> None:
    scene = Scene()
    scene.tell(events.HireFailed(1, "no such file"))
    for executor in list(scene.pipes):
        scene.die(executor)
    (stop,) = scene.said(instructions.Stop)
    assert stop.failure == "no executor can be started: no such file"


@pytest.mark.parametrize(
    ("most", "published"), [(6, b"answer"), (5, b"the result has 6 bytes; Redis takes 5")]
)
def test_a_result_that_redis_cannot_take_is_an_error(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, most: int, published: bytes
) -> None:
    executor, lease = lone(scene)
    monkeypatch.setattr(wire, "MAX_MESSAGE", most)
    scene.tell(events.Finished(executor, lease.number, 0.1, b"answer"))
    ((_, result),) = scene.requested(commands.Publish)[0].results
    assert published in bytes(result)


def test_a_task_that_cannot_be_run_is_answered_with_the_reason(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.tell(events.NotRun(executor, lease.number, "no engine"))
    ((_, result),) = scene.requested(commands.Publish)[0].results
    assert b"the task cannot be run: no engine" in bytes(result)
    assert "task 1...1 of job a cannot be run: no engine" in scene.log()
    scene.answer()
    assert lease.state is State.ENDED


# --- what people are told of deaths -----------------------------------------------------------------------


def warnings(scene: Scene) -> list[str]:
    return [each.text for each in scene.said(instructions.Log) if each.level >= logging.WARNING]


def test_an_executor_that_dies_for_no_reason_of_ours_is_a_warning(scene: Scene) -> None:
    executor, _ = lone(scene)
    idle = next(number for number, pipe in scene.pipes.items() if not pipe)
    scene.die(executor, cause="killed by SIGSEGV")
    scene.die(idle, cause="killed by SIGKILL")
    assert warnings(scene)[:2] == ["executor 101 killed by SIGSEGV", "executor 102 killed by SIGKILL"]


def test_an_executor_that_dies_because_its_job_was_cancelled_is_no_warning(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.environments.clear()
    scene.tell(events.Changed([lease.env]))
    scene.answer()
    scene.die(executor, cause="its job was cancelled")
    assert "executor 101 ended: its job was cancelled" in scene.log()
    assert not warnings(scene)


def test_an_executor_that_was_replaced_may_end_but_not_die() -> None:
    scene = Scene(workers=1, max_tasks=2)
    scene.up()
    executor, _ = lone(scene)
    scene.finish(executor)
    scene.answer()
    lone(scene)
    scene.finish(executor)
    scene.die(executor, cause="ended with exit status 0")
    assert "executor 101 ended: ended with exit status 0" in scene.log()
    assert not warnings(scene)


def test_an_executor_that_is_to_be_replaced_and_dies_at_work_is_a_warning() -> None:
    scene = Scene(workers=1, max_age_s=60.0)
    scene.up()
    scene.job("a", 40)
    scene.pushed()
    for _ in range(5):
        scene.finish(1)
        scene.answer()
    scene.now_s += 100
    scene.finish(1)
    assert "executor 101 is replaced" in scene.log()
    assert scene.pipes[1]
    scene.die(1, cause="killed by SIGSEGV")
    assert warnings(scene) == ["executor 101 killed by SIGSEGV"]


def test_what_dies_while_the_agent_stops_is_no_warning(scene: Scene) -> None:
    lone(scene)
    scene.tell(events.Signalled(15), events.Signalled(15))
    for executor in list(scene.pipes):
        scene.die(executor, cause="shutdown")
    scene.answer()
    assert scene.said(instructions.Stop)
    assert not warnings(scene)
