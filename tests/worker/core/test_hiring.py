"""When executors are started, and when they are not."""

from __future__ import annotations

from pydoredis.protocol import agent_commands as commands
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.hiring import MAX_FAILED_STARTS, YOUNG_S
from tests.worker.core.scene import Scene

FIRST_PAUSE_S = 0.1


def up(workers: int) -> Scene:
    """An agent at work."""
    scene = Scene(workers=workers)
    scene.up()
    return scene


def only(scene: Scene) -> int:
    """The one executor that there is."""
    (executor,) = scene.pipes
    return executor


def hired(scene: Scene) -> int:
    return len(scene.said(instructions.Hire))


def test_executors_that_die_at_work_never_end_the_agent() -> None:
    scene = up(workers=MAX_FAILED_STARTS + 1)
    scene.job("a", MAX_FAILED_STARTS + 1)
    scene.pushed()
    for executor in list(scene.pipes):
        scene.die(executor, 1)
    assert not scene.said(instructions.Stop)
    assert hired(scene) == 2 * (MAX_FAILED_STARTS + 1)


def test_who_dies_idle_and_young_is_replaced_after_a_pause_without_being_asked() -> None:
    scene = up(workers=1)
    scene.die(only(scene))
    assert hired(scene) == 1
    scene.wait(FIRST_PAUSE_S)
    assert hired(scene) == 2


def test_who_dies_idle_and_old_is_replaced_at_once() -> None:
    scene = up(workers=1)
    scene.wait(YOUNG_S)
    scene.die(only(scene))
    assert hired(scene) == 2


def test_a_task_does_not_make_the_agent_start_executors_before_the_pause_is_over() -> None:
    scene = up(workers=1)
    scene.die(only(scene))
    scene.job("a", 2)
    scene.pushed()
    assert hired(scene) == 1
    assert len(scene.queue) == 2, "others may have executors for them"
    scene.wait(FIRST_PAUSE_S)
    assert hired(scene) == 2


def test_that_executors_die_young_is_told_once() -> None:
    scene = up(workers=1)
    for _ in range(3):
        scene.die(only(scene))
        scene.wait(1)
        scene.answer()
        scene.tell(events.Ready(only(scene), "Python"))
    assert scene.log().count("executors die soon after their start") == 1


def test_an_agent_that_stops_does_not_wake_up_for_executors_that_it_starts_no_more() -> None:
    scene = up(workers=2)
    scene.job("a", 1)
    scene.pushed()
    scene.die(next(number for number, pipe in scene.pipes.items() if not pipe))
    scene.tell(events.Signalled(15))
    scene.wait(1)
    scene.answer()
    scene.tell()
    assert hired(scene) == 2
    assert scene.core.due_s(scene.now_s) > scene.now_s


def test_who_is_to_start_executors_on_demand_starts_them_for_the_first_task() -> None:
    scene = Scene(on_demand=True)
    scene.up()
    assert hired(scene) == 0
    scene.job("a", 1)
    scene.pushed()
    assert hired(scene) == 2
    assert scene.requested(commands.Take)[0].pids == (1,), "the agent's own: there is no other"
