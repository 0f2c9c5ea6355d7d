"""The Slurm script, run as Slurm runs it: it is the agent, with the processors of the task, and ends warm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.conftest import wait_until
from tests.peers.processes import clean_environment, command_line

PATH = Path(__file__).parents[2] / "deploy" / "slurm" / "worker.sh"

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def directives() -> dict[str, str]:
    """What the script asks of Slurm, which reads no further than to the first command."""
    head = PATH.read_text().partition("\nset ")[0]
    return dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", head, re.MULTILINE))


def test_it_is_a_script_that_can_be_submitted() -> None:
    assert PATH.read_text().startswith("#!/bin/bash\n")
    assert os.access(PATH, os.X_OK)
    subprocess.run(["bash", "-n", str(PATH)], check=True)
    assert directives().keys() == {"job-name", "cpus-per-task", "export", "signal", "requeue"}


def test_the_signal_leaves_time_enough() -> None:
    shell, name, seconds = re.split("[:@]", directives()["signal"])
    assert (shell, name) == ("B", "TERM")
    grace = re.search(r"PYDOREDIS_GRACE:-(\d+)", PATH.read_text())
    assert grace
    assert int(grace[1]) < int(seconds)


def test_it_serves_and_ends(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "pydoredis").write_text(f'#!/bin/sh\nexec {sys.executable} -m pydoredis "$@"\n')
    (tmp_path / "pydoredis").chmod(0o755)
    environment = {
        **clean_environment(),
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "SLURM_CPUS_PER_TASK": "2",
        "PYDOREDIS_URL": redis_url,
        "PYDOREDIS_QUEUE": "Q",
    }
    with (tmp_path / "slurm-1.out").open("w") as output:
        process = subprocess.Popen([str(PATH)], stdout=output, stderr=output, env=environment)
    try:
        wait_until(lambda: redis_client.get("Q.count") == b"2", "two workers are there", 60)
        assert "worker" in command_line(process.pid), "it is the agent itself"
        process.terminate()
        assert process.wait(30) == 0
        assert redis_client.get("Q.count") == b"0"
    finally:
        process.kill()
        process.wait()
