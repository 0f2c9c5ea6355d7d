"""Downloads what builds of the images need, where pip inside of them reaches no package index.

    python docker/fill_wheelhouse.py --python 3.11

puts it into docker/wheelhouse, for the Python version of the images' base (Debian 12: 3.11, Debian 13: 3.13).
Once it holds wheels, builds use it and nothing else; empty it to go back to the index. `--extra` and `--into`
fill another folder with what other extras of the package need.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parent.parent
WHEELHOUSE = REPOSITORY / "docker" / "wheelhouse"

USUAL = ("r",)
COMPILED = ("r", "r45")
"""Extras whose packages come as sources: rpy2 is compiled for one R, with these."""
COMPILED_WITH = ["cffi>=1.15.1", "wheel"]
# What dependencies ask for on a Python older than the one that runs this (Debian 12 has 3.11.2).
BACKPORTS = ["async-timeout>=4.0.3", "tomli>=2.0"]
GLIBC = ("2_17", "2_28", "2_34")


def download(into: Path, *arguments: str) -> None:
    """pip download into the wheelhouse."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(into), *arguments]
    subprocess.run(command, check=True)


def is_for(requirement: str, python: str) -> bool:
    """Whether a requirement concerns a version of Python. pip asks that of the one that it runs in."""
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"python_version": python, "python_full_version": f"{python}.0"})


def fill(python: str, extras: Sequence[str] = USUAL, into: Path = WHEELHOUSE) -> None:
    """Download it all, unless this has been done for the same requirements."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    wheels = [*project["dependencies"], *settings["build-system"]["requires"], *BACKPORTS]
    sources = []
    for extra in extras:
        packages = project["optional-dependencies"][extra]
        if extra in COMPILED:
            sources += packages
            wheels += COMPILED_WITH
        else:
            wheels += packages
    wheels = [requirement for requirement in wheels if is_for(requirement, python)]
    stamp = hashlib.sha256(repr((python, wheels, sources)).encode()).hexdigest()
    stamped = into / "filled-with"
    if stamped.is_file() and stamped.read_text() == stamp:
        return
    into.mkdir(parents=True, exist_ok=True)
    for old in into.iterdir():
        if old.name != ".gitignore":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    machine = platform.machine()
    platforms = [word for glibc in GLIBC for word in ("--platform", f"manylinux_{glibc}_{machine}")]
    platforms += ["--platform", f"manylinux2014_{machine}"]
    download(into, "--only-binary=:all:", "--python-version", python, *platforms, *wheels)
    for requirement in sources:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        download(into, "--no-deps", "--no-binary", name, requirement)
    stamped.write_text(stamp)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default="3.11", help="Python version of the images' base (default: 3.11)")
    parser.add_argument(
        "--extra", action="append", help=f"an extra of the package, once for each (default: {USUAL[0]})"
    )
    parser.add_argument("--into", type=Path, default=WHEELHOUSE, help="folder (default: docker/wheelhouse)")
    options = parser.parse_args()
    fill(options.python, options.extra or USUAL, options.into)
