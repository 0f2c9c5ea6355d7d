"""The examples in the documentation are run, and give what it says they give."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from pydoredis.server import find_server
from tests.redis_process import NO_SERVER

ROOT = Path(__file__).parent.parent
NEEDS = {"r-values.md": ("pandas", "scipy"), "r-eval.md": ("rpy2",)}
"""Packages without which a document's examples cannot run."""
WITH_R = {"r-eval.md"}
WITH_SERVER = {"doors.md"}


def documents() -> list[Path]:
    """Those that have examples."""
    candidates = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [path for path in candidates if "\n>>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.name, marks=[pytest.mark.needs_r] if path.name in WITH_R else [])
        for path in documents()
    ],
)
def test_examples(path: Path) -> None:
    for package in NEEDS.get(path.name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    if path.name in WITH_SERVER and find_server() is None:
        pytest.skip(NO_SERVER)
    # A process of its own: examples register conversions, and start an R.
    command = [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples() -> None:
    assert "r-values.md" in [path.name for path in documents()]
