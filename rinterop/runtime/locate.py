"""Finds R and rpy2 without loading either, and says what to do when they don't fit.

Reading a few files answers in about a millisecond, so that an agent may ask before it starts anything.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from rinterop.install_hints import pip_install, pip_install_extra
from rinterop.runtime.base import RuntimeUnavailableError

_R_4_5 = (4, 5)

RPY2_RANGES = {"r": "rpy2-rinterface>=3.6.0,<3.6.6", "r45": "rpy2-rinterface>=3.6.6"}
"""By extra of pydoredis. From 3.6.6 on it needs R 4.5, against whose `R_getVar` it links. Earlier ones run
with every R from 4.2 on; for R 4.5 and later they cannot be compiled ("ABI mode"), which is slower."""

RSCRIPT_VARIABLE = "PYDOREDIS_RSCRIPT"

_NEEDS_R_4_5 = (3, 6, 6)
_PROBE_TIMEOUT_S = 60.0
_TRIAL = "from rpy2.rinterface_lib import openrlib; print(openrlib.cffi_mode.value)"


@dataclass(frozen=True, slots=True)
class Installation:
    """An R on this machine.

    Attributes:
        home: What `R RHOME` prints.
        rscript: Its `Rscript`, or None if there is none beside it.
        version: Like (4, 2, 2); () if unknown.
        has_library: Whether it was built with `--enable-R-shlib`, which embedding needs.
    """

    home: Path
    rscript: Path | None
    version: tuple[int, ...]
    has_library: bool


def find_r() -> Installation | None:
    """The R that this process would use: `R_HOME`, then `R` on the PATH; None if there is none.

    `PYDOREDIS_RSCRIPT` may name the `Rscript` to use; `misnamed_rscript` tells whether it names none.
    """
    return _find_r(os.environ.get("R_HOME"), os.environ.get("PATH"), os.environ.get(RSCRIPT_VARIABLE))


def misnamed_rscript() -> str:
    """What `PYDOREDIS_RSCRIPT` says, if that is not a program that can be run; else nothing."""
    named = os.environ.get(RSCRIPT_VARIABLE, "")
    return named if named and shutil.which(named) is None else ""


@functools.lru_cache(maxsize=8)
def _find_r(r_home: str | None, path: str | None, named: str | None) -> Installation | None:
    rscript = shutil.which(named) if named else None
    home = Path(r_home) if r_home else None
    if home is None:
        beside = str(Path(rscript).parent) + os.pathsep + (path or "") if rscript else path
        r = shutil.which("R", path=beside)
        if r is None:
            return None
        answer = subprocess.run([r, "RHOME"], capture_output=True, text=True, check=False)
        home = Path(answer.stdout.strip().splitlines()[-1]) if answer.stdout.strip() else None
    if home is None or not home.is_dir():
        return None
    if rscript is None:
        own = home / "bin" / "Rscript"
        rscript = str(own) if own.exists() else shutil.which("Rscript", path=path)
    return Installation(home, Path(rscript) if rscript else None, _r_version(home), _has_library(home))


_FRONT_END = "R_SHARE_DIR"
"""A variable that R's front end always sets."""

_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
"""Where R's front end puts the paths of libraries, by system."""

_OF_SHELLS = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})


def front_end_environment() -> dict[str, str]:
    """What the shell script `R` sets before it starts R proper, as far as it is not set here yet.

    Who starts R in another way has to do likewise: packages find shared libraries by `LD_LIBRARY_PATH`, and R
    its own files by `R_SHARE_DIR` and others, which on Debian are not below R's home.
    """
    r = find_r()
    if r is None or _has_front_end_environment(r.home):
        return {}
    found = _front_end_environment(r.home, tuple(sorted(os.environ.items())))
    return {name: value for name, value in found.items() if os.environ.get(name) != value}


def _has_front_end_environment(home: Path) -> bool:
    """Whether R's front end has started this process, or one before it.

    A program that has started R itself has R's own variables and not the paths of libraries, which would have
    come too late for it; they do not for the processes that it starts.
    """
    if os.environ.get("R_HOME") != str(home) or _FRONT_END not in os.environ:
        return False
    paths = (os.environ.get(name, "").split(os.pathsep) for name in _LIBRARY_PATHS)
    return any(str(home / "lib") in each for each in paths)


@functools.lru_cache(maxsize=2)
def _front_end_environment(home: Path, environ: tuple[tuple[str, str], ...]) -> dict[str, str]:
    # The script starts a debugger in R's place if told to. Here it is one that prints its environment, after
    # whatever the script itself has to say.
    command = [str(home / "bin" / "R"), "--debugger=sh", "--debugger-args=environment.sh"]
    here = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=here, env=dict(environ), capture_output=True, check=False)
    except OSError:
        return {}
    _, _, printed = done.stdout.partition(b"\0")
    pairs = (line.partition(b"=") for line in printed.split(b"\0") if line)
    return {os.fsdecode(n): os.fsdecode(v) for n, _, v in pairs if os.fsdecode(n) not in _OF_SHELLS}


def _r_version(home: Path) -> tuple[int, ...]:
    """From the base package, which has R's own version number."""
    try:
        text = (home / "library" / "base" / "DESCRIPTION").read_text("utf-8", "replace")
    except OSError:
        return ()
    found = re.search(r"^Version:\s*([\d.]+)", text, re.MULTILINE)
    return _numbers(found.group(1)) if found else ()


def _has_library(home: Path) -> bool:
    return any((home / "lib" / name).exists() for name in ("libR.so", "libR.dylib"))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def rpy2_extra() -> str:
    """The extra of pydoredis that has the right rpy2 for this machine's R."""
    r = find_r()
    return "r45" if r is not None and r.version >= _R_4_5 else "r"


def rpy2_version() -> tuple[int, ...] | None:
    """Version of rpy2's interface to R, or None if it is not installed."""
    if util.find_spec("rpy2") is None:
        return None
    from importlib import metadata  # takes as long to load as all else here

    for name in ("rpy2-rinterface", "rpy2"):
        try:
            return _numbers(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return None


def static_problem() -> RuntimeUnavailableError | None:
    """Why R can't be embedded, as far as files and version numbers tell; None if it looks well."""
    if (problem := wrong_system()) is not None:
        return problem
    r = find_r()
    if r is None:
        return no_r()
    if not r.has_library:
        return RuntimeUnavailableError(
            f"the R in {r.home} has no shared library",
            "install an R built with --enable-R-shlib, as distributions do",
        )
    rpy2 = rpy2_version()
    if rpy2 is None:
        return RuntimeUnavailableError("rpy2 is not installed", pip_install_extra(rpy2_extra()))
    if rpy2 >= _NEEDS_R_4_5 and r.version and r.version < _R_4_5:
        misfitting = f"rpy2-rinterface {_text(rpy2)} does not fit R {_text(r.version)}"
        return RuntimeUnavailableError(misfitting, pip_install(RPY2_RANGES["r"]))
    return None


def wrong_system() -> RuntimeUnavailableError | None:
    """Why R can't be embedded on this system, whatever is installed; None where it can be."""
    if hasattr(os, "fork"):
        return None
    return RuntimeUnavailableError(
        f"R is not run inside of Python on {platform.system()}",
        "use Linux or macOS; on Windows, WSL or a container",
    )


def no_r() -> RuntimeUnavailableError:
    """The error when there is no R at all."""
    return RuntimeUnavailableError(
        "R was not found", "install R (apt-get install r-base-core), or set R_HOME or the PATH"
    )


def misfit(cause: BaseException) -> RuntimeUnavailableError:
    """The error when importing rpy2 failed: it raises `ffi.error` as well as ImportError."""
    r, rpy2 = find_r(), rpy2_version()
    return RuntimeUnavailableError(
        f"rpy2-rinterface {_text(rpy2 or ())} does not work with R {_text(r.version if r else ())}: {cause}",
        pip_install(RPY2_RANGES[rpy2_extra()]),
    )


class Probe:
    """Tries in a process of its own whether R can be embedded: loads rpy2 and R's library, takes 0.2 s.

    Raises:
        RuntimeUnavailableError: If it cannot be, as far as files and version numbers tell.
    """

    def __init__(self) -> None:
        problem = static_problem()
        if problem is not None:
            raise problem
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TRIAL],
            env={**os.environ, **front_end_environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def result(self) -> str:
        """Wait until it has ended.

        Returns:
            A line that names the versions, and how rpy2 calls R: compiled for it ("API mode"), or not ("ABI
            mode").

        Raises:
            RuntimeUnavailableError: If R cannot be embedded; says what the user can do.
        """
        try:
            mode, said = self._process.communicate(timeout=_PROBE_TIMEOUT_S)
        except subprocess.TimeoutExpired as exc:
            raise misfit(exc) from exc
        finally:
            self.close()
        if self._process.returncode != 0:
            lines = said.decode("utf-8", "replace").strip().splitlines()
            raise misfit(RuntimeError(lines[-1] if lines else f"exit status {self._process.returncode}"))
        r, rpy2 = find_r(), rpy2_version()
        versions = f"R {_text(r.version if r else ())} through rpy2-rinterface {_text(rpy2 or ())}"
        return f"{versions} in {mode.decode().strip()} mode"

    def close(self) -> None:
        """End the process, if it still runs."""
        with self._process:
            self._process.kill()


def available() -> bool:
    """Whether R can be embedded, as far as files and version numbers tell."""
    return static_problem() is None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version)) or "of unknown version"
