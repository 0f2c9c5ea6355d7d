"""What an agent says of itself and of its jobs, and how often."""

from __future__ import annotations

from collections import Counter

import pytest

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Announced, Taken, TakenTask
from pydoredis.protocol.telemetry import Activity, Counters, Surroundings, Warned
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.membership import BEAT_INTERVAL_S, SWEEP_BEATS
from tests.worker.core.scene import ENVIRONMENT, QUEUE, Scene, task


def beats(scene: Scene, count: int) -> None:
    """So many heartbeats go by."""
    for _ in range(count):
        scene.wait(BEAT_INTERVAL_S + 0.001)
        scene.answer()


def test_who_has_not_joined_yet_has_nothing_to_say() -> None:
    scene = Scene()
    scene.tell(events.Connected("run 1", tracking=True))
    scene.wait(10)
    assert not scene.said(instructions.Ask)


def test_an_idle_agent_says_that_it_is_there_and_sometimes_sweeps(scene: Scene) -> None:
    scene.done.clear()
    beats(scene, 2 * SWEEP_BEATS)
    counts = Counter(type(each) for ask in scene.said(instructions.Ask) for each in ask.commands)
    assert counts == {commands.Announce: 2 * SWEEP_BEATS, commands.Sweep: 2, commands.Take: 2}


def test_a_server_that_has_lost_the_queues_is_told_of_the_agent_once(scene: Scene) -> None:
    scene.tell(events.Lost("reset"))
    scene.wait(2 * BEAT_INTERVAL_S)
    scene.done.clear()
    scene.tell(events.Connected("run 2", tracking=True))
    (announced,) = scene.requested(commands.Announce)
    assert announced.open


def test_records_of_jobs_are_kept_until_they_are_over_and_their_environments_as_well(scene: Scene) -> None:
    scene.job("a", 1)
    scene.pushed()
    executor = next(number for number, pipe in scene.pipes.items() if pipe)
    scene.finish(executor)
    scene.answer()
    beats(scene, 2)
    assert [[job for _, job in each.jobs] for each in scene.requested(commands.KeepRecords)] == [["a"]] * 2
    assert not scene.said(instructions.Forget)
    scene.environments.clear()
    beats(scene, 2)
    assert len(scene.requested(commands.KeepRecords)) == 3
    assert len(scene.said(instructions.Forget)) == 1


@pytest.mark.parametrize("keys", [[QUEUE.live], None])
def test_when_a_queue_may_be_gone_the_agent_looks_at_once(scene: Scene, keys: list[str] | None) -> None:
    scene.done.clear()
    scene.tell(events.Changed(["something else"]))
    scene.answer()
    assert not scene.requested(commands.Announce)
    scene.tell(events.Changed(keys))
    assert len(scene.requested(commands.Announce)) == 1


def test_that_a_queue_had_lost_the_workers_is_told(scene: Scene) -> None:
    beats(scene, 2)
    assert "had lost our workers" not in scene.log()
    scene.counted = False
    beats(scene, 2)
    assert scene.log().count("queue Q had lost our workers: joined it again") == 1


def test_a_queue_that_was_removed_is_left_so_long_after_the_last_task() -> None:
    scene = Scene(linger_s=31.5)
    scene.up()
    scene.job("a", 1)
    scene.pushed()
    scene.open = False
    beats(scene, 15)
    scene.finish(next(number for number, pipe in scene.pipes.items() if pipe))
    scene.answer()
    beats(scene, 10)
    scene.wait(1.4)
    assert "leaving" not in scene.log()
    scene.wait(0.1)
    scene.answer()
    assert scene.log().count("the queue was removed: leaving") == 1
    assert scene.said(instructions.Stop)


def test_who_was_not_counted_in_is_not_counted_out() -> None:
    scene = Scene()
    scene.tell(events.Connected("run 1", tracking=True), events.Signalled(15))
    assert not scene.said(instructions.Ask)
    assert scene.said(instructions.Stop)


def test_a_task_that_was_set_aside_is_marked_before_it_is_kept_alive(scene: Scene) -> None:
    scene.environments[QUEUE.env("a")] = ENVIRONMENT
    scene.tell(events.Changed([QUEUE.queue]))
    ask = scene.asked.pop()
    scene.now_s += BEAT_INTERVAL_S
    aside = TakenTask(QUEUE, task("a", 1), None)
    scene.tell(events.Replied(ask.request, [Taken((aside,))]))
    assert len(scene.requested(commands.Mark)) == 1
    assert not scene.requested(commands.KeepAlive)
    scene.answer()
    beats(scene, 1)
    assert len(scene.requested(commands.KeepAlive)) == 1


def test_who_is_to_leave_finishes_what_runs_and_gives_back_the_rest(scene: Scene) -> None:
    scene.job("a", 3)
    scene.pushed()
    scene.wait(BEAT_INTERVAL_S + 0.001)
    scene.step({commands.Announce: Announced(True, 1, draining=True)})
    scene.answer()
    assert "somebody wants this agent to leave" in scene.log()
    assert not scene.said(instructions.Stop)
    for executor in [number for number, pipe in scene.pipes.items() if pipe]:
        scene.finish(executor)
        scene.answer()
    assert scene.said(instructions.Stop) == [instructions.Stop()]
    assert len(scene.requested(commands.Leave)) == 1


class TestTelling:
    """What heartbeats say of what was done."""

    def told(self, scene: Scene) -> Activity:
        """What the next heartbeat says."""
        scene.done.clear()
        beats(scene, 1)
        (activity,) = scene.requested(commands.Announce)[0].activities
        return activity

    def test_tasks_are_counted_with_their_times(self) -> None:
        scene = Scene(workers=1, look=lambda pids: Surroundings(dict.fromkeys(pids, 7), [Warned(2.0, "so")]))
        scene.up()
        assert self.told(scene).counters == Counters()
        scene.job("a", 3, chunk_size=2)
        scene.pushed()
        scene.wait(2.0)
        scene.finish(1, seconds=2.0)
        scene.answer()
        scene.finish(1, seconds=0.5)
        activity = self.told(scene)
        counters = activity.counters
        assert (counters.done, counters.iterations, counters.crashed) == (2, 4, 0)
        assert (counters.run.count, counters.run.sum_s) == (2, 2.5)
        assert counters.wait.count == 2
        assert activity.up_s > 2.0
        assert (activity.resident_bytes, activity.warnings) == (7, (Warned(2.0, "so"),))
        (executor,) = self.told(scene).executors
        assert (executor.pid, executor.queue, executor.job) == (101, "Q", "a")
        assert (executor.first, executor.last, executor.resident_bytes) == (5, 6, 7)
        assert executor.running_s == pytest.approx(BEAT_INTERVAL_S, abs=0.1)
        scene.finish(1)
        (idle,) = self.told(scene).executors
        assert (idle.pid, idle.queue, idle.running_s) == (101, "", 0.0)

    def test_deaths_time_limits_and_what_is_given_back(self) -> None:
        scene = Scene(workers=1, timelimit_s=5.0, look=lambda pids: Surroundings())
        scene.up()
        scene.job("a", 1)
        scene.pushed()
        scene.die(1, iteration=1)
        scene.answer()
        counters = self.told(scene).counters
        assert (counters.crashed, counters.given_back, counters.timed_out) == (1, 1, 0)
        scene.tell(events.Ready(2, "Python"))
        scene.pushed()
        scene.wait(5.1)
        assert [each.executor for each in scene.said(instructions.Kill)] == [2]
        scene.answer()
        scene.die(2, iteration=1, cause="time limit")
        counters = self.told(scene).counters
        assert (counters.crashed, counters.given_back, counters.timed_out) == (1, 1, 1)

    def test_an_executor_that_dies_with_nothing_to_do_counts_for_nothing(self) -> None:
        scene = Scene(workers=1, look=lambda pids: Surroundings())
        scene.up()
        scene.die(1)
        assert self.told(scene).counters == Counters()

    def test_nothing_is_told_unless_somebody_looks(self, scene: Scene) -> None:
        scene.done.clear()
        beats(scene, 1)
        assert scene.requested(commands.Announce)[0].activities == ()
