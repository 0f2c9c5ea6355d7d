"""Workers run on macOS: each thing that Linux alone has is hidden from the agent and from its executors."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

import pydoredis as dr
from pydoredis.worker.environment_files import LEAST_BYTES
from tests.conftest import wait_until
from tests.peers.processes import Peer, clean_environment, exists, pydoredis_worker
from tests.worker.agent_process import executors

ROOT = Path(__file__).parents[2]

SITE = f"""
import sys
sys.path.append({str(ROOT)!r})
from tests.systems import macos
macos.begin()
"""
"""Python runs it as it starts, in the agent and in its executors."""

WORKERS = 2


@pytest.fixture
def macos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Processes that are started from now on believe to be on macOS; where they keep temporary files."""
    site, temporary = tmp_path / "site", tmp_path / "temporary"
    site.mkdir()
    temporary.mkdir()
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    path = filter(None, [str(site), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("TMPDIR", str(temporary))
    return temporary


@pytest.fixture
def queue(redis_url: str) -> Iterator[dr.Queue]:
    with dr.Queue("Q", redis_url) as queue:
        yield queue
        queue.remove()


@pytest.fixture
def agent(macos: Path, redis_url: str, redis_client: redis.Redis) -> Iterator[Peer]:
    with started(redis_url, redis_client) as peer:
        yield peer


def started(url: str, client: redis.Redis, *options: str) -> Peer:
    """A worker that has counted itself in."""
    options = ("--codec", "cloudpickle", "--loglevel", "DEBUG", *options)
    peer = pydoredis_worker(url, ["Q"], workers=WORKERS, options=options, linger_s=30)
    wait_until(lambda: client.get("Q.count") == b"%d" % WORKERS or not peer.running, "it is up", 40)
    assert peer.running, peer.tail(40)
    return peer


def test_the_imitation_hides_what_linux_alone_has(macos: Path) -> None:
    program = """
import types
ours = types.ModuleType("pydoredis.here").__dict__
for name, source in {
    "memfd": "import os; os.memfd_create", "affinity": "from os import sched_getaffinity",
    "noatime": "import os; os.O_NOATIME", "seals": "import fcntl; fcntl.F_ADD_SEALS",
    "proc": "open('/proc/self/cgroup')", "shm": "import os; os.stat('/dev/shm')",
    "opened": "import os; os.open('/proc/self/fd/0', os.O_RDONLY)",
    "system": "import sys; assert sys.platform == 'linux'",
    "there": "import os, fcntl, signal; os.fork, fcntl.fcntl, signal.SIGKILL; open('/dev/null').close()",
}.items():
    try:
        exec(source, ours)
    except (ImportError, AttributeError, OSError, AssertionError):
        continue
    print(name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["there"], "")


def test_loops_run(queue: dr.Queue, agent: Peer) -> None:
    assert queue.foreach(x=range(200)).dopar(lambda x: x * x) == [x * x for x in range(200)]
    pids = {*queue.foreach(x=range(20)).dopar(lambda x: os.getpid())}
    assert pids <= {*executors(agent)}


def pipes_tell_times(directory: Path) -> bool:
    """Whether a named pipe there has the time when it was written to. In a container's layers none has."""
    name = directory / "pipe"
    os.mkfifo(name)
    reading = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(name, os.O_WRONLY)
    try:
        os.utime(writing, (1, 1))
        os.write(writing, b"x")
        return os.stat(writing).st_mtime != 1
    finally:
        os.close(reading)
        os.close(writing)


def test_what_bodies_print_is_put_down_to_their_iterations(macos: Path, queue: dr.Queue, agent: Peer) -> None:
    if not pipes_tell_times(macos):
        pytest.skip("on this file system pipes do not tell when they were written to")

    def body(x: int) -> None:
        print(f"this is {x}")
        logging.getLogger("body").warning("beware of %d", x)

    queue.foreach(x=range(100, 110), chunk_size=5).dopar(body)
    for n in range(1, 11):
        for text in (f"this is {99 + n}", f"beware of {99 + n}"):
            wait_until(lambda text=text: text in agent.output, text)  # type: ignore[misc]
            (line,) = [line for line in agent.output.splitlines() if text in line]
            assert f" {n}] " in line, line


def test_a_large_environment_is_on_disk_while_its_job_lives(
    macos: Path, queue: dr.Queue, agent: Peer, tmp_path: Path
) -> None:
    x = np.arange(LEAST_BYTES, dtype=float)
    mark = tmp_path / "mark"

    def body(i: int) -> tuple[int, float]:
        x[0] += 1
        if i == 0:
            while not mark.exists():
                time.sleep(0.01)
        return int(x[0]), float(x[-1])

    job = queue.foreach(i=range(8)).submit(body)
    wait_until(lambda: job.done, "the body runs")
    (kept,) = macos.glob("pydoredis-environment-*")
    assert kept.stat().st_size > x.nbytes
    mark.touch()
    found = job.result(60)
    assert {last for _, last in found} == {float(x[-1])}
    assert max(first for first, _ in found) <= 8, "what one executor writes, no other sees"
    wait_until(lambda: not kept.exists(), "the agent has let go of it")


def test_an_executor_that_dies_is_replaced(queue: dr.Queue, agent: Peer, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def body(i: int) -> int:
        if i == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    assert queue.foreach(i=range(10)).dopar(body) == [*range(10)]
    wait_until(lambda: "killed by SIGKILL" in agent.output, "the log says so")


def test_a_deadly_iteration_is_named(queue: dr.Queue, agent: Peer) -> None:
    def body(i: int) -> int:
        if i == 3:
            os._exit(7)
        return i

    loop = queue.foreach(i=range(6), chunk_size=6, max_crashes=1, errorhandling="pass")
    found = loop.dopar(body)
    assert [value for value in found if isinstance(value, int)] == [0, 1, 2, 4, 5]
    assert isinstance(found[3], dr.WorkerCrashed)


def test_a_job_is_cancelled(queue: dr.Queue, agent: Peer) -> None:
    job = queue.foreach(i=range(2)).submit(lambda i: time.sleep(600))
    wait_until(lambda: len(queue.tasks()) == 2, "both run")
    before = {*executors(agent)}
    job.cancel()
    assert queue.foreach(i=range(10)).dopar(lambda i: i) == [*range(10)]
    assert {*executors(agent)} == before, "they were interrupted, not killed"


def test_it_ends_in_order(macos: Path, queue: dr.Queue, agent: Peer, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def body(i: int) -> int:
        while not mark.exists():
            time.sleep(0.01)
        return i

    job = queue.foreach(i=range(WORKERS)).submit(body)
    wait_until(lambda: len(queue.tasks()) == WORKERS, "all run")
    pids = executors(agent)
    agent.terminate()
    wait_until(lambda: "finishing running tasks" in agent.output, "it has noticed")
    mark.touch()
    assert job.result(30) == [*range(WORKERS)]
    assert agent.wait() == 0
    assert not [pid for pid in pids if exists(pid)]
    assert not [*macos.iterdir()]


def test_busy_executors_end_with_an_agent_that_was_killed(queue: dr.Queue, agent: Peer) -> None:
    def busy(i: int) -> None:
        while True:
            pass

    job = queue.foreach(i=range(WORKERS)).submit(busy)
    wait_until(lambda: len(queue.tasks()) == WORKERS, "all run")
    pids = executors(agent)
    assert len(pids) == WORKERS
    agent.kill()
    agent.wait()
    wait_until(lambda: not [pid for pid in pids if exists(pid)], "they have ended")
    job.cancel()


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps tells")
def test_memory_is_known(macos: Path, redis_url: str, redis_client: redis.Redis, queue: dr.Queue) -> None:
    with started(redis_url, redis_client, "--max-memory", "200") as agent:
        (first,) = queue.foreach(i=[1]).dopar(leak)
        wait_until(lambda: first not in executors(agent), "the executor has been replaced")


def leak(i: int) -> int:
    """Leave memory behind, and return the process."""
    globals()["left"] = bytearray(b"x" * 300_000_000)
    return os.getpid()


def test_the_demo_runs(macos: Path) -> None:
    """A server, workers, and who started them: all of it there."""
    command = [sys.executable, "-m", "pydoredis", "demo", "--json", "--replay"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean_environment())
    assert done.returncode == 0, done.stderr
    assert '"body": "Python"' in done.stdout
    assert not [*macos.iterdir()]


@pytest.mark.needs_r
def test_r_bodies(macos: Path, redis_url: str, redis_client: redis.Redis, queue: dr.Queue) -> None:
    """Embedded: the process that is R alone would look for itself in /proc here, where it is."""
    pytest.importorskip("rpy2")
    x = np.arange(LEAST_BYTES / 8)
    with started(redis_url, redis_client, "--codec", "r", "--r-engine", "rpy2"):
        loop = queue.foreach(i=range(1, 9), export={"x": x})
        assert loop.dopar(dr.rexpr("x[i] + i")) == [2 * i - 1 for i in range(1, 9)]
