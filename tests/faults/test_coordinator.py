"""A Python coordinator that loses tasks, results, connections, Redis or patience, at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest
import redis

from pydoredis.admin import Admin, jobs
from pydoredis.errors import JobCancelled, TaskError, WorkerCrashed
from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.faults.scene import lasting_keys
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

FTINTERVAL = 3


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@pytest.fixture
def queue(server: RedisProcess) -> Queue:
    return Queue("Q", server.url, ftinterval=FTINTERVAL)


@pytest.fixture
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    with server.client() as made:
        yield made


@pytest.fixture(autouse=True)
def clean(server: RedisProcess) -> Iterator[None]:
    """After each test only what belongs to the open queue is left, or expires."""
    yield
    with server.client() as client:
        wait_until(lambda: lasting_keys(client, "Q") == set(), "no orphan keys", 10)


def started(client: redis.Redis) -> int:
    return sum(1 for _ in client.scan_iter(match="Q.start.*", count=1000))


def slow(x: int) -> int:
    time.sleep(0.02)
    return x


@pytest.mark.slow
def test_tasks_that_vanish_from_the_queue(queue: Queue, client: redis.Redis) -> None:
    job = queue.foreach(x=range(4)).submit(slow)
    wait_until(lambda: client.llen("Q") == 4, "the tasks are there")
    client.delete("Q")
    with queue.start_local_workers(1, codec="cloudpickle"):
        assert job.result(60) == list(range(4))


@pytest.mark.slow
def test_results_that_vanish(queue: Queue, client: redis.Redis) -> None:
    job = queue.foreach(x=range(200)).submit(slow)
    with queue.start_local_workers(1, codec="cloudpickle"):
        deadline = time.monotonic() + 2
        while job.status == "running" and time.monotonic() < deadline:
            client.delete(f"Q.out.{job.id}")
        assert job.result(60) == list(range(200))


def test_results_that_come_twice_and_from_strangers(queue: Queue, client: redis.Redis) -> None:
    with queue.start_local_workers(1, codec="cloudpickle"):
        job = queue.foreach(x=range(60)).submit(slow)
        out = f"Q.out.{job.id}"
        while job.status == "running":
            for message in client.lrange(out, 0, -1):
                client.lpushx(out, message, b"no result at all")  # not when the loop has just ended
        assert job.result(30) == list(range(60))


@pytest.mark.slow
@pytest.mark.parametrize("keeps_data", [False, True])
def test_a_restarted_server(keeps_data: bool) -> None:
    with RedisProcess(appendonly="yes" if keeps_data else "no", appendfsync="always") as server:
        queue = Queue("Q", server.url, ftinterval=FTINTERVAL)
        with queue.start_local_workers(2, codec="cloudpickle"):
            job = queue.foreach(x=range(300), combine="+").submit(slow)
            wait_until(lambda: job.done > 20, "some are done")
            server.stop()
            time.sleep(0.2)
            server.start()
            assert job.result(60) == sum(range(300))


@pytest.mark.slow
def test_a_server_that_is_away_when_the_loop_ends() -> None:
    with RedisProcess(appendonly="yes", appendfsync="always") as server:
        back = threading.Timer(1.0, server.start)

        def add(total: int, value: int) -> int:
            server.stop()
            back.start()
            return total + value

        queue = Queue("Q", server.url, ftinterval=FTINTERVAL)
        with queue.start_local_workers(1, codec="cloudpickle"):
            assert queue.foreach(range(2), combine=add).dopar(abs) == 1
            back.join()
            with server.client() as client:
                assert lasting_keys(client, "Q") == set()
                # The loop does not wait for that: its value is there.
                wait_until(lambda: not list(client.scan_iter("Q.env.*")), "the job's keys are removed")


@pytest.mark.slow
def test_connections_that_are_cut(queue: Queue, client: redis.Redis) -> None:
    """Again and again, sooner than anybody looks for what is lost; and something is."""
    with queue.start_local_workers(2, codec="cloudpickle"):
        job = queue.foreach(x=range(300), combine="+").submit(slow)
        wait_until(lambda: client.lpop("Q") is not None, "a task can be taken away")
        while job.status == "running":
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.3)
        assert job.result(60) == sum(range(300))


@pytest.mark.slow
def test_a_copy_that_is_answered_after_the_end(queue: Queue, client: redis.Redis) -> None:
    """R workers that stood still between taking a task and marking it: one dies then, one answers late."""
    job = queue.foreach(x=range(3)).submit(slow)
    wait_until(lambda: client.llen("Q") == 3, "the tasks are there")
    client.lpop("Q", 2)
    wait_until(lambda: client.llen("Q") == 3, "those that are nowhere are submitted again")
    tags = [f"iters {n}...{n} host h pid {n} begin 2026-11-23-11:45:31" for n in (1, 2)]
    for tag in tags:
        client.set(f"Q.start.{job.id}.{tag}", b"")
        client.set(f"Q.alive.{job.id}.{tag}", b"OK", ex=60)
    with queue.start_local_workers(1, codec="cloudpickle"):
        assert job.result(60) == [0, 1, 2]
    assert started(client) == 0
    client.lpush(f"Q.out.{job.id}", b"late")
    assert not jobs("Q", connection=queue.connection)
    assert lasting_keys(client, "Q") == set()


def test_a_job_that_is_removed(server: RedisProcess, client: redis.Redis) -> None:
    """It ends at once, not when its coordinator looks after lost tasks."""
    queue = Queue("Q", server.url, ftinterval=600)
    job = queue.foreach(x=range(10)).submit(slow)
    wait_until(lambda: client.llen("Q") > 0, "tasks are there")
    with Admin(queue.connection) as admin:
        admin.remove_job(job.id)
    with pytest.raises(JobCancelled, match="removed"):
        job.result(20)


@pytest.mark.slow
def test_an_iteration_that_kills_its_workers(queue: Queue) -> None:
    def fatal(x: int) -> int:
        if x == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    with queue.start_local_workers(2, codec="cloudpickle"):
        with pytest.raises(TaskError, match="died 3 times") as caught:
            queue.foreach(x=range(5)).dopar(fatal)
        assert isinstance(caught.value, WorkerCrashed)
        assert "SIGKILL" in caught.value.message
        rest = queue.foreach(x=range(7), chunk_size=7, errorhandling="remove").dopar(fatal)
        assert rest == [0, 1, 3, 4, 5, 6]
        with pytest.raises(WorkerCrashed, match="died once"):
            queue.foreach(x=range(5), max_crashes=1).dopar(fatal)
        with pytest.raises(WorkerCrashed, match="died 5 times"):
            queue.foreach(x=range(5), max_crashes=5).dopar(fatal)


def test_ctrl_c(queue: Queue, client: redis.Redis) -> None:
    program = textwrap.dedent(
        f"""
        import pydoredis as dr, time
        queue = dr.Queue("Q", {queue.connection.url!r})
        try:
            queue.foreach(x=range(100)).dopar(lambda x: time.sleep(0.05))
        except KeyboardInterrupt:
            print(queue.foreach(x=range(3)).dopar(lambda x: x))
        """
    )
    with queue.start_local_workers(1, codec="cloudpickle"):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        wait_until(lambda: started(client) > 0, "it is at work")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert output == "[0, 1, 2]\n"
        wait_until(lambda: started(client) == 0, "nothing is running", 10)


@pytest.mark.slow
def test_a_coordinator_that_dies_leaves_nothing_for_ever(queue: Queue, client: redis.Redis) -> None:
    program = f"import pydoredis as dr; dr.Queue('Q', {queue.connection.url!r}).foreach(range(9)).dopar(abs)"
    process = subprocess.Popen([sys.executable, "-c", program])
    wait_until(lambda: client.llen("Q") > 0, "tasks are there")
    process.kill()
    process.wait()
    (environment,) = client.scan_iter(match="Q.env.*")
    assert 0 < int(client.ttl(environment)) <= 6 * 3600
    client.delete(environment)  # as if the lease had ended
    with queue.start_local_workers(1, codec="cloudpickle"):
        wait_until(lambda: client.llen("Q") == 0, "the tasks are dropped")
        wait_until(lambda: started(client) == 0, "and forgotten")


@pytest.mark.slow
def test_the_same_program_while_workers_come_and_go(queue: Queue) -> None:
    expected: list[Any] = list(range(200))
    job = queue.foreach(x=range(200), chunk_size=2).submit(slow)
    while not job.wait(0):
        before = job.done
        with queue.start_local_workers(2, codec="cloudpickle"):
            wait_until(lambda before=before: job.wait(0) or job.done >= before + 25, "they get on", 60)  # type: ignore[misc]
    assert job.result() == expected
