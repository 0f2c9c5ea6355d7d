"""When executors have served long enough."""

from __future__ import annotations

from typing import Any

import pytest

from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.recycling import Limits
from pydoredis.worker.core.supervision import DISMISS_TIMEOUT_S
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
    scene.answer()
    while scene.pipes[1]:
        assert not replaced(scene)
        finish(scene)
    assert replaced(scene) == [1]
    assert len(scene.said(instructions.Hire)) == 2


def test_who_is_old_finishes_what_is_in_its_pipe() -> None:
    scene = up(max_age_s=60.0)
    for _ in range(5):
        finish(scene)
    assert len(scene.pipes[1]) > 2
    scene.now_s += 61
    scene.finish(1)
    scene.finish(1)
    assert scene.pipes[1]
    assert not replaced(scene)
    while scene.pipes[1]:
        scene.finish(1)
    assert replaced(scene) == [1]
    assert len(scene.said(instructions.Hire)) == 2


@pytest.mark.parametrize(("megabytes", "ends"), [(99, False), (101, True)])
def test_who_has_so_much_memory_after_a_task_is_replaced(megabytes: int, ends: bool) -> None:
    scene = up(max_memory_mb=100)
    scene.queue.clear()
    first = finish(scene)
    assert [each.executor for each in scene.said(instructions.Weigh)] == [first]
    scene.tell(events.Memory(first, megabytes * 1_000_000))
    assert replaced(scene) == ([first] if ends else [])
    scene.tell(events.Memory(first, megabytes * 1_000_000))
    assert len(scene.said(instructions.Hire)) == (2 if ends else 1)


def test_who_is_about_to_be_killed_is_replaced_when_it_is_dead() -> None:
    scene = up(max_memory_mb=100, timelimit_s=5.0)
    scene.wait(6)
    assert len(scene.said(instructions.Kill)) == 1
    scene.tell(events.Memory(1, 200_000_000))
    assert len(scene.said(instructions.Hire)) == 1
    scene.die(1, 1, "time limit")
    assert len(scene.said(instructions.Hire)) == 2


def test_nobody_is_weighed_whose_memory_has_no_limit() -> None:
    scene = up(max_tasks=2)
    finish(scene)
    assert not scene.said(instructions.Weigh)


def test_who_does_not_end_when_told_to_is_killed_once() -> None:
    scene = up(max_tasks=1)
    first = finish(scene)
    scene.wait(DISMISS_TIMEOUT_S - 0.1)
    assert not scene.said(instructions.Kill)
    scene.wait(0.2)
    scene.answer()
    scene.wait(1)
    kill = instructions.Kill(first, "did not end by itself")
    assert scene.said(instructions.Kill) == [kill]


def test_nobody_is_replaced_by_an_agent_that_stops() -> None:
    scene = up(max_tasks=1)
    scene.tell(events.Signalled(15))
    finish(scene)
    assert len(scene.said(instructions.Hire)) == 1
    assert scene.said(instructions.Stop)


def test_without_limits_nobody_is_replaced() -> None:
    limits = Limits()
    assert limits.room(10**9)
    assert limits.exceeded(10**9, 1e9) is None
    assert limits.exceeded_by_memory(10**15) is None
