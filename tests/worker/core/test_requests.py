"""How what is said of tasks is divided into requests and commands, and in which order it is said."""

from __future__ import annotations

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import UNREAD, RefusedError, Taken, TakenTask
from pydoredis.protocol.keys import TaskTag
from pydoredis.protocol.wire import decode_task
from pydoredis.worker.core import events, requests
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.prefetch import PATIENCE_S
from tests.worker.core.scene import ENVIRONMENT, QUEUE, Scene, task
from tests.worker.core.test_prefetch import served


def up(workers: int = 3) -> Scene:
    """An agent at work."""
    scene = Scene(workers=workers)
    scene.up()
    return scene


def set_aside(scene: Scene) -> None:
    """A task is taken that the script could not read; the request that marks it is under way."""
    scene.environments[QUEUE.env("a")] = ENVIRONMENT
    scene.tell(events.Changed([QUEUE.queue]))
    scene.step({commands.Take: Taken((TakenTask(QUEUE, task("a", 1), None),))})


# --- results ----------------------------------------------------------------------------------------------


def published(scene: Scene, result: bytes) -> list[int]:
    """How many results of three were in each request, when the last two came while one was under way."""
    scene.job("a", 3)
    scene.pushed()
    for executor, (lease,) in list(scene.pipes.items()):
        scene.pipes[executor].clear()
        scene.tell(events.Finished(executor, lease.number, 1.0, result))
    scene.answer()
    return [len(each.results) for each in scene.requested(commands.Publish)]


def test_results_that_are_there_are_published_together() -> None:
    assert published(up(), b"result") == [1, 2]


def test_results_are_published_one_by_one_where_they_are_too_large_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "MOST_BYTES", 10)
    assert published(up(), b"123456") == [1, 1, 1]
    assert published(up(), b"12345") == [1, 2]
    assert published(up(), b"12345678901") == [1, 1, 1], "one of them is too large by itself"


def test_one_command_is_about_so_many_results_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_CLAIMS", 1)
    assert published(up(), b"result") == [1, 1, 1]


# --- what goes back ---------------------------------------------------------------------------------------


def test_many_tasks_go_back_to_the_head_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_CLAIMS", 10)
    scene = up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    scene.wait(PATIENCE_S + 0.02)
    scene.answer()
    assert len(scene.requested(commands.GiveBack)) > 2
    firsts = [decode_task(message).first for message in scene.queue]
    assert firsts == sorted(firsts)


def test_many_tasks_go_back_to_the_tail_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_CLAIMS", 1)
    scene = up()
    scene.refusal = lambda environment: "it is not served here"
    scene.job("a", 3)
    scene.tell(events.Changed([QUEUE.queue]))
    scene.step()
    scene.step()
    assert len(scene.requested(commands.GiveBack)) == 3
    assert [decode_task(message).first for message in scene.queue] == [1, 2, 3]


# --- questions --------------------------------------------------------------------------------------------


def test_a_task_that_was_set_aside_has_one_tag_whatever_happens() -> None:
    scene = up()
    set_aside(scene)
    (mark,) = scene.requested(commands.Mark)
    tag = TaskTag.parse(mark.claim.tag)
    assert (tag.first, tag.last, tag.pid) == (1, 1, 101)
    scene.step({commands.Mark: RefusedError("OOM")})
    scene.die(1)
    scene.wait(1)
    assert len(scene.requested(commands.Mark)) == 2
    assert TaskTag.parse(mark.claim.tag) == tag


def test_an_environment_that_was_not_read_with_its_tasks_is_asked_for_once() -> None:
    scene = up()
    scene.environments[QUEUE.env("a")] = ENVIRONMENT
    scene.tell(events.Changed([QUEUE.queue]))
    taken = tuple(TakenTask(QUEUE, task("a", n), f"iters {n}...{n} tag") for n in (1, 2))
    scene.step({commands.Take: Taken(taken, {QUEUE.env("a"): UNREAD})})
    assert len(scene.requested(commands.Fetch)) == 1
    scene.answer()
    assert len(scene.requested(commands.Fetch)) == 1
    assert scene.core.shelves.count(State.RUNNING) == 2


def test_an_environment_that_was_read_is_not_asked_for() -> None:
    scene = up()
    scene.crashes = {1: 1}
    scene.job("a", 1)
    scene.pushed()
    assert len(scene.requested(commands.LookUpCrashes)) == 1
    assert not scene.requested(commands.Fetch)


def test_tags_and_lists_of_tasks_name_those_executors_that_will_run_them() -> None:
    scene = up(2)
    assert scene.requested(commands.Take)[-1].pids == (101, 102)
    scene.job("a", 1)
    scene.pushed()
    scene.pushed()
    assert scene.requested(commands.Take)[-1].pids == (102, 101)
