"""What an agent holds ahead: much of short tasks, nothing of long or unknown ones, and nothing for long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.wire import decode_task
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import State
from pydoredis.worker.core.prefetch import (
    AGENT_AHEAD_S,
    MAX_IN_AGENT,
    MAX_IN_PIPE,
    PATIENCE_S,
    SURPLUS_S,
    Durations,
    fitting,
)
from tests.worker.core.scene import Scene


def served(scene: Scene, tasks: int, seconds: float = 0.0001) -> None:
    """Executors answer so many tasks, in turn."""
    done = 0
    while done < tasks:
        for executor, pipe in list(scene.pipes.items()):
            if pipe and done < tasks:
                scene.finish(executor, seconds)
                scene.now_s += seconds / len(scene.pipes)
                done += 1
        scene.answer()


def held(scene: Scene) -> int:
    return sum(map(len, scene.pipes.values())) + scene.core.shelves.count(State.WAITING)


def test_one_task_for_each_executor_of_a_job_that_is_not_known() -> None:
    scene = Scene(workers=3)
    scene.up()
    scene.job("a", 50)
    scene.pushed()
    assert [len(pipe) for pipe in scene.pipes.values()] == [1, 1, 1]
    assert len(scene.queue) == 47
    scene.wait(60)
    assert len(scene.queue) == 47


def test_short_tasks_are_fetched_ahead() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    assert held(scene) > 100
    assert max(map(len, scene.pipes.values())) > MAX_IN_PIPE // 2


def test_what_waits_behind_a_long_task_goes_back_in_its_order() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    before = [lease.task.first for pipe in scene.pipes.values() for lease in pipe[1:]]
    assert before
    rest = len(scene.queue)
    scene.wait(PATIENCE_S + 0.02)
    scene.answer()
    assert all(len(pipe) == 1 for pipe in scene.pipes.values())
    assert scene.core.shelves.count(State.WAITING) == 0
    assert len(scene.queue) > rest
    firsts = [decode_task(message).first for message in scene.queue]
    assert firsts == sorted(firsts)


def test_a_short_job_fetches_nothing_of_the_long_one_behind_it() -> None:
    scene = Scene()
    scene.up()
    scene.job("short", 100)
    scene.job("long", 20)
    scene.pushed()
    while any(lease.task.job == "short" for pipe in scene.pipes.values() for lease in pipe):
        for executor, pipe in list(scene.pipes.items()):
            if pipe and pipe[0].task.job == "short":
                scene.finish(executor)
        scene.answer()
    assert held(scene) == 2
    assert len(scene.queue) == 18


def test_nothing_is_fetched_for_executors_whose_tasks_are_expected_to_take_long() -> None:
    scene = Scene()
    scene.up()
    scene.job("short", 40)
    scene.pushed()
    served(scene, 40)
    scene.job("long", 4)
    scene.pushed()
    served(scene, 2, seconds=15.0)
    assert held(scene) == 2
    scene.job("short", 300)
    scene.pushed()
    scene.wait(5)
    scene.answer()
    assert held(scene) == 2
    assert len(scene.queue) == 300


def test_what_waits_goes_back_when_all_executors_begin_tasks_that_take_long() -> None:
    scene = Scene()
    scene.up()
    scene.job("long", 2)
    scene.pushed()
    served(scene, 2, seconds=15.0)
    scene.job("short", 1000)
    scene.pushed()
    served(scene, 300)
    scene.job("long", 2)
    scene.queue[:] = scene.queue[-2:] + scene.queue[:-2]
    for executor, pipe in scene.pipes.items():
        while pipe[0].task.job == "short":
            scene.finish(executor)
            scene.answer()
    assert [pipe[0].task.job for pipe in scene.pipes.values()] == ["long", "long"]
    assert held(scene) == 2
    assert len(scene.queue) > 300


def test_what_was_fetched_goes_back_when_tasks_become_longer() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    assert scene.core.shelves.count(State.WAITING) > MAX_IN_AGENT / 2
    served(scene, 20, seconds=0.02)
    assert scene.core.shelves.count(State.WAITING) <= 2 * (2 * fitting(SURPLUS_S, 0.02))
    firsts = [decode_task(message).first for message in scene.queue]
    assert firsts == sorted(firsts)


def test_what_was_put_behind_a_recalled_task_is_recalled_too() -> None:
    scene = Scene(workers=1)
    scene.up()
    scene.job("a", 300)
    scene.pushed()
    served(scene, 100)
    (pipe,) = scene.pipes.values()
    pipe[1].cancel()
    scene.tell()
    assert len(scene.said(instructions.Recall)) == 1
    assert len(pipe) > 1, "others were put behind it"
    scene.wait(PATIENCE_S + 0.02)
    assert len(scene.said(instructions.Recall)) == 2
    assert len(pipe) == 1


def test_a_task_that_is_given_back_goes_to_whoever_is_free_here_first() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 60)
    scene.pushed()
    served(scene, 20)
    slow, quick = scene.pipes
    scene.wait(PATIENCE_S / 2)
    while scene.pipes[quick] and scene.now_s < 1001:
        scene.finish(quick)
        scene.answer()
        scene.wait(0.001)
    assert len(scene.pipes[slow]) == 1
    assert not scene.queue


def test_nothing_is_given_back_while_redis_is_away() -> None:
    scene = Scene()
    scene.up()
    scene.job("a", 1000)
    scene.pushed()
    served(scene, 300)
    scene.tell(events.Lost("connection reset"))
    count = held(scene)
    scene.wait(5)
    assert held(scene) == count
    assert not [ask for ask in scene.asked for each in ask.commands if isinstance(each, commands.GiveBack)]


def test_iter_bounds_what_is_taken() -> None:
    scene = Scene(iter=5)
    scene.up()
    scene.job("a", 50)
    scene.pushed()
    served(scene, 10)
    assert len(scene.queue) == 40
    scene.answer()
    assert scene.log().count("done: 5 tasks per worker") == 1
    assert scene.said(instructions.Stop)


# --- how long tasks are expected to take ------------------------------------------------------------------


def durations(*seconds: float) -> Durations:
    noted = Durations()
    for value in seconds:
        noted.note(value)
    return noted


def test_before_the_first_task_nothing_is_expected() -> None:
    assert (Durations().expected_s, Durations().per_executor) == (None, 0)


def test_one_long_task_ends_the_fetching_ahead_at_once() -> None:
    noted = durations(*[50e-6] * 1000)
    assert noted.per_executor == MAX_IN_AGENT
    noted.note(1.0)
    assert noted.per_executor == 0


def test_one_task_that_was_long_because_the_machine_was_busy_sends_not_everything_back() -> None:
    noted = durations(*[0.001] * 100, 2 * SURPLUS_S)
    assert 0 < noted.most_waiting < SURPLUS_S / 0.001


@given(st.lists(st.floats(0, 1e5), min_size=1))
def test_what_waits_is_bounded_in_number_and_time(seconds: list[float]) -> None:
    noted = durations(*seconds)
    assert noted.expected_s is not None
    assert 0 <= noted.per_executor <= MAX_IN_AGENT
    assert noted.per_executor * noted.expected_s <= AGENT_AHEAD_S


def test_nothing_of_a_job_that_is_not_known_stays_for_an_executor_that_is_at_work() -> None:
    assert Durations().most_waiting == 0
    noted = Durations()
    noted.note(0.001)
    assert noted.most_waiting == int(SURPLUS_S / 0.001)
