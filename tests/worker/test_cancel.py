"""Cancelling a job: what runs of it is interrupted and cleans up, and the executors stay as they are."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import pytest
import redis

from pydoredis import rexpr
from pydoredis.admin import remove_job
from pydoredis.coordinator.job import Job
from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.peers.processes import exists
from tests.worker.agent_process import QUEUE, executors, worker

cloudpickle.register_pickle_by_value(sys.modules[__name__])

Engine = Literal["python", "rpy2", "rscript"]
ENGINES = [
    "python",
    pytest.param("rpy2", marks=[pytest.mark.needs_r, pytest.mark.slow]),
    pytest.param("rscript", marks=[pytest.mark.needs_r, pytest.mark.slow]),
]


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue(QUEUE, redis_url)


@contextmanager
def pool(queue: Queue, engine: Engine) -> Iterator[Callable[[], list[int]]]:
    """One worker; gives a function that tells its executors."""
    options = () if engine == "python" else ("--codec", "r", "--r-engine", engine)
    with worker(queue.connection.url, *options) as agent:
        yield lambda: executors(agent)


def sleep_and_clean_up(path: str) -> None:
    try:
        Path(path, "at work").touch()
        time.sleep(600)
    finally:
        Path(path, "cleaned up").touch()


SLEEP_AND_CLEAN_UP = """(function() {
  on.exit(file.create(file.path(path, "cleaned up")))
  file.create(file.path(path, "at work"))
  Sys.sleep(600)
})()"""


def ignore(path: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Path(path, "at work").touch()
    time.sleep(600)


IGNORE = """{
  file.create(file.path(path, "at work"))
  repeat tryCatch(Sys.sleep(600), interrupt = function(e) NULL)
}"""


def body(engine: Engine, in_python: Callable[..., Any], in_r: str) -> Any:
    return in_python if engine == "python" else rexpr(in_r)


def begin(queue: Queue, path: Path, made: Any) -> Job[Any, Any]:
    """A job whose one task is at work."""
    job = queue.foreach(path=[str(path)]).submit(made)
    wait_until(lambda: (path / "at work").exists(), "it is at work", 40)
    return job


def cancel(job: Job[Any, Any], queue: Queue) -> None:
    job.cancel()


def remove(job: Job[Any, Any], queue: Queue) -> None:
    remove_job(job.id, connection=queue.connection)


def is_served(queue: Queue, engine: Engine) -> None:
    assert queue.foreach(x=[1, 2, 3]).submit(body(engine, lambda x: x + 1, "x + 1")).result(40) == [2, 3, 4]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("stop", [cancel, pytest.param(remove, marks=pytest.mark.slow)])
def test_a_body_cleans_up_and_its_executor_stays(
    queue: Queue, tmp_path: Path, engine: Engine, stop: Callable[[Job[Any, Any], Queue], None]
) -> None:
    with pool(queue, engine) as pids:
        job = begin(queue, tmp_path, body(engine, sleep_and_clean_up, SLEEP_AND_CLEAN_UP))
        before = pids()
        stop(job, queue)
        wait_until(lambda: (tmp_path / "cleaned up").exists(), "it cleans up")
        is_served(queue, engine)
        assert pids() == before


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_body_that_ignores_it_is_killed(queue: Queue, tmp_path: Path, engine: Engine) -> None:
    with pool(queue, engine) as pids:
        job = begin(queue, tmp_path, body(engine, ignore, IGNORE))
        before = pids()
        job.cancel()
        is_served(queue, engine)
        assert not set(pids()) & set(before)


@pytest.mark.slow
def test_ctrl_c_lets_a_body_clean_up(queue: Queue, tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        import pydoredis as dr

        def body(path):
            try:
                Path(path, "at work").touch()
                time.sleep(600)
            finally:
                Path(path, "cleaned up").touch()

        dr.Queue({QUEUE!r}, {queue.connection.url!r}).foreach(path=[{str(tmp_path)!r}]).dopar(body)
        """
    )
    with pool(queue, "python") as pids:
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
        wait_until(lambda: (tmp_path / "at work").exists(), "it is at work", 40)
        before = pids()
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
        wait_until(lambda: (tmp_path / "cleaned up").exists(), "it cleans up")
        is_served(queue, "python")
        assert pids() == before


def wait_for_a_child(path: str, how: str) -> None:
    """The child writes down its process number first."""
    command = f"cd {path}; echo $$ > pid; touch 'at work'; exec sleep 600"
    if how == "os.system":
        os.system(command)
    else:
        subprocess.run(command, shell=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["subprocess.run", "os.system"])
def test_a_child_that_a_body_waits_for_is_ended(queue: Queue, tmp_path: Path, how: str) -> None:
    with pool(queue, "python") as pids:
        job = begin(queue, tmp_path, functools.partial(wait_for_a_child, how=how))
        child = int((tmp_path / "pid").read_text())
        before = pids()
        job.cancel()
        is_served(queue, "python")
        assert not exists(child)
        # system() keeps SIGINT from its caller while it waits.
        assert (pids() == before) is (how == "subprocess.run")


def note(x: int, path: str) -> int:
    """Write down that an iteration has begun; more of these stand in an executor's pipe than one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\n" % x)
    os.close(descriptor)
    return x


@pytest.mark.slow
def test_other_jobs_in_the_same_pipe_notice_nothing(
    queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Jobs of short tasks come and are cancelled; each iteration of the one that is not runs once."""
    path = str(tmp_path / "begun")
    enough = threading.Event()
    numbers = itertools.takewhile(lambda _: not enough.is_set(), itertools.count())
    with pool(queue, "python") as pids:
        before = pids()
        lasting = queue.foreach(x=numbers, path=itertools.repeat(path), combine="+").submit(note)
        for _ in range(3):
            other = queue.foreach(seconds=[0.001] * 20_000).submit(time.sleep)
            assert not lasting.wait(4)  # more than a heartbeat, by which agents hear of a cancelled job
            other.cancel()
        enough.set()
        assert lasting.result(150) == sum(range(lasting.done))
        times = Counter(Path(path).read_text().split())
        assert len(times) == lasting.done
        assert set(times.values()) == {1}
        assert pids() == before
