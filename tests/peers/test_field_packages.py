"""Loops of the field's packages, on our workers with both of R's engines: the values that registerDoSEQ()
gives, and R's own workers.

The programs are in `field/`, a file for each package. They run where the package is installed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.conftest import missing_r_packages, wait_until
from tests.peers.processes import Peer, clean_environment, pydoredis_worker, r_worker
from tests.redis_process import RedisProcess

pytestmark = [pytest.mark.rpeer, pytest.mark.slow, pytest.mark.timeout(300)]

FIELD = Path(__file__).parent / "field"
ENGINES = ("rpy2", "rscript")
WORKERS = 2

PACKAGES = {
    "session": "foreach",
    "plyr": "plyr",
    "dorng": "doRNG",
    "glmnet": "glmnet",
    "caret": "caret",
    "randomforest": "randomForest",
    "data_table": "data.table",
    "lme4": "lme4",
}
"""Files of programs, and the package that each is about."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    """A server with two workers on each of the queues R, rpy2 and rscript."""
    with ExitStack() as started:
        server = started.enter_context(RedisProcess())
        client = started.enter_context(server.client())
        for engine in ENGINES:
            peer = pydoredis_worker(server.url, [engine], workers=WORKERS, engine=engine, name=engine)
            _await(started.enter_context(peer), client, engine, WORKERS)
        for number in range(1, WORKERS + 1):
            _await(started.enter_context(r_worker(server.url, ["R"])), client, "R", number)
        yield server


def _await(peer: Peer, client: redis.Redis, queue: str, workers: int) -> None:
    wait_until(
        lambda: int(client.get(f"{queue}.count") or 0) >= workers or not peer.running, f"{queue} is up", 60
    )
    assert peer.running, peer.tail()


def verdicts(server: RedisProcess, program: str, *arguments: str) -> tuple[list[str], list[str]]:
    """What an R program found to be right, and what not."""
    command = ["Rscript", str(FIELD / program), "127.0.0.1", str(server.port), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=clean_environment())
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    lines = done.stdout.splitlines()
    return [line for line in lines if line.startswith("ok ")], [
        line for line in lines if line.startswith("bad ")
    ]


@pytest.mark.parametrize("file", PACKAGES)
def test_programs(file: str, server: RedisProcess) -> None:
    if missing_r_packages((PACKAGES[file],)):
        pytest.skip(f"R package {PACKAGES[file]} is not installed")
    right, wrong = verdicts(server, "harness.R", str(FIELD / f"{file}.R"), "R", *ENGINES)
    assert not wrong, "\n".join(wrong)
    assert len(right) >= 3 * 4


@pytest.mark.parametrize("queue", ENGINES)
def test_foreachs_own_unit_tests(queue: str, server: RedisProcess) -> None:
    right, wrong = verdicts(server, "foreach_units.R", str(FIELD / "foreach_tests"), queue)
    assert not wrong, "\n".join(wrong)
    assert len(right) == 26
