"""R coordinators whose tasks are interrupted in every way on workers of ours: the value is always right.

What costs R's own pools ten seconds and more (the dead worker's alive key must expire) must cost next to
nothing where an agent of ours is still there to notice.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.peers.pool import Pool, Session
from tests.peers.processes import descendants, executors, exists, r_string

pytestmark = [pytest.mark.rpeer, pytest.mark.timeout(120)]

FOUR_SHORT = "say(foreach(i = 1:4, .combine = c) %dopar% { Sys.sleep(1.5); i * 11 })"
FOUR_VALUES = "c(11, 22, 33, 44)"


def two_run(pool: Pool) -> bool:
    return len(pool.keys("start")) == 2


def had_to_resubmit(coordinator: Session) -> bool:
    """Whether a coordinator, which has ended, found faults: it looks for them every `ftinterval`, 30 s."""
    return "resubmitting" in coordinator.errors


def once_slow(directory: Path, seconds: int = 60) -> str:
    """A body that sleeps the first time and returns at once when it is run again."""
    return f"""{{
      flag <- file.path({r_string(str(directory))}, i)
      if (!file.exists(flag)) {{ file.create(flag); Sys.sleep({seconds}) }}
      i * 11
    }}"""


def test_a_killed_executor_is_noticed_at_once(pool: Pool, tmp_path: Path) -> None:
    agent = pool.add_agent(2)
    job = pool.coordinator(f"say(foreach(i = 1:4, .combine = c) %dopar% {once_slow(tmp_path)})")
    pool.wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "two bodies run")
    for i in (1, 2, 3, 4):
        (tmp_path / str(i)).touch()
    before = executors(agent)
    assert before, "the agent has no executors"
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert job.value() == FOUR_VALUES, agent.tail()
    assert not had_to_resubmit(job), "the agent left it to the coordinator"
    assert agent.running
    assert pool.count == 2
    assert not set(before) & set(executors(agent))


def test_executors_do_not_outlive_a_killed_agent(pool: Pool) -> None:
    agent = pool.add_agent(2)
    job = pool.coordinator(FOUR_SHORT)
    pool.wait_for(lambda: two_run(pool), "two tasks run")
    below = descendants(agent.pid)
    agent.kill()
    wait_until(lambda: not any(exists(pid) for pid in below), "all of its processes are gone", 10)
    job.close()


@pytest.mark.slow
@pytest.mark.parametrize("other", ["waits beside it", "is started afterwards"])
def test_the_tasks_of_a_killed_agent_are_run_by_another(pool: Pool, other: str, tmp_path: Path) -> None:
    first = pool.add_agent(2)
    job = pool.coordinator(
        f"say(foreach(i = 1:4, .combine = c) %dopar% {once_slow(tmp_path)})", chunk_size=2, ftinterval=3
    )
    pool.wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "two bodies run")
    for i in (1, 2, 3, 4):
        (tmp_path / str(i)).touch()
    if other == "waits beside it":
        pool.add_agent()
        first.kill()
    else:
        first.kill()
        first.wait()
        pool.add_agent()
    assert job.value(100) == FOUR_VALUES, pool.peers[-1].tail()
    assert had_to_resubmit(job), "nobody else could have noticed"


@pytest.mark.slow
def test_bodies_that_quit_for_five_seconds(pool: Pool) -> None:
    """The manual's example of fault tolerance: the processes of early attempts end themselves."""
    pool.add_agent(2)
    value = pool.run(
        """
        start <- Sys.time()
        say(foreach(j = 1:4, .combine = sum) %dopar% {
          if (difftime(Sys.time(), start, units = "secs") < 5) quit(save = "no") else j
        })
        """,
        chunk_size=2,
        ftinterval=5,
        timeout_s=90,
    )
    assert value == "10L", pool.peers[0].tail(30)


@pytest.mark.slow
def test_an_iteration_that_always_kills_its_worker_becomes_an_error(pool: Pool) -> None:
    agent = pool.add_agent(2)
    values = pool.coordinator(
        """
        result <- foreach(i = 1:6, .errorhandling = "pass") %dopar% {
          if (i == 4) tools::pskill(Sys.getpid(), tools::SIGKILL)
          i * 11
        }
        say(unlist(result[-4]))
        say(inherits(result[[4]], "error"))
        message(conditionMessage(result[[4]]))
        """,
        chunk_size=3,
    ).values(90)
    assert values == ["c(11, 22, 33, 55, 66)", "TRUE"], agent.tail(30)
    assert agent.running


@pytest.mark.slow
def test_sigterm_finishes_what_runs_and_leaves_the_rest_to_others(pool: Pool) -> None:
    first = pool.add_agent(2)
    job = pool.coordinator("say(foreach(i = 1:8, .combine = c) %dopar% { Sys.sleep(1); i })")
    pool.wait_for(lambda: two_run(pool), "two tasks run")
    pool.add_agent(2)
    first.terminate()
    assert first.wait() == 0, first.tail()
    assert job.value() == "1:8"
    assert not had_to_resubmit(job), first.tail()
    assert pool.count == 2


@pytest.mark.slow
def test_a_second_sigterm_gives_running_tasks_back(pool: Pool, tmp_path: Path) -> None:
    first = pool.add_agent(2)
    job = pool.coordinator(f"say(foreach(i = 1:4, .combine = c) %dopar% {once_slow(tmp_path)})")
    pool.wait_for(lambda: len(list(tmp_path.iterdir())) == 2, "two bodies run")
    for i in (1, 2, 3, 4):
        (tmp_path / str(i)).touch()
    pool.add_agent()

    def told_again() -> bool:
        # Two signals at once may arrive as one; so it is told until it has heard.
        first.terminate()
        return not first.running

    pool.wait_for(told_again, "the agent leaves")
    assert job.value() == FOUR_VALUES, first.tail()
    assert not had_to_resubmit(job), "somebody waited for the tasks that had been given back"


@pytest.mark.slow
def test_remove_queue_sends_the_workers_home(pool: Pool) -> None:
    r_worker = pool.add_r_worker()
    agent = pool.add_agent(2)
    assert pool.run("say(foreach(i = 1:6, .combine = c) %dopar% sqrt(i * i))") == "c(1, 2, 3, 4, 5, 6)"
    assert pool.run("removeQueue(queue); say(TRUE)") == "TRUE"
    assert agent.wait(15) == 0, agent.tail()
    assert r_worker.wait(15) == 0, r_worker.tail()
    assert not pool.client.exists(f"{pool.queue}.count", f"{pool.queue}.live", pool.queue)


@pytest.mark.slow
def test_a_body_that_never_lets_go_of_the_interpreter_stays_alive(pool: Pool) -> None:
    agent = pool.add_agent(2)
    job = pool.coordinator(
        """
        say(foreach(i = 1:2, .combine = c) %dopar% {
          end <- proc.time()[["elapsed"]] + 14
          while (proc.time()[["elapsed"]] < end) NULL
          i
        })
        """,
        ftinterval=3,
    )
    assert job.value(60) == "1:2", agent.tail()
    assert not had_to_resubmit(job), job.errors


@pytest.mark.slow
def test_interrupting_one_coordinator_does_not_cost_the_other_its_values(pool: Pool) -> None:
    """doRedis throws away all queued tasks then, and the start keys of running ones. The other coordinator
    finds its queued tasks lost and submits them again; the running ones must come once."""
    pool.add_agent(3)
    broken = pool.coordinator("foreach(i = c(2, 5), .combine = c) %dopar% { Sys.sleep(i); i }", ftinterval=3)
    pool.wait_for(lambda: two_run(pool), "the first job runs")
    kept = pool.coordinator("say(foreach(i = 1:8, .combine = c) %dopar% { Sys.sleep(0.8); i })", ftinterval=3)
    pool.wait_for(lambda: len(pool.keys("start")) == 3, "the second job runs beside it")
    broken.interrupt()
    pool.wait_for(lambda: not broken.running, "the first coordinator has ended")
    assert pool.client.llen(pool.queue) == 0, "it was expected to throw away the other job's tasks"
    assert kept.value(60) == "1:8", pool.peers[0].tail()
