"""What is known of executors, and what may be put into their pipes."""

from __future__ import annotations

from pydoredis.worker.core import events, instructions
from tests.worker.core.scene import Scene
from tests.worker.core.test_prefetch import served


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
