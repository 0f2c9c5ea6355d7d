"""Checks of this machine: R, rpy2, and the Python that loops and bodies are pickled with."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Final

from pydoredis._version import __version__
from pydoredis.doctor.findings import Finding
from rinterop.runtime import locate
from rinterop.runtime.base import RuntimeUnavailableError

R_PACKAGES: Final = ("foreach", "iterators", "doRedis", "redux")
"""What R's own peers need; workers of ours need none of them."""

OLDEST_R: Final = (3, 5)


def r() -> Finding:
    """The R that workers here run R bodies with."""
    if misnamed := locate.misnamed_rscript():
        return Finding(
            *("R", "error", f"PYDOREDIS_RSCRIPT names {misnamed}, which cannot be run"),
            "Name an Rscript, or unset the variable.",
        )
    found = locate.find_r()
    if found is None:
        return Finding(
            *("R", "note", "there is no R here: workers here run Python jobs alone"), locate.no_r().remedy
        )
    version = ".".join(map(str, found.version))
    if found.version and found.version < OLDEST_R:
        return Finding("R", "error", f"R {version} in {found.home} is too old", "Install R 3.5 or later.")
    if found.rscript is None:
        return Finding(
            *("R", "warning", f"R {version} in {found.home} has no Rscript"),
            "Install all of R (r-base-core): the engine `rscript` needs it.",
        )
    return Finding("R", "ok", f"R {version} in {found.home}")


def rpy2() -> Finding | None:
    """Whether R can be embedded."""
    if locate.find_r() is None:
        return None
    try:
        return Finding("rpy2", "ok", locate.Probe().result())
    except RuntimeUnavailableError as error:
        missing = locate.rpy2_version() is None
        return Finding(
            *("rpy2", "note" if missing else "warning"),
            f"R runs as a process of its own (rscript), which is slower: {error.problem}",
            error.remedy,
        )


def r_packages() -> Finding | None:
    """Which packages of R's own peers are here, for those who use them."""
    found = locate.find_r()
    if found is None or found.rscript is None:
        return None
    quoted = ", ".join(f'"{name}"' for name in R_PACKAGES)
    program = (
        f"for (p in c({quoted})) cat(p, if (nzchar(system.file(package = p))) "
        'as.character(packageVersion(p)) else "-", "\\n")'
    )
    done = subprocess.run([str(found.rscript), "-e", program], capture_output=True, text=True, check=False)
    said = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    if not said:
        return Finding(
            *("R packages", "warning", f"Rscript does not run: {done.stderr.strip()[-200:]}"),
            "Start R by hand, and see.",
        )
    there = [f"{name} {version}" for name, version in said.items() if version != "-"]
    missing = [name for name, version in said.items() if version == "-"]
    text = f"here are {', '.join(there)}" if there else "none of R's own peers' packages are here"
    if not missing:
        return Finding("R packages", "ok", text)
    return Finding(
        *("R packages", "note", f"{text}; not here: {', '.join(missing)}"),
        "Coordinators and workers of R need them; pydoredis workers do not.",
    )


def python() -> Finding:
    """What loops are pickled with here."""
    said = f"Python {platform.python_version()}, cloudpickle {metadata.version('cloudpickle')}"
    return Finding("Python", "ok", f"{said}, pydoredis {__version__}")


CHECKS: Final[Sequence[Callable[[], Finding | None]]] = (r, rpy2, r_packages, python)
