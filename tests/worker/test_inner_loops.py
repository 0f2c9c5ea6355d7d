"""Loops inside of bodies, on real pools: they end, to any depth that is allowed, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import redis

import pydoredis as dr
from pydoredis.coordinator.job import Job
from pydoredis.errors import JobCancelled, TaskError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import Queue
from pydoredis.store.job import INNER_LEASE_S
from tests.conftest import wait_until
from tests.peers.processes import Peer, exists
from tests.redis_process import RedisProcess
from tests.worker.agent_process import QUEUE, executors, worker

cloudpickle.register_pickle_by_value(sys.modules[__name__])

KEYS = QueueKeys(QUEUE)


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue(QUEUE, redis_url)


def nested(depth: int, width: int = 2) -> Callable[[int], int]:
    """A body that is the outermost of loops, so many deep."""

    def body(x: int) -> int:
        if not depth:
            return x
        return x + int(dr.foreach(x=range(width), combine="+").dopar(nested(depth - 1, width)))

    return body


def value(x: int, depth: int, width: int = 2) -> int:
    """What that body gives."""
    return x + sum(value(each, depth - 1, width) for each in range(width)) if depth else x


def inner_jobs(client: redis.Redis) -> list[bytes]:
    """Environments of jobs that are there."""
    return sorted(client.scan_iter(f"{QUEUE}.env.*"))


def nothing_is_left(client: redis.Redis) -> bool:
    lists = [name for name in KEYS.depths() if client.llen(name)]
    return not lists and not inner_jobs(client) and not [*client.scan_iter(f"{QUEUE}.start.*")]


# --- they come to their values ----------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_in_a_pool_of_one(queue: Queue, redis_client: redis.Redis, depth: int) -> None:
    with worker(queue.connection.url):
        loop = queue.foreach(x=[1, 2, 3]).submit(nested(depth))
        other = queue.foreach(x=range(50), combine="+").submit(lambda x: x)
        assert loop.result(100) == [value(x, depth) for x in (1, 2, 3)]
        assert other.result(40) == sum(range(50))
        wait_until(lambda: nothing_is_left(redis_client), "nothing is left")


@pytest.mark.slow
def test_as_deep_as_the_protocol_goes(queue: Queue) -> None:
    with worker(queue.connection.url, "--nesting", "8"):
        assert queue.foreach(x=[1]).submit(nested(8, 1)).result(100) == [value(1, 8, 1)]


@pytest.mark.slow
def test_on_two_machines_of_which_one_has_time(queue: Queue, redis_client: redis.Redis) -> None:
    def agent_of(x: int) -> int:
        time.sleep(0.05)
        return os.getppid()

    def where(x: int) -> list[int]:
        return dr.foreach(x=range(20)).dopar(agent_of)

    with worker(queue.connection.url) as one, worker(queue.connection.url) as two:
        (agents,) = queue.foreach(x=[1]).submit(where).result(40)
        assert {*agents} == {one.pid, two.pid}
        assert queue.foreach(x=range(8)).submit(nested(2)).result(60) == [value(x, 2) for x in range(8)]
        wait_until(lambda: nothing_is_left(redis_client), "nothing is left")


@pytest.mark.parametrize("with_url", [True, False])
def test_bodies_may_name_the_queue(queue: Queue, with_url: bool) -> None:
    """Nobody has time for the inner loop but who waits for it."""
    url = queue.connection.url
    named = url if with_url else None

    def outer(x: int) -> int:
        return dr.Queue(QUEUE, url=named).foreach(y=range(3), combine="+").dopar(lambda y: x * y)  # type: ignore[no-any-return]

    with worker(url):
        for _ in range(3):
            assert queue.foreach(x=[1, 2]).submit(outer).result(40) == [3, 6]


def test_whatever_way_a_body_waits(queue: Queue) -> None:
    """In a stream, for a job in the background, in threads of its own, by looking again and again."""

    def streamed(x: int) -> int:
        return sum(y for _, y in dr.foreach(y=range(3)).stream(lambda y: y))

    def waited_for(x: int) -> int:
        return dr.foreach(y=range(3), combine="+").submit(lambda y: y).result()  # type: ignore[no-any-return]

    def looked_for(x: int) -> int:
        job = dr.foreach(y=range(3), combine="+").submit(lambda y: y)
        while job.status != "done":
            time.sleep(0.01)
        return job.result()  # type: ignore[no-any-return]

    def in_threads(x: int) -> int:
        with ThreadPoolExecutor(2) as threads:
            loops = [dr.foreach(y=range(n), combine="+") for n in (2, 3)]
            return int(sum(threads.map(lambda loop: loop.dopar(lambda y: y), loops))) - 1

    with worker(queue.connection.url):
        for body in (streamed, waited_for, looked_for, in_threads):
            assert queue.foreach(x=[1, 2]).submit(body).result(40) == [3, 3], body.__name__


def test_with_a_password(tmp_path: Path) -> None:
    """Bodies need not know it."""
    with RedisProcess(password="secret") as server:
        queue = Queue(QUEUE, server.url)
        with worker(server.url):
            assert queue.foreach(x=[1, 2]).submit(nested(1)).result(40) == [value(1, 1), value(2, 1)]


@pytest.mark.needs_r
@pytest.mark.slow
def test_a_loop_of_r_code_in_a_python_body(queue: Queue) -> None:
    def outer(x: int) -> int:
        return dr.foreach(y=range(3), combine="+", export={"x": x}).dopar(dr.rexpr("x * y"))  # type: ignore[no-any-return]

    with worker(queue.connection.url, "--codec", "auto"):
        assert queue.foreach(x=[1, 2]).submit(outer).result(100) == [3, 6]


# --- where they must not go -------------------------------------------------------------------------------


@pytest.mark.parametrize("nesting", [0, 1])
def test_too_deep_is_an_error_that_says_what_to_do(queue: Queue, nesting: int) -> None:
    with worker(queue.connection.url, "--nesting", str(nesting)):
        with pytest.raises(TaskError, match=f"go {nesting} deep.*`do`.*--nesting {nesting + 1}"):
            queue.foreach(x=[1]).submit(nested(nesting + 1)).result(40)
        assert queue.foreach(x=[1]).submit(nested(nesting)).result(40) == [value(1, nesting)]


def test_a_queue_that_was_registered_by_a_body_is_not_that_of_others(queue: Queue, redis_url: str) -> None:
    def registers(x: int) -> str:
        dr.register("elsewhere", url=redis_url)
        return "elsewhere"

    with worker(queue.connection.url):
        assert queue.foreach(x=[1]).submit(registers).result(40) == ["elsewhere"]
        assert queue.foreach(x=[1]).submit(nested(1)).result(40) == [value(1, 1)]


# --- they end with what began them ------------------------------------------------------------------------


def wait_inside(path: str) -> list[int]:
    """A body that waits for two that sleep."""

    def sleep(y: int) -> int:
        Path(path, f"at work {y}").touch()
        try:
            time.sleep(600)
        finally:
            Path(path, f"cleaned up {y}").touch()
        return y

    Path(path, "pid").write_text(str(os.getpid()))
    return dr.foreach(y=[1, 2]).dopar(sleep)


def begin(queue: Queue, path: Path) -> Job[Any, Any]:
    job = queue.foreach(path=[str(path)]).submit(wait_inside)
    wait_until(lambda: (path / "at work 1").exists(), "the inner loop is at work", 40)
    return job


def test_cancelled_outside_they_are_cancelled_inside(
    queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    with worker(queue.connection.url) as agent:
        job = begin(queue, tmp_path)
        before = executors(agent)
        assert len(inner_jobs(redis_client)) == 2
        job.cancel()
        wait_until(lambda: (tmp_path / "cleaned up 1").exists(), "the inner body is interrupted")
        wait_until(lambda: nothing_is_left(redis_client), "nothing is left")
        assert queue.foreach(x=[1]).submit(nested(1)).result(40) == [value(1, 1)]
        assert executors(agent) == before, "they were interrupted, and not killed"
        with pytest.raises(JobCancelled):
            job.result(1)


def test_what_a_body_has_begun_ends_with_it(queue: Queue, redis_client: redis.Redis, tmp_path: Path) -> None:
    def leaves(path: str) -> int:
        def sleep(path: str) -> None:
            Path(path, "at work").touch()
            time.sleep(600)

        dr.foreach(path=[path]).submit(sleep)
        while not Path(path, "at work").exists():
            time.sleep(0.01)
        return 1

    with worker(queue.connection.url):
        assert queue.foreach(path=[str(tmp_path)]).submit(leaves).result(40) == [1]
        wait_until(lambda: nothing_is_left(redis_client), "nothing is left")


def once(path: Path, what: str) -> bool:
    """Whether nobody has come here before."""
    try:
        (path / what).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def inner_sum(path: str) -> int:
    """The sum of an inner loop; the first time, its second iteration waits to be struck."""

    def body(y: int) -> int:
        if y == 2 and once(Path(path), "struck"):
            time.sleep(600)
        return y

    if once(Path(path), "begun"):
        Path(path, "pid").write_text(str(os.getpid()))
    return dr.foreach(y=[1, 2, 3], combine="+").dopar(body)  # type: ignore[no-any-return]


def struck(queue: Queue, path: Path) -> Job[Any, Any]:
    job = queue.foreach(path=[str(path)], ftinterval=3).submit(inner_sum)
    wait_until(lambda: (path / "struck").exists(), "the inner loop is at work", 40)
    return job


def kill_who_waits(agent: Peer, path: Path) -> None:
    os.kill(int((path / "pid").read_text()), signal.SIGKILL)


def kill_who_works(agent: Peer, path: Path) -> None:
    waits = int((path / "pid").read_text())
    (works,) = [pid for pid in executors(agent) if pid != waits]
    os.kill(works, signal.SIGKILL)


@pytest.mark.parametrize("strike", [kill_who_waits, kill_who_works])
def test_an_executor_is_killed(
    queue: Queue, redis_client: redis.Redis, tmp_path: Path, strike: Callable[[Peer, Path], None]
) -> None:
    with worker(queue.connection.url) as agent:
        job = struck(queue, tmp_path)
        strike(agent, tmp_path)
        assert job.result(60) == [6]
        wait_until(lambda: nothing_is_left(redis_client), "nothing is left")


@pytest.mark.slow
def test_the_agent_is_killed(queue: Queue, redis_client: redis.Redis, tmp_path: Path) -> None:
    with worker(queue.connection.url) as agent:
        job = struck(queue, tmp_path)
        pid = int((tmp_path / "pid").read_text())
        agent.kill()
        wait_until(lambda: not exists(pid), "its executors end with it")
    (inner,) = [name for name in inner_jobs(redis_client) if name != f"{QUEUE}.env.{job.id}".encode()]
    assert 0 < redis_client.ttl(inner) <= INNER_LEASE_S
    with worker(queue.connection.url):
        assert job.result(60) == [6]


@pytest.mark.slow
@pytest.mark.parametrize("keeps_data", [True, False])
def test_redis_is_restarted(tmp_path: Path, keeps_data: bool) -> None:
    def slow(x: int) -> int:
        def body(y: int) -> int:
            Path(path, "at work").touch()
            time.sleep(0.5)
            return y

        return x + dr.foreach(y=range(6), combine="+", ftinterval=3).dopar(body)  # type: ignore[no-any-return]

    path = str(tmp_path)
    with RedisProcess(appendonly="yes" if keeps_data else "no", appendfsync="always") as server:
        queue = Queue(QUEUE, server.url)
        with worker(server.url):
            job = queue.foreach(x=[1, 2], ftinterval=3).submit(slow)
            wait_until(lambda: (tmp_path / "at work").exists(), "the inner loop is at work", 40)
            server.stop()
            server.start()
            assert job.result(100) == [16, 17]


@pytest.mark.slow
def test_executors_that_are_too_many_end(queue: Queue) -> None:
    with worker(queue.connection.url) as agent:
        before = len(executors(agent))
        assert queue.foreach(x=[1]).submit(nested(3)).result(60) == [value(1, 3)]
        assert len(executors(agent)) > before
        wait_until(lambda: len(executors(agent)) == before, "they end", 40)
