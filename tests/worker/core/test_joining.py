"""From the start of an agent until it serves its queues."""

from __future__ import annotations

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import RefusedError
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.supervision import START_TIMEOUT_S
from tests.worker.core.scene import Scene

CONNECTED = events.Connected("run 1", tracking=True)


def test_an_agent_joins_when_all_its_executors_are_ready() -> None:
    scene = Scene()
    scene.tell(CONNECTED, events.Ready(1, "Python"))
    scene.wait(1)
    assert not scene.said(instructions.Ask)
    scene.tell(events.Ready(2, "Python"))
    assert [type(each) for each in scene.said(instructions.Ask)[0].commands] == [commands.Announce]
    assert not scene.said(instructions.Serving)
    scene.answer()
    for _ in range(3):
        scene.wait(4)
        scene.answer()
    assert len(scene.said(instructions.Serving)) == 1


def test_an_agent_whose_announcement_was_refused_does_not_serve() -> None:
    scene = Scene()
    scene.tell(CONNECTED, *(events.Ready(executor, "Python") for executor in (1, 2)))
    scene.step({commands.Announce: RefusedError("OOM")})
    assert not scene.said(instructions.Serving)
    scene.wait(1)
    scene.answer()
    assert len(scene.said(instructions.Serving)) == 1


def test_executors_that_are_not_ready_in_time_are_killed() -> None:
    scene = Scene()
    scene.tell(events.Ready(1, "Python"))
    scene.wait(START_TIMEOUT_S - 1)
    assert not scene.said(instructions.Kill)
    scene.wait(2)
    assert [each.executor for each in scene.said(instructions.Kill)] == [2]
    scene.wait(2 * START_TIMEOUT_S)
    assert len(scene.said(instructions.Kill)) == 1


def test_who_serves_does_not_wait_for_executors_to_be_ready() -> None:
    scene = Scene()
    scene.up()
    scene.wait(START_TIMEOUT_S + 1)
    assert not scene.said(instructions.Kill)


def test_who_stops_before_it_has_joined_does_not_join() -> None:
    scene = Scene()
    ready = [events.Ready(executor, "Python") for executor in (1, 2)]
    scene.tell(CONNECTED, *ready, events.Signalled(15))
    assert not scene.said(instructions.Ask)
    assert scene.said(instructions.Stop)


def test_an_agent_that_nobody_tells_of_tasks_finds_them() -> None:
    scene = Scene()
    scene.tell(*(events.Ready(executor, "Python") for executor in scene.pipes))
    scene.tell(events.Connected("run 1", tracking=False))
    scene.answer()
    scene.job("a", 4)
    scene.wait(0.5)
    scene.answer()
    assert scene.core.shelves.count(State.RUNNING) == 2
    for executor in list(scene.pipes):
        scene.finish(executor, 0.01)
    scene.answer()
    assert not scene.queue
    scene.job("a", 1)
    scene.wait(0.02)
    scene.answer()
    assert not scene.queue, "it is fetched ahead while all are at work"


def test_who_is_told_to_stop_while_it_is_counted_in_is_counted_out_again() -> None:
    scene = Scene()
    for executor in list(scene.pipes):
        scene.tell(events.Ready(executor, "Python"))
    scene.tell(events.Connected("run 1", tracking=True))
    assert [type(each) for ask in scene.asked for each in ask.commands] == [commands.Announce]
    scene.tell(events.Signalled(15))
    assert not scene.said(instructions.Stop), "the reply is to come"
    scene.step()
    assert [type(each) for ask in scene.asked for each in ask.commands] == [commands.Leave]
    scene.step()
    assert scene.said(instructions.Stop)
