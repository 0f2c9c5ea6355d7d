"""When executors have served long enough."""

from __future__ import annotations

from typing import Any

from pydoredis.worker.core import instructions
from tests.worker.core.scene import Scene


def up(**limits: Any) -> Scene:
    """An agent with one executor that may not go on for ever."""
    scene = Scene(workers=1, **limits)
    scene.up()
    return scene


def test_who_has_served_long_enough_has_one_successor() -> None:
    scene = up(max_tasks=1)
    scene.job("a", 1)
    scene.pushed()
    (first,) = scene.pipes
    scene.finish(first)
    assert len(scene.said(instructions.Hire)) == 2
    assert [each.executor for each in scene.said(instructions.Dismiss)] == [first]
    scene.die(first, cause="ended with exit status 0")
    scene.wait(1)
    assert len(scene.said(instructions.Hire)) == 2
