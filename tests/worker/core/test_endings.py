"""How tasks end: answered, given back, dropped, condemned; and how the agent does."""

from __future__ import annotations

import dataclasses
import logging

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import RefusedError, Taken
from pydoredis.protocol.messages import Limits
from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.executors import INTERRUPT_GRACE_S
from pydoredis.worker.core.hiring import MAX_FAILED_STARTS
from pydoredis.worker.core.lease import Lease, State
from tests.worker.core.scene import QUEUE, Scene, same


def asked(scene: Scene, kind: type) -> list[commands.Command]:
    """The commands of a kind in all requests so far."""
    return [each for ask in scene.said(instructions.Ask) for each in ask.commands if isinstance(each, kind)]


# --- lost replies -----------------------------------------------------------------------------------------


def test_a_request_whose_reply_was_lost_is_sent_again_as_it_was(scene: Scene) -> None:
    scene.job("a", 3)
    scene.tell(events.Changed([QUEUE.queue]))
    (first,) = scene.asked
    scene.asked.clear()
    scene.tell(events.Lost("connection reset"), events.Connected("run 1", tracking=True))
    (second,) = scene.asked
    assert second is first
    scene.answer()
    assert scene.core.shelves.count(State.RUNNING) == 2


def test_what_happens_while_redis_is_away_is_told_later(scene: Scene) -> None:
    scene.job("a", 2)
    scene.pushed()
    scene.tell(events.Lost("connection reset"))
    for executor in list(scene.pipes):
        scene.finish(executor)
    assert not scene.asked
    assert scene.log().count("going on without it") == 1
    scene.tell(events.Connected("run 1", tracking=True))
    scene.answer()
    assert len(scene.core.shelves) == 0
    assert scene.log().count("Redis is back") == 1


def test_what_redis_refuses_is_asked_again_after_a_pause(scene: Scene) -> None:
    scene.job("a", 2)
    scene.tell(events.Changed([QUEUE.queue]))
    ask = scene.asked.pop()
    scene.tell(events.Replied(ask.request, [RefusedError("OOM command not allowed")] * len(ask.commands)))
    assert not scene.asked
    assert "OOM command not allowed; going on without it" in scene.log()
    scene.wait(1)
    scene.answer()
    assert scene.core.shelves.count(State.RUNNING) == 2


def test_a_server_without_its_data_is_joined_again(scene: Scene) -> None:
    before = len(asked(scene, commands.Announce))
    scene.tell(events.Lost("connection reset"), events.Connected("run 2", tracking=True))
    (again,) = asked(scene, commands.Announce)[before:]
    assert isinstance(again, commands.Announce)
    assert again.open


# --- executors that die -----------------------------------------------------------------------------------


def lone(scene: Scene, count: int = 3) -> tuple[int, Lease]:
    """An executor with one task of several iterations."""
    scene.job("a", 1, count)
    scene.pushed()
    return next((number, pipe[0]) for number, pipe in scene.pipes.items() if pipe)


def test_the_first_death_gives_the_task_back(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.die(executor, 2)
    scene.step()
    assert scene.core.shelves[State.RETURNING] == [lease]
    scene.step()
    assert lease.state is State.ENDED
    assert len(scene.pipes) == 2, "another executor was started"


def test_what_was_finished_before_the_death_is_kept(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.tell(events.Partly(executor, lease.number, 1, b"one"))
    scene.die(executor, 2)
    scene.answer()
    assert lease.kept == [(1, b"one")]
    assert lease.state is State.RUNNING, "it is run here again"


def test_an_iteration_is_given_up_and_the_others_go_on(scene: Scene) -> None:
    scene.crashes = {2: 2}
    executor, lease = lone(scene)
    scene.die(executor, 2)
    scene.answer()
    assert list(lease.verdicts) == [2]
    assert "died 3 times" in lease.verdicts[2].message
    assert lease.state is State.RUNNING


def test_a_second_death_is_followed_by_a_pause() -> None:
    scene = Scene(retry_pause_s=7.0)
    scene.up()
    executor, lease = lone(scene)
    scene.crashes = {2: 1}
    scene.die(executor, 2)
    scene.answer()
    assert lease.state is State.DELAYED
    scene.wait(6.9)
    assert lease.state is State.DELAYED
    scene.wait(0.2)
    assert lease.state in (State.RUNNING, State.WAITING)


def test_what_was_counted_before_is_looked_up(scene: Scene) -> None:
    scene.crashes = {None: 3}
    scene.job("a", 1, 2)
    scene.pushed()
    assert len(scene.core.shelves) == 0
    (published,) = asked(scene, commands.Publish)
    assert isinstance(published, commands.Publish)
    assert not any(scene.pipes.values()), "it was not run"


def test_a_time_limit_is_the_result() -> None:
    scene = Scene(timelimit_s=5.0)
    scene.up()
    executor, lease = lone(scene, 1)
    scene.wait(5.1)
    (kill,) = scene.said(instructions.Kill)
    assert kill.reason == "time limit of 5 s exceeded"
    scene.die(executor, 1, kill.reason)
    assert lease.state is State.ANSWERED
    assert not asked(scene, commands.CountCrash)


def test_executors_that_die_idle_are_started_again_with_pauses(scene: Scene) -> None:
    for _ in range(6):
        scene.die(next(iter(scene.pipes)))
        scene.wait(11)
        scene.answer()
        for executor in list(scene.pipes):
            if scene.core.executors.get(executor).ready is None:  # type: ignore[union-attr]
                scene.tell(events.Ready(executor, "Python"))
    assert len(scene.said(instructions.Hire)) == 8
    assert scene.log().count("executors die soon after their start") == 1


def test_executors_that_never_become_ready_end_the_agent() -> None:
    scene = Scene()
    for _ in range(MAX_FAILED_STARTS):
        scene.die(next(iter(scene.pipes)), cause="ended with exit status 1")
    for executor in list(scene.pipes):
        scene.die(executor)
    (stop,) = scene.said(instructions.Stop)
    assert "3 executors in a row died while they started: ended with exit status 1" in stop.failure


# --- jobs that are over -----------------------------------------------------------------------------------


def test_a_cancelled_task_is_interrupted_and_at_last_killed(scene: Scene) -> None:
    executor, lease = lone(scene)
    scene.environments.clear()
    scene.tell(events.Changed([lease.env]))
    scene.answer()
    assert [each.executor for each in scene.said(instructions.Interrupt)] == [executor]
    scene.wait(INTERRUPT_GRACE_S + 0.1)
    assert [each.reason for each in scene.said(instructions.Kill)] == ["its job was cancelled"]
    scene.die(executor, 1, "its job was cancelled")
    scene.answer()
    assert len(scene.core.shelves) == 0
    assert not asked(scene, commands.CountCrash)


def test_tasks_of_a_job_that_is_over_are_dropped(scene: Scene) -> None:
    scene.job("a", 4)
    scene.environments.clear()
    scene.pushed()
    assert len(scene.core.shelves) == 0
    assert not any(scene.pipes.values())
    assert scene.log().count("the job is over") == 4


def test_a_job_that_is_not_served_goes_to_the_tail_and_the_agent_rests(scene: Scene) -> None:
    scene.refusal = lambda environment: "it is in R, which is not served here"
    scene.job("a", 3)
    scene.pushed()
    assert len(scene.queue) == 3
    count = len(asked(scene, commands.Take))
    scene.wait(0.01)
    scene.answer()
    assert len(asked(scene, commands.Take)) <= count + 1
    assert scene.log().count("tasks of job a go back") == 1


# --- the agent's end --------------------------------------------------------------------------------------


def test_warm_then_cold(scene: Scene) -> None:
    scene.job("a", 2)
    scene.pushed()
    scene.tell(events.Signalled(15))
    scene.answer()
    assert scene.core.shelves.count(State.RUNNING) == 2
    assert not scene.said(instructions.Kill)
    scene.tell(events.Signalled(15))
    assert len(scene.said(instructions.Kill)) == 2
    for executor in list(scene.pipes):
        scene.die(executor, 1, "shutdown")
    scene.answer()
    assert len(scene.queue) == 2
    assert len(asked(scene, commands.Leave)) == 1
    (stop,) = scene.said(instructions.Stop)
    assert stop == instructions.Stop()
    assert not asked(scene, commands.CountCrash)


def test_without_redis_it_says_what_could_not_be_delivered(scene: Scene) -> None:
    scene.job("a", 1)
    scene.pushed()
    scene.tell(events.Lost("connection reset"))
    executor = next(number for number, pipe in scene.pipes.items() if pipe)
    scene.finish(executor)
    scene.tell(events.Signalled(15))
    assert not scene.said(instructions.Stop)
    scene.wait(31)
    (stop,) = scene.said(instructions.Stop)
    assert stop.undelivered == 1
    assert "1 tasks and results could not be brought back" in scene.log()


def test_a_queue_that_was_removed_is_left_after_a_while(scene: Scene) -> None:
    scene.open = False
    scene.tell(events.Changed([QUEUE.live]))
    scene.answer()
    for _ in range(14):
        scene.wait(2)
        scene.answer()
    assert not scene.said(instructions.Stop)
    scene.wait(5)
    scene.answer()
    assert "the queue was removed: leaving" in scene.log()
    assert scene.said(instructions.Stop)


def test_an_idle_agent_says_little(scene: Scene) -> None:
    before = len(scene.said(instructions.Ask))
    for _ in range(60):
        scene.wait(1)
        scene.answer()
    assert len(scene.said(instructions.Ask)) - before <= 45


def test_no_line_of_the_log_is_a_warning_in_a_normal_run(scene: Scene) -> None:
    scene.job("a", 10)
    scene.pushed()
    while any(scene.pipes.values()):
        for executor, pipe in list(scene.pipes.items()):
            if pipe:
                scene.finish(executor)
        scene.answer()
    assert not [each for each in scene.said(instructions.Log) if each.level > logging.DEBUG]


def test_the_reply_to_another_request_says_nothing(scene: Scene) -> None:
    scene.job("a", 2)
    scene.tell(events.Changed([QUEUE.queue]))
    (ask,) = scene.asked
    stale = dataclasses.replace(ask, request=ask.request - 1)
    scene.tell(events.Replied(stale.request, [Taken()] * len(stale.commands)))
    assert scene.asked == [ask]
    scene.answer()
    assert scene.core.shelves.count(State.RUNNING) == 2
    scene.tell(events.Replied(ask.request, [Taken()] * len(ask.commands)))
    assert scene.core.shelves.count(State.RUNNING) == 2


def test_a_time_limit_of_each_iteration() -> None:
    """It is looked which iteration runs; the limit counts anew for each."""
    scene = Scene()
    scene.up()
    scene.job("a", 1, 3)
    environment = (
        PythonCodec(Program(same), limits=Limits(iteration_timelimit_s=1.0)).encode_environment().value
    )
    scene.environments = dict.fromkeys(scene.environments, environment)
    scene.pushed()
    executor = next(number for number, pipe in scene.pipes.items() if pipe)
    scene.wait(0.9)
    scene.at_place(executor, scene.now_s)
    scene.wait(0.9)
    assert not scene.said(instructions.Kill)
    scene.wait(0.2)
    assert [each.reason for each in scene.said(instructions.Kill)] == [
        "time limit of 1 s per iteration exceeded"
    ]
