"""When executors have served long enough."""

from __future__ import annotations

from typing import Any

import pytest

from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.recycling import Limits
from tests.worker.core.scene import Scene


def up(**limits: Any) -> Scene:
    """An agent with one executor that may not go on for ever, and tasks for it."""
    scene = Scene(workers=1, **limits)
    scene.up()
    scene.job("a", 10)
    scene.pushed()
    return scene


def finish(scene: Scene) -> int:
    """The one executor at work finishes a task; its number."""
    (executor,) = (number for number, pipe in scene.pipes.items() if pipe)
    scene.finish(executor)
    scene.answer()
    return executor


def replaced(scene: Scene) -> list[int]:
    """The executors that were told to end."""
    return [each.executor for each in scene.said(instructions.Dismiss)]


def test_who_has_run_so_many_tasks_is_replaced_and_given_no_more() -> None:
    scene = up(max_tasks=3)
    first = finish(scene)
    assert finish(scene) == first
    assert not replaced(scene)
    assert finish(scene) == first
    assert replaced(scene) == [first]
    given = [each.lease.task.first for each in scene.said(instructions.Hand) if each.executor == first]
    assert given == [1, 2, 3]


def test_who_has_served_long_enough_has_one_successor() -> None:
    scene = up(max_tasks=1)
    first = finish(scene)
    assert len(scene.said(instructions.Hire)) == 2
    scene.die(first, cause="ended with exit status 0")
    scene.wait(1)
    assert len(scene.said(instructions.Hire)) == 2
    assert "is replaced: it has run 1 tasks" in scene.log()


def test_who_is_old_is_replaced_after_its_task() -> None:
    scene = up(max_age_s=60.0)
    finish(scene)
    assert not replaced(scene)
    scene.wait(61)
    scene.answer()
    assert not replaced(scene), "it has a task"
    finish(scene)
    while scene.pipes[1]:
        finish(scene)
    assert replaced(scene) == [1]


@pytest.mark.parametrize(("megabytes", "ends"), [(99, False), (101, True)])
def test_who_has_so_much_memory_after_a_task_is_replaced(megabytes: int, ends: bool) -> None:
    scene = up(max_memory_mb=100)
    scene.queue.clear()
    first = finish(scene)
    assert [each.executor for each in scene.said(instructions.Weigh)] == [first]
    scene.tell(events.Memory(first, megabytes * 1_000_000))
    assert replaced(scene) == ([first] if ends else [])


def test_without_limits_nobody_is_replaced() -> None:
    limits = Limits()
    assert limits.room(10**9)
    assert limits.exceeded(10**9, 1e9) is None
    assert limits.exceeded_by_memory(10**15) is None
