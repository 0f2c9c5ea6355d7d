"""How workers come and go: counts, exit statuses, lost connections; and what they do when their keys vanish.

The jobs are recorded ones of R, so no test needs a coordinator.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis

from tests.conftest import wait_until
from tests.peers.processes import Peer, clean_environment
from tests.wire.compare import Comparer
from tests.wire.driver import Replay, as_bytes
from tests.wire.recording import RecordedTask, Recording, load_all
from tests.wire.sites import ENGINES, R_PEER, each_engine, start_workers
from tests.wire.table import BAD_QUEUE_NAMES

RECORDINGS = load_all()
QUEUE = "golden"

pytestmark = pytest.mark.timeout(120)
ours_only = pytest.mark.skipif(R_PEER in ENGINES, reason="R's worker does not do this")


@contextmanager
def workers(
    engine: str,
    url: str,
    client: redis.Redis,
    count: int = 1,
    *,
    linger_s: int = 1,
    iterations: int | None = None,
) -> Iterator[list[Peer]]:
    """Workers that have counted themselves in."""
    with ExitStack() as stack:
        peers = start_workers(engine, url, (QUEUE,), count, linger_s=linger_s, iterations=iterations)
        for peer in peers:
            stack.enter_context(peer)
        wait_until(lambda: worker_count(client) == count, "the workers are counted", 40)
        yield peers


def worker_count(client: redis.Redis) -> int:
    return int(client.get(f"{QUEUE}.count") or 0)


def play(client: redis.Redis, recording: Recording) -> list[tuple[str, bytes]]:
    """Replay a recording for its answers; anything odd is a failure."""
    outcome = Replay(client, recording, strict=False, timeout_s=30).run()
    assert outcome.problems == []
    return outcome.answers


def submit(client: redis.Redis, recording: Recording, count: int) -> list[RecordedTask]:
    """Put the first job's environment and `count` of its tasks on the server, as its coordinator did."""
    job = recording.jobs[0]
    env = next(step for step in recording.steps if step.do == "set" and step.job == job)
    tasks = [task for task in recording.expects("result") if task.job == job][:count]
    client.set(env.key, env.value)
    client.rpush(QUEUE, *(task.payload for task in tasks))
    return tasks


def keys(client: redis.Redis, kind: str, job: str) -> list[bytes]:
    prefix = f"{QUEUE}.{kind}.{job}".encode()
    return [key for key in client.scan_iter(count=1000) if key.startswith(prefix)]


def running(client: redis.Redis, job: str) -> bytes:
    """The start key of the job's running task, once it runs."""
    wait_until(lambda: keys(client, "start", job), "a task runs")
    return keys(client, "start", job)[0]


def is_served(client: redis.Redis, comparer: Comparer, scenario: str = "chunk3") -> None:
    """The workers still do what they are for. A scenario works once: ours remember what they published."""
    recording = RECORDINGS[scenario]
    assert comparer.differences(recording.expects("result"), play(client, recording)) == []


@each_engine
def test_a_worker_leaves_after_its_number_of_tasks(
    engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    with (
        workers(engine, redis_url, redis_client, iterations=2) as first,
        start_workers(engine, redis_url, (QUEUE,), iterations=2)[0] as second,
    ):
        wait_until(lambda: worker_count(redis_client) == 2, "both are counted", 40)
        assert len(play(redis_client, RECORDINGS["iter_limit"])) == 4
        assert first[0].wait() == 0
        assert second.wait() == 0
    assert redis_client.get(f"{QUEUE}.count") == b"0"
    assert redis_client.exists(f"{QUEUE}.live")


@each_engine
def test_a_worker_leaves_when_the_queue_was_removed(
    engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    with workers(engine, redis_url, redis_client) as (worker,):
        play(redis_client, RECORDINGS["remove_queue"])
        redis_client.delete(f"{QUEUE}.count", f"{QUEUE}.live")
        assert worker.wait() == 0
    # The count must not come back, below zero or otherwise.
    assert not redis_client.exists(f"{QUEUE}.count", f"{QUEUE}.live", QUEUE)


@each_engine
def test_a_worker_stays_when_the_queue_is_back_before_it_looks(
    engine: str, redis_url: str, redis_client: redis.Redis, comparer: Comparer
) -> None:
    with workers(engine, redis_url, redis_client, linger_s=5) as (worker,):
        live = as_bytes(redis_client.getdel(f"{QUEUE}.live"))
        redis_client.set(f"{QUEUE}.live", live)
        is_served(redis_client, comparer)
        assert worker.running


@ours_only
@each_engine
def test_sigterm_while_idle_is_a_normal_leave(engine: str, redis_url: str, redis_client: redis.Redis) -> None:
    with workers(engine, redis_url, redis_client, 2) as (worker,):
        worker.terminate()
        assert worker.wait() == 0
    assert worker_count(redis_client) == 0
    assert redis_client.exists(f"{QUEUE}.live")


@ours_only
@each_engine
def test_a_worker_survives_the_loss_of_its_connections(
    engine: str, redis_url: str, redis_client: redis.Redis, comparer: Comparer
) -> None:
    with workers(engine, redis_url, redis_client):
        redis_client.client_kill_filter(_type="normal", skipme=True)
        is_served(redis_client, comparer)
        # And in the middle of a task, whose result must come once and only once.
        job = submit(redis_client, RECORDINGS["two_masters"], 1)[0].job
        running(redis_client, job)
        redis_client.client_kill_filter(_type="normal", skipme=True)
        out = f"{QUEUE}.out.{job}"
        wait_until(lambda: redis_client.llen(out), "the result is there")
        is_served(redis_client, comparer, "basic_sqrt")
        assert redis_client.llen(out) == 1


@each_engine
def test_a_start_key_that_somebody_else_deleted_does_not_cost_the_result(
    engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """R coordinators delete the start keys of all jobs of a queue when one job is interrupted."""
    with workers(engine, redis_url, redis_client):
        job = submit(redis_client, RECORDINGS["two_masters"], 1)[0].job
        redis_client.delete(running(redis_client, job))
        wait_until(lambda: redis_client.llen(f"{QUEUE}.out.{job}") == 1, "the result is there")
        wait_until(lambda: not keys(redis_client, "start", job), "no start key is left")


@pytest.mark.slow
@ours_only
@each_engine
def test_the_result_of_a_task_that_was_declared_lost_is_dropped(
    engine: str, redis_url: str, redis_client: redis.Redis, comparer: Comparer
) -> None:
    """Without alive key a coordinator deletes the start key and submits the task again."""
    with workers(engine, redis_url, redis_client):
        # Six seconds: in that time a heartbeat finds out.
        job = submit(redis_client, RECORDINGS["vanishing_start"], 1)[0].job
        start = running(redis_client, job)
        redis_client.delete(start, start.replace(b".start.", b".alive."))
        is_served(redis_client, comparer)
        assert not redis_client.llen(f"{QUEUE}.out.{job}")
        assert not keys(redis_client, "start", job)


@ours_only
@each_engine
def test_the_result_of_a_job_that_is_over_is_dropped(
    engine: str, redis_url: str, redis_client: redis.Redis, comparer: Comparer
) -> None:
    with workers(engine, redis_url, redis_client):
        job = submit(redis_client, RECORDINGS["two_masters"], 1)[0].job
        running(redis_client, job)
        redis_client.delete(f"{QUEUE}.env.{job}")
        is_served(redis_client, comparer)
        assert not redis_client.llen(f"{QUEUE}.out.{job}")
        assert not keys(redis_client, "start", job)


def _environments() -> dict[str, bytes]:
    env = next(step.value for step in RECORDINGS["export_local"].steps if step.do == "set")
    return {
        "pickle": pickle.dumps({"expr": "1", "exportenv": {}}),
        "text": b"not from R at all",
        "truncated": env[: len(env) // 2],
        "R value of another kind": next(t.result for t in RECORDINGS["basic_sqrt"].expects("result")),
    }


@ours_only
@each_engine
@pytest.mark.parametrize("kind", sorted(_environments()))
def test_an_unreadable_environment_costs_its_own_job_only(
    engine: str, kind: str, redis_url: str, redis_client: redis.Redis, comparer: Comparer
) -> None:
    """R's worker dies of it, and the next one too. Ours must tell: by results that are errors, or by putting
    the task aside; not let the coordinator submit it for ever."""
    with workers(engine, redis_url, redis_client) as (worker,):
        recording = RECORDINGS["export_local"]
        job = recording.jobs[0]
        tasks = recording.expects("result")
        redis_client.set(f"{QUEUE}.env.{job}", _environments()[kind])
        redis_client.rpush(QUEUE, *(task.payload for task in tasks))
        is_served(redis_client, comparer)
        assert worker.running, worker.tail()
        assert not keys(redis_client, "start", job)
        kept = redis_client.lrange(f"pydoredis:{{{QUEUE}}}:dead", 0, -1)
        published = [(job, as_bytes(reply)) for reply in redis_client.lrange(f"{QUEUE}.out.{job}", 0, -1)]
        aside = [task for task in tasks if any(task.payload in as_bytes(entry) for entry in kept)]
        answered = comparer.differences(tasks, published)
        told = {task.iterations for task in aside} | {
            iterations
            for _, iterations, verdict in (line.split("\t", 2) for line in answered)
            if verdict != "not answered"
        }
        assert told == {task.iterations for task in tasks}, (answered, worker.tail())


@ours_only
@pytest.mark.needs_r
@pytest.mark.parametrize("scenario", sorted(BAD_QUEUE_NAMES))
def test_queue_names_that_break_r_coordinators_are_refused(scenario: str, redis_url: str) -> None:
    queue = RECORDINGS[scenario].queues[0]
    command = [sys.executable, "-m", "pydoredis", "worker", "--queue", queue, "--url", redis_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=clean_environment())
    assert done.returncode == 2, done.stderr
    assert queue in done.stderr
