"""Executors do not outlive their agent, not even busy ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.worker.executor_process import Executor, peer, wait_until

pytestmark = [
    pytest.mark.needs_r,
    pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc"),
]

AGENT = """
import sys, time
from tests.worker.executor_process import Executor
executor = Executor("r", sys.argv[1])
executor.load(1, bytes.fromhex(sys.argv[2]))
executor.submit(1, bytes.fromhex(sys.argv[3]))
executor.wait_for_output("busy")
print(executor.process.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("engine", ["rpy2", "rscript"])
def test_a_busy_executor_dies_with_its_agent(engine: str) -> None:
    job = peer().make("job({ cat('busy\\n'); repeat i + 1 })")
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, engine, job.hex(), peer().make("task(i = 1)").hex()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert agent.stdout is not None
    executor = int(agent.stdout.readline())
    assert alive(executor)
    agent.kill()
    agent.communicate()
    wait_until(lambda: not alive(executor))


def test_a_segfault_says_so_and_is_the_signal() -> None:
    with Executor("r", "rpy2") as executor:
        executor.load(
            1, peer().make(f"job({{ tools::pskill(Sys.getpid(), {int(signal.SIGSEGV)}); Sys.sleep(1) }})")
        )
        executor.submit(1, peer().make("task(i = 1)"))
        assert executor.receive() is None
        assert executor.hang_up() == -signal.SIGSEGV
        assert "caught segfault" in executor.end_output()


@pytest.mark.parametrize("engine", ["rpy2", "rscript"])
def test_what_a_body_leaves_behind_does_not_hold_the_pipes(engine: str) -> None:
    """The agent sees the end at once; only the embedded R can keep its descriptors to itself."""
    with Executor("r", "rpy2" if engine == "rpy2" else "rscript") as executor:
        executor.load(1, peer().make("job({ system('sleep 5 >/dev/null 2>&1 &'); quit('no', 3) })"))
        executor.submit(1, peer().make("task(i = 1)"))
        assert executor.process.wait(4) == 3
        if engine == "rpy2":
            assert executor.receive() is None
        os.killpg(executor.process.pid, signal.SIGKILL)
