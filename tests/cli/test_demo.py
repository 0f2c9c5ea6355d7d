"""`pydoredis demo` as a user runs it: what it prints, how it ends, and that it leaves nothing behind."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pydoredis.cli.exits import ExitCode
from pydoredis.demo import jobs, recording
from pydoredis.server import find_server
from tests.cli.record import JOB, record, versions
from tests.conftest import wait_until
from tests.peers.processes import command_line

# Fixed by the seeds of the tasks, which are their numbers.
R_ESTIMATE = 3.1415088
TOLERANCE = 4 * 1.642 / math.sqrt(jobs.TASKS * jobs.POINTS)  # four standard errors

pytestmark = pytest.mark.skipif(find_server() is None, reason="no Redis server is installed")


class Demo:
    """A running demo. All that it starts bears a mark in its environment and has its files in `directory`."""

    def __init__(self, directory: Path, *options: str, path: str | None = None, **environment: str) -> None:
        self.mark = f"DEMO_MARK={uuid.uuid4()}"
        self.directory = directory
        name, _, value = self.mark.partition("=")
        environ = {**os.environ, name: value, "TMPDIR": str(directory), **environment}
        if path is not None:
            environ = {**environ, "PATH": path, "R_HOME": "", "PYDOREDIS_RSCRIPT": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pydoredis", "demo", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ,
            text=True,
        )

    def wait_for_line(self, start: str) -> None:
        """Read standard error up to a line that begins like this."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            if line.startswith(start):
                return
            seen.append(line)
        pytest.fail(f"no line {start!r} in {seen}")

    def finish(self, timeout_s: float = 60.0) -> tuple[int, str, str]:
        """Exit status, standard output, standard error (what is left of it)."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err

    def processes(self) -> list[int]:
        """Those with the mark, itself and ours excepted."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return [pid for pid in found if pid != self.process.pid]

    def left_nothing(self) -> bool:
        """Whether all processes and files are gone."""
        return not self.processes() and not list(self.directory.iterdir())

    def close(self) -> None:
        """End what a failed test leaves."""
        self.process.kill()
        self.process.communicate()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[list[Demo]]:
    """Demos that a test started; they are ended with it."""
    started: list[Demo] = []
    yield started
    for demo in started:
        demo.close()


def start(
    demos: list[Demo], tmp_path: Path, *options: str, path: str | None = None, **environment: str
) -> Demo:
    demos.append(Demo(tmp_path, *options, path=path, **environment))
    return demos[-1]


def path_without_r(directory: Path) -> str:
    """A PATH on which there is a server, and no R."""
    server = find_server()
    assert server is not None
    (directory / "redis-server").symlink_to(server)
    for tool in ("sh", "rm", "mktemp"):
        (directory / tool).symlink_to(shutil.which(tool) or tool)
    return str(directory)


def check_jobs(answer: str, *expected: tuple[str, str]) -> None:
    """Every job gave π, from all its tasks, run by two processes."""
    reports = json.loads(answer)
    assert [(report["body"], report["coordinator"]) for report in reports] == list(expected)
    for report in reports:
        assert abs(report["estimate"] - math.pi) < TOLERANCE
        if report["body"] == "R":
            assert report["estimate"] == pytest.approx(R_ESTIMATE, abs=1e-12)
        assert report["tasks"] == sum(report["tasks_by_process"].values()) == jobs.TASKS
        assert len(report["tasks_by_process"]) == 2
        assert report["tasks_per_second"] == pytest.approx(jobs.TASKS / report["seconds"])


@pytest.mark.slow
@pytest.mark.rpeer
def test_driven_by_doredis(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path, "--json")
    status, out, err = demo.finish()
    assert status == 0, err
    driver = f"R's doRedis {versions()['doRedis']}"
    check_jobs(out, ("R", driver), ("Python", "pydoredis.foreach"))
    assert f"submitted by {driver}" in err
    assert demo.left_nothing()


@pytest.mark.slow
@pytest.mark.rpeer
def test_a_profile_that_prints(demos: list[Demo], tmp_path: Path) -> None:
    profile, files = tmp_path / "profile.R", tmp_path / "tmp"
    profile.write_text(
        'cat("Good morning\\n"); options(OutDec = ",", digits = 3); .Last <- function() cat("1 2 3\\n")\n'
    )
    files.mkdir()
    demo = start(demos, files, "--json", R_PROFILE_USER=str(profile))
    status, out, err = demo.finish()
    assert status == 0, err
    driver = f"R's doRedis {versions()['doRedis']}"
    check_jobs(out, ("R", driver), ("Python", "pydoredis.foreach"))


def test_without_a_directory_for_temporary_files(demos: list[Demo], tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    demo = start(demos, tmp_path, "--json", path=path_without_r(programs), TMPDIR="/no/such/folder")
    status, out, err = demo.finish()
    assert status == 0, err
    check_jobs(out, ("Python", "pydoredis.foreach"))
    assert not demo.processes()


@pytest.mark.needs_r
def test_replayed(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path, "--replay", "--json")
    status, out, err = demo.finish()
    assert status == 0, err
    check_jobs(out, ("R", "replay of R's doRedis 3.0.2"), ("Python", "pydoredis.foreach"))
    assert demo.left_nothing()


def test_without_r(demos: list[Demo], tmp_path: Path) -> None:
    programs, files = tmp_path / "bin", tmp_path / "tmp"
    programs.mkdir()
    files.mkdir()
    demo = start(demos, files, path=path_without_r(programs))
    status, out, err = demo.finish()
    assert status == 0, err
    assert "No R job:" in err
    rows = [line for line in out.splitlines() if "pydoredis.foreach" in line]
    assert len(rows) == 1
    assert "Python" in rows[0]
    assert abs(float(rows[0].split("│")[3]) - math.pi) < TOLERANCE
    assert demo.left_nothing()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_ended_in_the_middle(demos: list[Demo], tmp_path: Path, number: signal.Signals, status: int) -> None:
    demo = start(demos, tmp_path)
    demo.wait_for_line("Up:")
    demo.process.send_signal(number)
    demo.process.wait(30)
    assert demo.process.returncode == status
    wait_until(demo.left_nothing, "its processes and files are gone", 30)


@pytest.mark.slow
def test_workers_that_die_fail_the_job(demos: list[Demo], tmp_path: Path) -> None:
    demo = start(demos, tmp_path)
    demo.wait_for_line("Up:")
    (agent,) = [pid for pid in demo.processes() if is_agent(pid)]
    os.kill(agent, signal.SIGKILL)
    status, out, err = demo.finish()
    assert status == ExitCode.FAILED, out
    assert "pydoredis worker ended with status" in err
    assert "Traceback" not in err
    wait_until(demo.left_nothing, "its processes and files are gone", 30)


def is_agent(pid: int) -> bool:
    command = command_line(pid)
    return " pydoredis worker " in command and not command.startswith("/bin/sh")


@pytest.mark.rpeer
def test_recording_is_what_doredis_writes() -> None:
    shipped = recording.load()
    if versions() != shipped.versions:
        pytest.skip(f"made with {shipped.versions}")
    fresh = record()
    assert fresh.job == shipped.job == JOB
    assert fresh.environment == shipped.environment
    assert fresh.tasks == shipped.tasks
