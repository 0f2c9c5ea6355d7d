"""The benchmark of many agents runs, and its simulated agents do what real ones do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.redis_process import needs_server

pytestmark = needs_server

ROOT = Path(__file__).parent.parent


def printed(*options: str) -> str:
    """What `python -m benchmarks.scale` prints with a few simulated agents: it checks its loops' values."""
    command = [sys.executable, "-m", "benchmarks.scale", "--quick", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_many_agents() -> None:
    rows = printed("--no-kill")
    for figure in ("4 simulated", "idle: clients", "looks of agents", "chunk size 100: iterations/s"):
        assert figure in rows


@pytest.mark.slow
def test_agents_that_are_killed() -> None:
    rows = printed("--lone", "1", "--tasks", "10")
    (killed,) = [row for row in rows.splitlines() if "killed at once" in row]
    assert killed.split("│")[2].strip() == "2"
    # Those that died with their agents, and no others.
    (twice,) = [row for row in rows.splitlines() if "begun twice, with the kill" in row]
    assert int(twice.split("│")[2]) >= 1
