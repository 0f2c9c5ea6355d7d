"""What is published: which files are in it, for which Pythons, and which wheels are let pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from integration import wheels

ROOT = Path(__file__).parent.parent
NOT_OURS = shutil.ignore_patterns("__pycache__", "*.so")


def copy_of_the_checkout(into: Path) -> Path:
    """What a build reads, and what it must leave out. (It writes, too, and this checkout is in use.)"""
    into.mkdir()
    for name in ("pydoredis", "rinterop", "csrc"):
        shutil.copytree(ROOT / name, into / name, ignore=NOT_OURS)
    for folder, path in (("tests", Path(__file__)), ("integration", wheels.SMOKE)):
        (into / folder).mkdir()
        shutil.copy(path, into / folder)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, into)
    return into


def files_of_packages() -> set[str]:
    """All that is in our packages here, but for what a build or an import leaves there."""
    found = {path for package in ("pydoredis", "rinterop") for path in (ROOT / package).rglob("*")}
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }


def build(hook: str, source: Path, into: Path) -> None:
    """Build something without the helper, with the setuptools that is here: it takes no network."""
    subprocess.run(
        [sys.executable, "-c", f"import setuptools.build_meta as backend; backend.{hook}({str(into)!r})"],
        cwd=source,
        env={**os.environ, "PYDOREDIS_PURE": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source distribution and, made of it, a wheel without the helper."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("packaging")
    build("build_sdist", copy_of_the_checkout(folder / "checkout"), folder)
    shutil.unpack_archive(next(folder.glob("*.tar.gz")), folder / "unpacked")
    build("build_wheel", next((folder / "unpacked").iterdir()), folder)
    return folder


def test_a_source_distribution_has_what_a_build_needs(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").glob("*.[ch]")}
    assert sources | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "setup.py"} <= names
    assert not [name for name in names if re.match("(tests|integration|benchmarks|build|dist)/", name)]


def test_a_wheel_without_the_helper_is_for_everyone_and_has_what_the_packages_need(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheels.strangers(wheel) == []
    with zipfile.ZipFile(wheel) as archive:
        names = {*archive.namelist()}
    assert files_of_packages() <= names


def test_strangers_in_a_wheel_are_found(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    ours = ["pydoredis/cli/__init__.py", "rinterop/_speed.so", "pydoredis-1.0.dist-info/RECORD"]
    strangers = ["csrc/speed.h", "rinterop/speed.c", "tests/test_one.py", "pydoredis/tests/x.py"]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ours + strangers:
            archive.writestr(name, "")
    assert wheels.strangers(wheel) == strangers


@pytest.mark.parametrize("tag", ["manylinux2014_x86_64.manylinux_2_17_x86_64", "manylinux_2_36_aarch64"])
def test_wheels_for_the_glibc_of_debian_12_or_older_pass(tag: str) -> None:
    wheels.check_platform(f"pydoredis-1.0-cp312-cp312-{tag}.whl")


@pytest.mark.parametrize("tag", ["linux_x86_64", "manylinux_2_38_x86_64"])
def test_wheels_for_a_later_glibc_are_refused(tag: str) -> None:
    with pytest.raises(RuntimeError, match=r"later glibc than that of Debian 12, 2\.36"):
        wheels.check_platform(f"pydoredis-1.0-cp312-cp312-{tag}.whl")


def test_the_oldest_numpy_is_known_for_each_python() -> None:
    assert list(wheels.OLDEST_NUMPY) == wheels.supported()
    assert '"numpy>=1.24"' in (ROOT / "pyproject.toml").read_text()


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(RuntimeError, match=r"failed \(3\):\nalas"):
        wheels.run(sys.executable, "-c", "print('alas'); raise SystemExit(3)")


def test_the_smoke_test_does_not_take_the_checkout_for_what_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, str(wheels.SMOKE), "compiled"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert "this is the checkout" in done.stderr
