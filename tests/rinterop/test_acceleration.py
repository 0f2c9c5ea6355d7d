"""What is taken for the compiled helper, and what is said where there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import rinterop
from rinterop.serialize import speed
from tests.rinterop.conftest import HELPER

needs_helper = pytest.mark.skipif(HELPER is None, reason="rinterop._speed is not built, or switched off")


@pytest.fixture(scope="module", autouse=True, params=["both"])
def serializer() -> str:
    """Here the question is which of the two there is."""
    return "both"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in which something may lie that has the helper's name."""
    folder = tmp_path / f"pretender_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("RINTEROP_PURE", raising=False)
    return folder


def refusal(package: Path) -> str:
    with pytest.raises(ImportError) as caught:
        speed.load(f"{package.name}._speed")
    return str(caught.value)


def test_nothing_is_no_helper(package: Path) -> None:
    assert refusal(package) == f"{package.name}._speed has not been built; {speed.REBUILD}"


def test_a_folder_is_no_helper(package: Path) -> None:
    """Python imports any folder as a namespace package: of sources, or what a `git pull` could not remove."""
    (package / "_speed").mkdir()
    (package / "_speed" / "module.c").touch()
    assert "has not been built" in refusal(package)


def test_a_module_in_python_is_no_helper(package: Path) -> None:
    (package / "_speed.py").write_text(f"ABI = {speed.ABI}\n")
    assert "has not been built" in refusal(package)


def test_a_helper_for_another_python_is_named(package: Path) -> None:
    (package / "_speed.cpython-399-x86_64-linux-gnu.so").touch()
    assert "_speed.cpython-399-x86_64-linux-gnu.so was built for another Python" in refusal(package)


def test_what_cannot_be_loaded_is_quoted(package: Path) -> None:
    (package / f"_speed{EXTENSION_SUFFIXES[0]}").write_text("no machine code")
    assert re.search(r"cannot be loaded \(.*_speed.*\); install the package again", refusal(package))


@needs_helper
def test_a_helper_for_other_sources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert speed.load().ABI == speed.ABI
    monkeypatch.setattr(speed, "ABI", speed.ABI + 1)
    with pytest.raises(ImportError, match="was built for another version of rinterop"):
        speed.load()


def test_both_sides_name_one_abi() -> None:
    header = Path(__file__).parents[2] / "csrc" / "codes.h"
    (number,) = re.findall(r"^#define ABI (\d+)$", header.read_text(), re.MULTILINE)
    assert int(number) == speed.ABI


@pytest.mark.parametrize("setting", ["1", pytest.param("", marks=needs_helper)])
def test_can_be_switched_off(setting: str) -> None:
    program = "import rinterop as r; print(r.accelerated, r.acceleration, r.loads(r.dumps(r.NULL)), sep='|')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "RINTEROP_PURE": setting},
        capture_output=True,
        text=True,
        check=True,
    )
    slow = "in Python alone, which is slower: RINTEROP_PURE is set"
    assert done.stdout.strip() == (f"False|{slow}|NULL" if setting else "True|compiled|NULL")


def test_what_is_public_says_what_is_used() -> None:
    assert rinterop.accelerated == (HELPER is not None)
    assert (rinterop.acceleration == "compiled") == rinterop.accelerated
