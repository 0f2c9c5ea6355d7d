"""What was finished of a block when its executor died is not run again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import redis

from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.worker.engines.base import KEEP_AFTER_S
from pydoredis.worker.frames import Kind
from rinterop import values
from tests.conftest import wait_until
from tests.worker import test_executor_python as python_codec
from tests.worker.agent_process import Gate, Job, pass_gate, worker
from tests.worker.executor_process import Executor, peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])

LONG_S = 3 * KEEP_AFTER_S
LONG_IN_R_S = 6 * KEEP_AFTER_S
"""So long an iteration is worth a message of its own, even if the one before took its time to make."""

R_ENGINES = ("rpy2", "rscript")


def noted(path: str, i: int) -> int:
    """Note that an iteration ran, in one line; return how often it has, this time included."""
    with open(path, "a") as file:
        file.write(f"{i}\n")
    return Path(path).read_text().split().count(str(i))


def runs(path: Path) -> dict[int, int]:
    """How often each iteration ran."""
    return dict(Counter(map(int, path.read_text().split())))


def fatal_once(i: int, path: str) -> int:
    times = noted(path, i)
    time.sleep(LONG_S)
    if i == 4 and times == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return i * 11


def fatal_third(i: int, path: str) -> int:
    noted(path, i)
    time.sleep(LONG_S)
    if i == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return i * 11


def endless_third(i: int, path: str) -> int:
    noted(path, i)
    time.sleep(LONG_S)
    while i == 3:
        signal.pause()
    return i * 11


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def block(job: Job, path: Path, count: int = 5) -> bytes:
    return job.block(*({"i": i, "path": str(path)} for i in range(1, count + 1)))


def in_r(body: str, path: Path) -> str:
    """A body that notes its iteration, takes its time, and goes on with `body`."""
    note = f"cat(i, '\\n', file = '{path}', append = TRUE)"
    return f"job({{ {note}; Sys.sleep({LONG_IN_R_S}); {body} }})"


KILL_YOURSELF = "tools::pskill(Sys.getpid(), 9)"


def test_only_what_was_not_finished_is_run_again(
    redis_url: str, redis_client: redis.Redis, path: Path
) -> None:
    job = Job(redis_client, fatal_once)
    with worker(redis_url):
        job.push(block(job, path))
        assert job.results(1) == {str(i): ("ok", i * 11) for i in range(1, 6)}
    assert runs(path) == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("engine", R_ENGINES)
def test_only_what_was_not_finished_is_run_again_in_r(
    engine: str, redis_url: str, redis_client: redis.Redis, path: Path
) -> None:
    """Values of all kinds, NULL among them, come through a second process as they are."""
    fatal = f"if (i == 4 && sum(scan('{path}', quiet = TRUE) == 4) == 1) {KILL_YOURSELF}"
    body = f"{fatal}; switch(i, NULL, list(a = 'é', b = NULL), stop('no'), 4L, function(x) x + i)"
    job = Job(redis_client, peer().make(in_r(body, path)))
    with worker(redis_url, "--codec", "r", "--r-engine", engine):
        job.push(job.adopt(peer().make("task(i = 1:5)")))
        wait_until(lambda: job.raw_results(), "there is a result", 30)
        (message,) = job.raw_results()
    assert runs(path) == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}
    assert peer().show(message, "names(value)") == 'c("1", "2", "3", "4", "5")'
    shown = peer().show(message, "list(value[[1]], value[[2]], conditionMessage(value[[3]]), value[[4]])")
    assert shown == 'list(NULL, list(a = "é", b = NULL), "no", 4L)'
    assert peer().show(message, "class(value[[5]])") == '"function"'


@pytest.mark.slow
def test_a_condemned_iteration_lets_the_finished_ones_stand(
    redis_url: str, redis_client: redis.Redis, path: Path
) -> None:
    job = Job(redis_client, fatal_third)
    with worker(redis_url, "--max-crashes", "2"):
        job.push(block(job, path, 4))
        found = job.results(1)
    assert found.pop("3")[0] == "pydoredis_crash"
    assert found == {str(i): ("ok", i * 11) for i in (1, 2, 4)}
    assert runs(path) == {1: 1, 2: 1, 3: 2, 4: 1}


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("engine", R_ENGINES)
def test_a_condemned_iteration_lets_the_finished_ones_stand_in_r(
    engine: str, redis_url: str, redis_client: redis.Redis, path: Path
) -> None:
    job = Job(redis_client, peer().make(in_r(f"if (i == 3) {KILL_YOURSELF}; i", path)))
    with worker(redis_url, "--codec", "r", "--r-engine", engine, "--max-crashes", "2"):
        job.push(job.adopt(peer().make("task(i = 1:4)")))
        found = job.results(1)
    assert found.pop("3")[0] == "pydoredis_crash"
    assert found == {str(i): values.integer(i) for i in (1, 2, 4)}
    assert runs(path) == {1: 1, 2: 1, 3: 2, 4: 1}


@pytest.mark.slow
def test_a_time_limit_lets_the_finished_ones_stand(
    redis_url: str, redis_client: redis.Redis, path: Path
) -> None:
    job = Job(redis_client, endless_third)
    with worker(redis_url, "--timelimit", "2"):
        job.push(block(job, path, 4))
        found = job.results(1)
    assert "time limit of 2 s" in str(found.pop("3"))
    assert found == {str(i): ("ok", i * 11) for i in (1, 2, 4)}
    assert runs(path) == {1: 1, 2: 1, 3: 1, 4: 1}


@pytest.mark.slow
def test_values_of_a_task_are_folded_whichever_process_they_are_from(
    redis_url: str, redis_client: redis.Redis, path: Path
) -> None:
    job = Job(redis_client, PythonCodec(Program(fatal_once, reduce=sum)).encode_environment().value)
    with worker(redis_url):
        job.push(block(job, path))
        wait_until(lambda: job.raw_results(), "there is a result", 30)
        (message,) = job.raw_results()
    folded = ("ok", sum(i * 11 for i in range(1, 6)))
    assert python_codec.outcomes(message) == {"1": folded, **dict.fromkeys("2345")}
    assert runs(path)[1] == 1


class Homebody:
    """A value that no other executor can read."""

    def __init__(self, i: int) -> None:
        self.i = i

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return move, (self.i, os.getpid())


def move(i: int, home: int) -> Any:
    if "pydoredis.worker.executor" in sys.orig_argv and os.getpid() != home:
        raise ValueError("not here")
    return i * 11


def homebody(i: int, path: str) -> Any:
    fatal_once(i, path)
    return Homebody(i)


@pytest.mark.slow
def test_what_cannot_be_read_is_run_again(redis_url: str, redis_client: redis.Redis, path: Path) -> None:
    job = Job(redis_client, homebody)
    with worker(redis_url):
        job.push(block(job, path))
        assert job.results(1) == {str(i): ("ok", i * 11) for i in range(1, 6)}
    assert runs(path) == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}


class Bomb:
    """A value that ends whoever reads it, but for the one who made it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return explode, (os.getpid(),)


def explode(home: int) -> str:
    if "pydoredis.worker.executor" in sys.orig_argv and os.getpid() != home:
        os._exit(9)
    return "bang"


def bomb(i: int, path: str) -> Any:
    fatal_once(i, path)
    return Bomb()


@pytest.mark.slow
def test_what_kills_its_reader_is_run_again(redis_url: str, redis_client: redis.Redis, path: Path) -> None:
    job = Job(redis_client, bomb)
    with worker(redis_url, "--max-crashes", "4"):
        job.push(block(job, path))
        assert job.results(1) == {str(i): ("ok", "bang") for i in range(1, 6)}


def through_gate(i: int, path: str, gate: str) -> int:
    noted(path, i)
    time.sleep(LONG_S)
    if i == 3:
        pass_gate(gate, i)
    return i


@pytest.mark.slow
def test_a_block_that_is_given_back_starts_again(
    redis_url: str, redis_client: redis.Redis, path: Path, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    job = Job(redis_client, through_gate)
    payload = job.block(*({"i": i, "path": str(path), "gate": gate.path} for i in (1, 2, 3)))
    with worker(redis_url, "--grace", "0") as agent:
        job.push(payload)
        with gate.held(3):
            agent.terminate()
            assert agent.wait() == 0
    assert job.queued() == [payload]
    with worker(redis_url):
        with gate.held(3):
            pass
        assert job.results(1) == {str(i): ("ok", i) for i in (1, 2, 3)}
    assert runs(path) == {1: 2, 2: 2, 3: 2}


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("engine", ["cloudpickle", *R_ENGINES])
def test_how_often_it_is_sent(engine: str) -> None:
    """Every part stands for that much work, and nothing is sent twice."""
    python = engine == "cloudpickle"
    with Executor("cloudpickle" if python else "r", "rscript" if engine == "rscript" else "rpy2") as executor:
        pause = KEEP_AFTER_S / 10
        if python:
            executor.load(1, python_codec.environment(lambda i: time.sleep(pause)))
            task = python_codec.task(*({"i": i} for i in range(1, 101)))
        else:
            executor.load(1, peer().make(f"job(Sys.sleep({pause}))"))
            task = peer().make("task(i = 1:100)")
        number = executor.submit(1, task)
        frame = executor.receive()
        assert frame is not None
        assert (frame.kind, frame.token) == (Kind.RESULT, number)
        (seconds,) = frame.head
        assert 1 <= len(executor.parts) <= seconds / KEEP_AFTER_S
        finished = [part.head[0] for part in executor.parts]
        assert finished == sorted(set(finished))
        assert finished[-1] < 100
