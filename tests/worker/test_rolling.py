"""Workers come and go under load: no coordinator has to notice."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest
import redis

from pydoredis.queue import Queue
from tests.peers.pool import Pool
from tests.peers.processes import r_string

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.rpeer, pytest.mark.slow]

ITERATIONS = 600
BODY_S = 0.1  # until enough workers were replaced; later bodies take no time


@pytest.fixture
def pool(redis_url: str, redis_client: redis.Redis) -> Iterator[Pool]:
    empty = Pool(redis_url, redis_client)
    yield empty
    empty.close()


def noting(x: int, path: str, enough: str) -> int:
    with open(path, "a") as file:
        file.write(f"{x}\n")
    if not os.path.exists(enough):
        time.sleep(BODY_S)
    return x * x


@pytest.mark.parametrize(("chunk_size", "grace"), [(1, "30"), (7, "30"), (7, "0")])
def test_workers_are_replaced_one_after_the_other(
    pool: Pool, redis_url: str, redis_client: redis.Redis, tmp_path: Path, chunk_size: int, grace: str
) -> None:
    """With time for running tasks to finish, every iteration runs once; without, they are given back."""
    options = ("--codec", "auto", "--grace", grace)
    workers = [pool.add_agent(options=options) for _ in range(2)]
    in_python, in_r, enough = tmp_path / "python", tmp_path / "r", tmp_path / "enough"
    # One string: cat() writes its arguments one by one, and another process may write in between.
    note = f"cat(paste0(i, '\\n'), file = {r_string(str(in_r))}, append = TRUE)"
    pause = f"if (!file.exists({r_string(str(enough))})) Sys.sleep({BODY_S})"
    loop = f"foreach(i = 1:{ITERATIONS}, .combine = c) %dopar% {{ {note}; {pause}; i * i }}"
    program = f"numbers <- 1:{ITERATIONS}; say(identical({loop}, numbers * numbers))"
    r_job = pool.coordinator(program, chunk_size=chunk_size, ftinterval=3)
    queue = Queue(pool.queue, redis_url, ftinterval=3, chunk_size=chunk_size)
    python_job = queue.foreach(x=range(ITERATIONS)).submit(lambda x: noting(x, str(in_python), str(enough)))
    pool.wait_for(lambda: in_python.exists() and in_r.exists(), "both are served", 40)
    replaced = 0
    while r_job.running or python_job.status == "running":
        pool.add_agent(options=options)
        oldest = workers.pop(0)
        workers.append(pool.peers[-1])
        oldest.terminate()
        assert oldest.wait(60) == 0, oldest.tail()
        replaced += 1
        if replaced == 3:
            enough.touch()
    assert replaced >= 2
    assert r_job.value() == "TRUE"
    assert python_job.result(60) == [x * x for x in range(ITERATIONS)]
    assert "resubmitting" not in r_job.errors, "the coordinator took a worker for dead"
    for path in (in_python, in_r):
        runs = Counter(path.read_text().split())
        assert len(runs) == ITERATIONS
        if grace != "0":
            assert set(runs.values()) == {1}
    assert pool.count == 2
    left = {bytes(key).decode() for key in redis_client.scan_iter() if redis_client.ttl(key) == -1}
    assert left == {f"{pool.queue}.live", f"{pool.queue}.count"}
