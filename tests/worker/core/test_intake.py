"""What becomes of tasks as they come off the queues."""

from __future__ import annotations

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Taken, TakenTask
from pydoredis.protocol.wire import decode_task
from pydoredis.worker.core import events
from pydoredis.worker.core.lease import State
from tests.worker.core.scene import ENVIRONMENT, QUEUE, Scene, task


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.up()
    scene.environments[QUEUE.env("a")] = ENVIRONMENT
    return scene


def take(scene: Scene, *tasks: TakenTask) -> None:
    """A look at the queues finds these."""
    scene.tell(events.Changed([QUEUE.queue]))
    environments = {QUEUE.env("a"): scene.environments[QUEUE.env("a")]}
    scene.step({commands.Take: Taken(tasks, environments)})


@pytest.mark.parametrize(("first", "last", "block"), [(1, 3, "1...3"), (3, 1, "3...1")])
def test_a_task_that_was_marked_and_cannot_be_read_is_answered_with_the_reason(
    scene: Scene, first: int, last: int, block: str
) -> None:
    tag = f"iters {block} host h pid 1 begin now"
    payload = task("a", 1)
    take(scene, TakenTask(QUEUE, payload[:-1], tag))
    ((claim, result),) = scene.requested(commands.Publish)[0].results
    assert (claim.task.first, claim.task.last) == (first, last)
    assert len(claim.task.iterations) == 3
    assert claim.task.job == decode_task(payload).job
    assert b"the task cannot be run" in bytes(result)
    assert claim.name.startswith(tag)
    assert claim.tag == tag


def test_what_was_set_aside_and_cannot_be_read_is_buried(scene: Scene) -> None:
    take(scene, TakenTask(QUEUE, b"unreadable", None))
    (bury,) = scene.requested(commands.Bury)
    assert bury.payload == b"unreadable"
    assert not len(scene.core.shelves)
    assert "kept in" in scene.log()


def test_what_was_set_aside_runs_after_it_was_marked(scene: Scene) -> None:
    take(scene, TakenTask(QUEUE, task("a", 1), None))
    assert scene.core.shelves.count(State.ASIDE) == 1
    assert not any(scene.pipes.values())
    scene.answer()
    assert sum(map(len, scene.pipes.values())) == 1


def test_an_environment_that_is_known_is_not_sent_again(scene: Scene) -> None:
    scene.job("a", 1)
    scene.pushed()
    scene.tell(events.Changed([QUEUE.queue]))
    taken = TakenTask(QUEUE, task("a", 2), "iters 2...2 host h pid 1 begin now")
    scene.step({commands.Take: Taken((taken,), {QUEUE.env("a"): commands.KNOWN})})
    assert scene.core.shelves.count(State.RUNNING) == 2
    assert not scene.requested(commands.Fetch)
