"""Large job environments are in memory once per machine, whatever the language; what one body changes, no
other sees; and nothing is left of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pydoredis.loops.bodies import rexpr
from pydoredis.pool import LocalWorkers
from pydoredis.protocol.messages import JobEnvironment
from pydoredis.queue import Queue
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.environment_files import LEAST_BYTES, EnvironmentFile, EnvironmentFiles, mapped
from tests.conftest import has_r, wait_until
from tests.peers.processes import children
from tests.redis_process import RedisProcess, needs_server

pytestmark = [needs_server, pytest.mark.skipif(sys.platform != "linux", reason="Linux has files of memory")]

NUMBERS = 4_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@pytest.fixture
def workers(server: RedisProcess) -> Iterator[LocalWorkers]:
    with Queue("Q", server.url).start_local_workers(2, codec="cloudpickle") as running:
        yield running


def element_after_a_death(x: np.ndarray[Any, Any], mark: Path) -> Callable[[int], int]:
    """A body that gives elements of an array; one iteration ends its executor unless the mark is there."""

    def die_once(i: int) -> int:
        if i == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        return int(x[i])

    return die_once


def files(pid: int) -> list[str]:
    """Environments that a process has open."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(descriptor))
        except FileNotFoundError:
            continue
    return [name for name in found if "pydoredis environment" in name]


def proportional_mb(pid: int) -> float:
    """Resident memory of a process; what it shares counts in parts."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def test_arrays_are_there_once(server: RedisProcess, workers: LocalWorkers) -> None:
    x = np.ones(NUMBERS)
    queue = Queue("Q", server.url)

    def measured(i: int) -> tuple[int, float, float]:
        total = float(x.sum()) if i else 0.0
        time.sleep(0.3)  # both executors hold the array before either looks
        return os.getpid(), proportional_mb(os.getpid()), total

    def unencumbered(i: int) -> tuple[int, float]:
        time.sleep(0.3)  # so that each executor has one
        return os.getpid(), proportional_mb(os.getpid())

    without = queue.foreach(i=[0, 0]).dopar(unencumbered)
    assert len({pid for pid, _ in without}) == 2
    found = queue.foreach(i=[1, 1]).dopar(measured)
    assert [total for _, _, total in found] == [NUMBERS, NUMBERS]
    assert len({pid for pid, _, _ in found}) == 2
    grown = sum(mb for _, mb, _ in found) - sum(mb for _, mb in without)
    assert grown < 1.3 * x.nbytes / 1e6, "two executors share it, with the agent and the server's copy apart"


def test_what_a_body_writes_only_its_executor_sees(server: RedisProcess, workers: LocalWorkers) -> None:
    x = np.zeros(NUMBERS)
    queue = Queue("Q", server.url)

    def count(i: int) -> tuple[int, float]:
        x[-1] += 1
        return os.getpid(), float(x[-1])

    for _ in range(2):
        found = queue.foreach(i=range(40)).dopar(count)
        for pid in {pid for pid, _ in found}:
            seen = [value for executor, value in found if executor == pid]
            # In any order: what is fetched ahead may go back, behind what was not.
            assert sorted(seen) == [*range(1, len(seen) + 1)], "each job begins with the array as it was sent"
    assert x[-1] == 0


def test_nothing_is_left(server: RedisProcess, workers: LocalWorkers) -> None:
    queue = Queue("Q", server.url)
    (agent,) = workers.pids
    x = np.ones(NUMBERS)
    for _ in range(3):
        assert queue.foreach(i=range(8)).dopar(lambda i: float(x[i])) == [1.0] * 8
    wait_until(lambda: not files(agent), "the agent has closed them")

    def mapping() -> list[int]:
        maps = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in children(agent)}
        return [pid for pid, text in maps.items() if "pydoredis environment" in text]

    wait_until(lambda: not mapping(), "executors have unmapped them")


def test_an_executor_that_dies_is_replaced_by_one_that_has_it(
    server: RedisProcess, workers: LocalWorkers, tmp_path: Path
) -> None:
    body = element_after_a_death(np.arange(NUMBERS), tmp_path / "died")
    assert Queue("Q", server.url).foreach(i=range(8)).dopar(body) == [*range(8)]


@pytest.mark.skipif(not has_r(), reason="no R")
@pytest.mark.parametrize("r_engine", ["rpy2", "rscript"])
def test_r_bodies(server: RedisProcess, r_engine: str) -> None:
    queue = Queue("R", server.url)
    x = np.arange(NUMBERS, dtype=float)
    with queue.start_local_workers(2, codec="r", r_engine=r_engine) as workers:  # type: ignore[arg-type]
        for _ in range(2):
            loop = queue.foreach(i=range(1, 9), export={"x": x})
            assert loop.dopar(rexpr("x[i] + length(x)")) == [NUMBERS + i for i in range(8)]
        wait_until(lambda: not files(workers.pids[0]), "the agent has closed them")


# --- alone ------------------------------------------------------------------------------------------------


def test_a_mapping_is_ones_own() -> None:
    content = os.urandom(LEAST_BYTES)
    file = EnvironmentFile(len(content), in_memory=True)
    file.write(0, content)
    file.seal()
    here, there = mapped(file.path), mapped(file.path)
    here[:4] = b"mine"
    assert there[:] == content
    with pytest.raises(PermissionError):
        os.pwrite(int(Path(file.path).name), b"x", 0)
    path = file.path
    del file
    assert not Path(path).exists() or "pydoredis" not in os.readlink(path)
    assert there[:] == content, "whoever maps it keeps it"


def test_without_room_it_goes_through_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    job = LoadedJob(1, "key", JobEnvironment("r", bytes(LEAST_BYTES)))
    small = LoadedJob(2, "key", JobEnvironment("r", bytes(LEAST_BYTES - 1)))
    shared = EnvironmentFiles()
    file = shared.of(job)
    assert file is not None
    assert shared.of(job) is file
    assert shared.of(small) is None
    assert isinstance(job.environment.payload, memoryview), "there is one copy, and it is in the file"
    assert (bytes(job.environment.payload), job.environment.size) == (bytes(LEAST_BYTES), LEAST_BYTES)
    path = file.path
    del file, job
    assert not Path(path).exists() or "pydoredis" not in os.readlink(path)
    monkeypatch.setattr("os.memfd_create", full)
    another = LoadedJob(3, "key", JobEnvironment("r", bytes(LEAST_BYTES)))
    assert shared.of(another) is None
    assert another.environment.payload == bytes(LEAST_BYTES)


def test_on_disk_where_there_is_no_memory_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydoredis.worker.environment_files._may_be_in_memory", lambda: False)
    job = LoadedJob(1, "key", JobEnvironment("r", os.urandom(LEAST_BYTES)))
    content = bytes(job.environment.payload)
    file = EnvironmentFiles().of(job)
    assert file is not None
    here, there = mapped(file.path), mapped(file.path)
    here[:4] = b"mine"
    assert (job.environment.payload, there[:]) == (content, content)
    path = Path(file.path)
    assert path.stat().st_mode & 0o777 == 0o400
    del file, job
    assert not path.exists()
    assert there[:] == content, "whoever maps it keeps it"
