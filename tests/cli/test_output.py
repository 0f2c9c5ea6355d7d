"""Commands where output goes to other places than a wide terminal that knows Unicode."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.admin.queues import job_id, submit
from tests.peers.processes import clean_environment

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""A C locale of which Python does not make C.UTF-8, as for programs that set one."""

JOB = job_id(1, host="nöde")


@pytest.fixture
def server(redis_url: str, redis_client: redis.Redis) -> str:
    """The address of a server with a job."""
    submit(redis_client, "Q", JOB, [1])
    return redis_url


def shell(line: str, which: str = "sh", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line in which `pydoredis` is the command."""
    program = f'pydoredis() {{ "{sys.executable}" -m pydoredis "$@"; }}; {line}'
    return subprocess.run(
        [f"/bin/{which}", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
        env={**clean_environment(), **environment},
    )


@pytest.mark.parametrize("command", ["--help", "demo --help"])
def test_help_in_ascii(command: str) -> None:
    done = shell(f"pydoredis {command}", **ASCII)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "Usage" in done.stdout


def test_tables_in_ascii(server: str) -> None:
    done = shell(f"pydoredis jobs --url {server}", **ASCII)
    assert (done.returncode, done.stderr) == (0, "")
    header, row = done.stdout.splitlines()
    assert header.split()[:2] == ["queue", "job"]
    assert row.split()[1] == JOB.encode("ascii", "backslashreplace").decode()
    (document,) = json.loads(shell(f"pydoredis jobs --json --url {server}", **ASCII).stdout)
    assert document["job"] == JOB
    assert JOB in shell(f"pydoredis jobs --json --url {server}").stdout


@pytest.mark.slow
def test_a_demo_in_ascii() -> None:
    done = shell("pydoredis demo --replay", **ASCII)
    assert done.returncode == 0, done.stderr
    assert "pi from 1000 tasks" in done.stdout


@pytest.mark.parametrize("command", ["jobs", "jobs --json"])
def test_a_disk_that_is_full(command: str, server: str) -> None:
    done = shell(f"pydoredis {command} --url {server} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "pydoredis: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", ["--help", "jobs", "jobs --json"])
def test_nobody_who_reads(command: str, server: str) -> None:
    for line in (f"pydoredis {command} | :", f"pydoredis {command} >&-"):
        assert shell(line, PYDOREDIS_URL=server).stderr == ""


def test_no_input(server: str) -> None:
    done = shell("pydoredis remove-job 1 <&-", PYDOREDIS_URL=server)
    assert done.returncode == 2
    assert "say --yes" in done.stderr


def test_a_narrow_terminal(server: str) -> None:
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pydoredis", "jobs", "--url", server],
            stdout=terminal,
            stderr=subprocess.PIPE,
            env={**clean_environment(), "COLUMNS": "40", "NO_COLOR": "1"},
            timeout=60,
        )
        shown = os.read(controller, 10_000).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    # The terminal wraps the lines, so that a job's ID can be copied.
    assert f" {JOB} " in shown
    assert len(shown.strip().splitlines()) == 3


def test_completion_is_installed(tmp_path: Path) -> None:
    # It looks which shell has started it.
    done = shell("pydoredis --install-completion", "bash", HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert str(script) in (tmp_path / ".bashrc").read_text()
    found = shell(
        "pydoredis", _PYDOREDIS_COMPLETE="complete_bash", COMP_WORDS="pydoredis remove", COMP_CWORD="1"
    )
    assert found.stdout.split() == ["remove-job", "remove-queue"]
