"""How an agent stops, and what it says of it."""

from __future__ import annotations

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Taken, TakenTask
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.shutdown import Shutdown
from tests.worker.core.scene import QUEUE, Scene

GRACE_S = 30.0


@pytest.fixture
def scene() -> Scene:
    scene = Scene(grace_s=GRACE_S)
    scene.up()
    return scene


def at_work(scene: Scene) -> int:
    """The one executor that has a task."""
    scene.job("a", 1)
    scene.pushed()
    return next(number for number, pipe in scene.pipes.items() if pipe)


def signal(scene: Scene) -> None:
    scene.tell(events.Signalled(15))
    scene.answer()


def test_each_stage_is_told_once(scene: Scene) -> None:
    at_work(scene)
    signal(scene)
    assert scene.log().count("finishing running tasks, giving back the others") == 1
    scene.wait(GRACE_S + 1)
    scene.tell()
    scene.answer()
    scene.tell()
    assert scene.log().count("the grace period is over") == 1
    assert scene.log().count("giving running tasks back") == 1
    assert scene.log().count("giving back the others") == 1


def test_who_is_killed_is_killed_once_and_waited_for(scene: Scene) -> None:
    at_work(scene)
    signal(scene)
    signal(scene)
    scene.wait(2 * GRACE_S)
    scene.answer()
    scene.tell()
    assert len(scene.said(instructions.Kill)) == 2
    assert "the grace period is over" not in scene.log()


def test_a_shutdown_that_has_begun_does_not_begin_anew() -> None:
    shutdown = Shutdown(GRACE_S)
    shutdown.begin(0.0)
    shutdown.begin(20.0)
    assert shutdown.due_s == GRACE_S
    shutdown.hurry()
    shutdown.begin(20.0)
    assert shutdown.cold


def test_a_warm_agent_does_not_look_for_tasks(scene: Scene) -> None:
    at_work(scene)
    signal(scene)
    scene.job("b", 1)
    scene.pushed()
    scene.wait(1)
    assert len(scene.queue) == 1
    assert scene.core.due_s(scene.now_s) > scene.now_s


def test_workers_are_counted_out_after_the_last_task(scene: Scene) -> None:
    executor = at_work(scene)
    signal(scene)
    scene.wait(5)
    scene.answer()
    assert not scene.requested(commands.Leave)
    scene.finish(executor)
    scene.answer()
    assert len(scene.requested(commands.Leave)) == 1
    assert scene.said(instructions.Stop)


def test_workers_are_counted_out_after_all_else_was_said(scene: Scene) -> None:
    scene.tell(events.Changed([QUEUE.queue]), events.Signalled(15))
    (ask,) = scene.asked
    assert [type(each) for each in ask.commands] == [commands.Leave]
    other = Scene()
    other.up()
    other.tell(events.Changed([QUEUE.queue]))
    other.tell(events.Signalled(15))
    other.step({commands.Take: Taken((TakenTask(QUEUE, b"unreadable", None),))})
    (ask,) = other.asked
    assert [type(each) for each in ask.commands] == [commands.Bury]
    other.answer()
    assert len(other.requested(commands.Leave)) == 1
    assert other.said(instructions.Stop)


def test_an_idle_agent_that_cannot_be_counted_out_says_so_and_ends(scene: Scene) -> None:
    scene.tell(events.Lost("reset"))
    scene.tell(events.Signalled(15))
    assert scene.said(instructions.Stop) == [instructions.Stop()]
    assert "the worker counts of the queues are too high now: Redis is away" in scene.log()


def test_where_nothing_is_undelivered_nothing_is_said_of_it(scene: Scene) -> None:
    scene.tell(events.Lost("reset"), events.Signalled(15), events.Signalled(15))
    assert scene.said(instructions.Stop) == [instructions.Stop()]
    assert "could not be brought back" not in scene.log()
