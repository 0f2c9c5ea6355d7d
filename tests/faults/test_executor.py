"""An `Executor` that loses worker processes, agents, connections and Redis: values stay exact."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import cloudpickle
import pytest
import redis

from pydoredis.errors import WorkerCrashed
from pydoredis.futures.executor import Executor
from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.faults.scene import lasting_keys
from tests.peers.processes import pydoredis_worker
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

FTINTERVAL = 3
CALLS = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(params=["no", "yes"], ids=["without data on disk", "with data on disk"])
def lasting_server(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    with RedisProcess(appendonly=request.param, appendfsync="always") as running:
        yield running


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


def slow(x: int) -> int:
    time.sleep(0.02)
    return x


def die_once(mark: Path, x: int) -> int:
    """End the worker process, but not a second time."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def disturbed(executor: Executor, disturb: Callable[[], None]) -> list[int]:
    """The values of many calls, of which some are submitted before and some after a disturbance."""
    calls = [executor.submit(slow, x) for x in range(CALLS // 2)]
    futures.wait(calls, return_when=futures.FIRST_COMPLETED)
    disturb()
    calls += [executor.submit(slow, x) for x in range(CALLS // 2, CALLS)]
    return [call.result(120) for call in calls]


def test_worker_processes_that_die(server: RedisProcess, tmp_path: Path) -> None:
    with Executor(2, queue="Q", url=server.url, ftinterval=FTINTERVAL) as executor:
        calls = [executor.submit(die_once, tmp_path / str(x % 5), x) for x in range(50)]
        assert [call.result(120) for call in calls] == [*range(50)]


def fail_once(mark: Path, x: int) -> int:
    """Raise an error, but not a second time."""
    if x % 3 == 0 and not mark.exists():
        mark.touch()
        raise OSError
    return slow(x)


def test_calls_that_fail_while_worker_processes_die(server: RedisProcess, tmp_path: Path) -> None:
    with Executor(2, queue="Q", url=server.url, ftinterval=FTINTERVAL, retries=1) as executor:
        failing = [executor.submit(fail_once, tmp_path / f"failed {x}", x) for x in range(60)]
        dying = [executor.submit(die_once, tmp_path / f"died {x % 5}", x) for x in range(50)]
        assert [call.result(120) for call in dying] == [*range(50)]
        assert [call.result(120) for call in failing] == [*range(60)]


def test_only_the_guilty_call_fails(server: RedisProcess) -> None:
    with Executor(2, queue="Q", url=server.url, ftinterval=FTINTERVAL, max_crashes=2) as executor:
        calls = [executor.submit(os._exit if x == 7 else slow, x) for x in range(30)]
        errors = {x: call.exception(120) for x, call in enumerate(calls)}
        assert isinstance(errors.pop(7), WorkerCrashed)
        assert {*errors.values()} == {None}
        values = executor.map(lambda x: os._exit(1) if x == 5 else x, range(8), chunksize=4)
        assert [next(values) for _ in range(5)] == [*range(5)]
        with pytest.raises(WorkerCrashed):
            next(values)


def test_an_agent_that_dies(server: RedisProcess) -> None:
    first = pydoredis_worker(server.url, ["Q"], workers=2, options=("--codec", "cloudpickle"))
    with contextlib.ExitStack() as workers, server.client() as client:
        workers.callback(first.close)
        wait_until(lambda: client.get("Q.count") == b"2", "it is up", 60)
        queue = Queue("Q", server.url, ftinterval=FTINTERVAL)

        def disturb() -> None:
            first.kill()
            workers.enter_context(queue.start_local_workers(1, codec="cloudpickle"))

        with Executor(queue=queue) as executor:
            assert disturbed(executor, disturb) == [*range(CALLS)]


def test_a_server_that_restarts(lasting_server: RedisProcess) -> None:
    server = lasting_server

    def disturb() -> None:
        server.stop()
        server.start()

    with Executor(2, queue="Q", url=server.url, ftinterval=FTINTERVAL) as executor:
        assert disturbed(executor, disturb) == [*range(CALLS)]


def test_a_server_that_restarts_while_the_session_is_idle(lasting_server: RedisProcess) -> None:
    server = lasting_server
    with Executor(2, queue="Q", url=server.url, ftinterval=FTINTERVAL) as executor:
        assert executor.submit(slow, 1).result(60) == 1
        server.stop()
        server.start()
        assert executor.submit(slow, 2).result(60) == 2


def test_connections_that_are_cut(server: RedisProcess) -> None:
    with server.client() as client, Executor(2, queue="Q", url=server.url, ftinterval=FTINTERVAL) as executor:
        calls = [executor.submit(slow, x) for x in range(CALLS)]
        over = threading.Event()
        cutter = threading.Thread(target=cut, args=(client, over))
        cutter.start()
        try:
            assert [call.result(120) for call in calls] == [*range(CALLS)]
        finally:
            over.set()
            cutter.join()


def cut(client: redis.Redis, over: threading.Event) -> None:
    while not over.wait(0.3):
        client.client_kill_filter(_type="normal", skipme=True)


def test_a_program_that_is_killed_leaves_nothing_that_lasts(server: RedisProcess) -> None:
    program = f"""
import os, pydoredis as dr
executor = dr.Executor(queue="Q", url={server.url!r})
executor.submit(abs, 1)
while not any(one.id for one in executor._sessions.all()): pass
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    with server.client() as client:
        assert lasting_keys(client, "Q") <= {"Q"}, "its task, which no worker can do anything with"
