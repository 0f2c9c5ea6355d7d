"""Type checkers on programs as users write them, from where users run them: an editable install is enough."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

HERE = Path(__file__).parent
PYTHON = Path(sys.executable)

Command: TypeAlias = Sequence[str | Path]


def run(command: Command, directory: Path) -> str:
    """What a command prints that ends with status 0 or 1."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode < 2, done.stdout + done.stderr
    return done.stdout


def mypy(directory: Path, program: str) -> str:
    """What mypy says of a program."""
    command: Command = [
        PYTHON,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        "cache",
        program,
    ]
    return re.sub(r"^.*: note: .*$", "", run(command, directory), flags=re.MULTILINE)


def pyright(directory: Path, program: str) -> str:
    """What Pyright says of a program, with its own defaults."""
    (directory / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    command: Command = [PYTHON.with_name("basedpyright"), "--level", "error", "--pythonpath", PYTHON, program]
    return run(command, directory)


@pytest.fixture(params=[mypy, pyright], ids=["mypy", "Pyright"])
def complaints(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], dict[int, str]]:
    """What a type checker says, by line."""
    if request.param is pyright and not PYTHON.with_name("basedpyright").exists():
        pytest.skip("basedpyright is not installed")

    def check(program: str) -> dict[int, str]:
        shutil.copy(HERE / program, tmp_path)
        said = request.param(tmp_path, program)
        found = re.findall(rf"{re.escape(program)}:(\d+)[:\d]*[ -]+(?:error: )?(.*)", said)
        return {int(line): text for line, text in found}

    return check


def test_a_right_program(complaints: Callable[[str], dict[int, str]]) -> None:
    assert complaints("right.py") == {}


def test_a_program_with_mistakes(complaints: Callable[[str], dict[int, str]]) -> None:
    lines = (HERE / "wrong.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    assert len(wrong) > 30
    found = complaints("wrong.py")
    assert {lines[number - 1] for number in wrong - found.keys()} == set(), "was not found"
    assert {lines[number - 1] for number in found.keys() - wrong} == set(), "is right"
