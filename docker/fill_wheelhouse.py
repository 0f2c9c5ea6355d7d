"""Downloads what builds of the images need, where pip inside of them reaches no package index.

    python docker/fill_wheelhouse.py --python 3.11

puts it into docker/wheelhouse, for the Python version of the images' base (Debian 12: 3.11, Debian 13: 3.13).
Once it holds wheels, builds use it and nothing else; empty it to go back to the index.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parent.parent
WHEELHOUSE = REPOSITORY / "docker" / "wheelhouse"
STAMP = WHEELHOUSE / "filled-with"

# What rpy2 is built with; it comes as sources, since it is compiled for one R.
RPY2_NEEDS = ["cffi>=1.15.1", "wheel"]
# What dependencies ask for on a Python older than the one that runs this (Debian 12 has 3.11.2).
BACKPORTS = ["async-timeout>=4.0.3", "tomli>=2.0"]
GLIBC = ("2_17", "2_28", "2_34")


def download(*arguments: str) -> None:
    """pip download into the wheelhouse."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(WHEELHOUSE), *arguments]
    subprocess.run(command, check=True)


def fill(python: str) -> None:
    """Download it all, unless this has been done for the same requirements."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    wheels = [*project["dependencies"], *settings["build-system"]["requires"], *RPY2_NEEDS, *BACKPORTS]
    sources = project["optional-dependencies"]["r"]
    stamp = hashlib.sha256(repr((python, wheels, sources)).encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == stamp:
        return
    for old in WHEELHOUSE.iterdir():
        if old.name != ".gitignore":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    machine = platform.machine()
    platforms = [word for glibc in GLIBC for word in ("--platform", f"manylinux_{glibc}_{machine}")]
    platforms += ["--platform", f"manylinux2014_{machine}"]
    download("--only-binary=:all:", "--python-version", python, *platforms, *wheels)
    for requirement in sources:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        download("--no-deps", "--no-binary", name, requirement)
    STAMP.write_text(stamp)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default="3.11", help="Python version of the images' base (default: 3.11)")
    fill(parser.parse_args().python)
