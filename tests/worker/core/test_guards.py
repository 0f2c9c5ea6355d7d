"""Conditions of the core on which nothing else depends (`python -m tests.model.mutations`)."""

from __future__ import annotations

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import RefusedError
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.prefetch import PATIENCE_S
from tests.worker.core.scene import Scene
from tests.worker.core.test_prefetch import served


def refuse(scene: Scene) -> None:
    """The server refuses the request that is under way."""
    ask = scene.asked.pop()
    scene.tell(events.Replied(ask.request, [RefusedError("OOM")] * len(ask.commands)))


# --- the conversation with Redis --------------------------------------------------------------------------


def test_each_reason_of_an_outage_is_told_once(scene: Scene) -> None:
    for _ in range(2):
        for reason in ("reset", "refused", "reset", "refused"):
            scene.tell(events.Lost(reason))
        scene.tell(events.Connected("run 1", tracking=True))
        scene.answer()
    log = scene.log()
    assert log.count("reset; going on without it") == 2
    assert log.count("refused") == 2
    assert log.count("going on without it") == 2


def test_a_connection_to_a_server_that_refuses_is_no_way_back(scene: Scene) -> None:
    scene.job("a", 2)
    scene.pushed()
    scene.finish(next(iter(scene.pipes)))
    refuse(scene)
    scene.tell(events.Lost("reset"), events.Connected("run 1", tracking=True))
    assert "Redis is back" not in scene.log()
    scene.wait(1)
    scene.answer()
    assert "Redis is back" in scene.log()


def test_nothing_is_given_back_to_a_server_that_refuses(scene: Scene) -> None:
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    scene.finish(next(iter(scene.pipes)))
    refuse(scene)
    scene.now_s += PATIENCE_S + 0.001
    for _ in range(3):
        scene.tell()
    assert scene.core.shelves.count(State.RETURNING) == 0
    assert scene.core.shelves.count(State.WAITING) > 0


def test_a_queue_is_not_opened_again_at_a_server_that_has_only_closed_a_connection(scene: Scene) -> None:
    scene.tell(events.Lost("reset"), events.Connected("run 1", tracking=True))
    scene.wait(10)
    scene.answer()
    announced = [each for ask in scene.said(instructions.Ask) for each in ask.commands]
    opened = [each for each in announced if isinstance(each, commands.Announce) and each.open]
    assert len(opened) == 1, "when it joined"
