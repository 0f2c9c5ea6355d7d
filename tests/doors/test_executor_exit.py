"""How a program ends whose `Executor` still has calls: as with the standard library's executors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pydoredis as dr

PREAMBLE = """
import atexit, time
from pathlib import Path
import pydoredis as dr

def late(path):
    time.sleep(0.5)
    Path(path).touch()
"""


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A file that a call makes."""
    return tmp_path / "note"


def run(queue: dr.Queue, program: str) -> str:
    """What a program says on standard error."""
    environment = {**os.environ, "PYDOREDIS_URL": queue.connection.url}
    command = [sys.executable, "-c", PREAMBLE + program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    return done.stderr


@pytest.mark.parametrize(
    "end",
    ["", "executor.shutdown(wait=False)", "del executor", "executor.shutdown(wait=True)"],
)
def test_a_program_ends_when_its_calls_are_done(queue: dr.Queue, note: Path, end: str) -> None:
    said = run(
        queue,
        f"""
executor = dr.Executor(queue={queue.name!r})
executor.submit(late, {str(note)!r})
{end}
""",
    )
    assert not said
    assert note.exists()


def test_calls_that_were_not_sent_can_be_cancelled_at_the_end(queue: dr.Queue, note: Path) -> None:
    said = run(
        queue,
        f"""
executor = dr.Executor(queue={queue.name!r})
running = executor.submit(late, {str(note)!r})
while not running.running():
    time.sleep(0.01)
executor.shutdown(wait=False, cancel_futures=True)
""",
    )
    assert not said
    assert note.exists()


def test_no_call_is_taken_when_the_program_has_ended(queue: dr.Queue) -> None:
    said = run(
        queue,
        f"""
@atexit.register
def last():
    executor.submit(id, None)
executor = dr.Executor(queue={queue.name!r})
executor.submit(id, 42).result()
""",
    )
    assert "RuntimeError: cannot schedule new futures after" in said
