"""What follows from the replies of Redis."""

from __future__ import annotations

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import RefusedError, Taken, TakenTask
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.membership import BEAT_INTERVAL_S
from pydoredis.worker.core.prefetch import PATIENCE_S
from tests.worker.core.scene import QUEUE, Scene, lone
from tests.worker.core.test_prefetch import served


def beat(scene: Scene, heard: str) -> None:
    """A heartbeat, and what it finds of a task."""
    scene.wait(BEAT_INTERVAL_S + 0.001)
    scene.step({commands.KeepAlive: [heard]})
    scene.answer()


# --- signs of life ----------------------------------------------------------------------------------------


def test_that_a_task_lapsed_is_told_once_and_remembered(scene: Scene) -> None:
    _, lease = lone(scene)
    for heard in ("alive", "lapsed", "lapsed", "alive"):
        beat(scene, heard)
    assert scene.log().count("task 1...1 of job a lapsed: it may be resubmitted") == 1
    assert lease.lapsed
    assert lease.state is State.RUNNING


def test_that_somebody_deleted_a_start_key_is_told(scene: Scene) -> None:
    lone(scene)
    beat(scene, "alive")
    assert "deleted" not in scene.log()
    beat(scene, "restored")
    assert "start key of task 1...1 of job a was deleted by another client; put back" in scene.log()


def test_the_environment_of_a_job_that_is_over_is_kept_as_long_as_a_task_of_it_runs(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.environments.clear()
    beat(scene, "alive")
    assert not scene.said(instructions.Forget)
    scene.finish(executor)
    scene.answer()
    assert lease.state is State.ENDED
    scene.wait(BEAT_INTERVAL_S + 0.001)
    scene.answer()
    assert len(scene.said(instructions.Forget)) == 1


def test_a_job_that_was_over_before_its_environment_was_read_is_forgotten_as_well(scene: Scene) -> None:
    scene.job("a", 1)
    scene.environments.clear()
    scene.pushed()
    for _ in range(3):
        scene.wait(BEAT_INTERVAL_S + 0.001)
        scene.answer()
    assert len(scene.requested(commands.KeepRecords)) == 1
    assert not scene.said(instructions.Forget)


# --- endings ----------------------------------------------------------------------------------------------


def test_a_result_that_the_server_did_not_take_is_published_again_over_another_connection(
    scene: Scene,
) -> None:
    executor, lease = lone(scene)
    scene.finish(executor)
    scene.step({commands.Publish: [None]})
    assert scene.core.shelves[State.ANSWERED] == [lease]
    assert len(scene.said(instructions.Reconnect)) == 1
    assert not scene.asked, "after a pause"
    scene.wait(1)
    scene.answer()
    assert lease.state is State.ENDED
    assert len(scene.requested(commands.Publish)) == 2
    assert len(scene.said(instructions.Reconnect)) == 1


@pytest.mark.parametrize(("outcome", "told"), [("published", False), ("duplicate", True)])
def test_why_a_result_was_dropped_is_told(scene: Scene, outcome: str, told: bool) -> None:
    executor, lease = lone(scene)
    scene.finish(executor)
    scene.step({commands.Publish: [outcome]})
    assert lease.state is State.ENDED
    assert (f"result of task 1...1 of job a dropped: {outcome}" in scene.log()) == told


def test_that_a_task_goes_back_because_its_executor_died_is_told(scene: Scene) -> None:
    executor, _ = lone(scene)
    scene.die(executor, 1)
    scene.answer()
    assert scene.log().count("task 1...1 of job a: given-back") == 1


def test_that_tasks_go_back_for_which_nobody_has_time_is_of_no_interest(scene: Scene) -> None:
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    scene.wait(PATIENCE_S + 0.02)
    scene.answer()
    assert scene.requested(commands.GiveBack)
    assert "given-back" not in scene.log()


def test_why_a_task_was_dropped_is_told_once(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.environments.clear()
    scene.tell(events.Changed([lease.env]))
    scene.answer()
    scene.die(executor, 1)
    scene.answer()
    assert scene.log().count("dropped task") == 1
    assert "dropped task 1...1 of job a: cancelled" in scene.log()
    scene.job("b", 1)
    scene.environments.clear()
    scene.pushed()
    assert scene.log().count("dropped task") == 2
    assert "dropped task 1...1 of job b: the job is over" in scene.log()


# --- what cannot be read ----------------------------------------------------------------------------------


def test_what_cannot_be_read_is_buried_and_what_the_server_refused_to_bury_a_second_time(
    scene: Scene,
) -> None:
    scene.tell(events.Changed([QUEUE.queue]))
    scene.step({commands.Take: Taken(tuple(TakenTask(QUEUE, text, None) for text in (b"one", b"two")))})
    (ask,) = scene.asked
    assert [type(each) for each in ask.commands] == [commands.Bury, commands.Bury]
    scene.asked.clear()
    scene.tell(events.Replied(ask.request, [RefusedError("OOM"), None]))
    scene.wait(1)
    scene.answer()
    scene.wait(BEAT_INTERVAL_S)
    scene.answer()
    assert [each.payload for each in scene.requested(commands.Bury)] == [b"one", b"two", b"one"]
