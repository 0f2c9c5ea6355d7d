"""Engines run tasks, one codec each; this module says how an agent starts a process that has one.

Files: `base` the interface; `r` with `evaluate.R`, `doredis.R`, `embedded.R`; `child.R` and `serve.R`, the
R child without Python, which shares the first two; `python` and its `interrupts`; `process`, what every
executor does first.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydoredis import search_path
from pydoredis.errors import ConfigError, EvaluatorError
from pydoredis.worker.engines.threads import limited
from rinterop.runtime import locate
from rinterop.runtime.base import RuntimeUnavailableError

REngine = Literal["rpy2", "rscript"]
"""How R code is run: embedded in the executor, or in a child that is R alone."""

Codec = Literal["r", "cloudpickle"]

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Choice:
    """Which R engine, and why: a line for the log."""

    engine: REngine
    reason: str


def choose_r_engine(wanted: str = "auto", *, probe: bool = True) -> Choice:
    """The R engine for this machine; R is not loaded here.

    `auto` is `rpy2` if it works, else `rscript`. With `probe`, whether rpy2 works is tried in a process
    (0.2 s); else it is judged by version numbers (0.05 s).

    Raises:
        EvaluatorError: If there is no R, or not what was asked for; the message says what to do.
        ConfigError: If `wanted` is not the name of an engine, or an Rscript is named that is none.
    """
    if wanted not in ("auto", "rpy2", "rscript"):
        raise ConfigError("r-engine", wanted, "auto, rpy2 or rscript")
    misnamed = locate.misnamed_rscript()
    if misnamed:
        raise ConfigError(locate.RSCRIPT_VARIABLE, misnamed, "an Rscript that can be run, or not set")
    r = locate.find_r()
    if r is None:
        raise EvaluatorError("rscript", str(locate.no_r()))
    problem: RuntimeUnavailableError | None = None
    if wanted != "rscript":
        try:
            return Choice("rpy2", _embedding(probe))
        except RuntimeUnavailableError as exc:
            problem = exc
        if wanted == "rpy2":
            raise EvaluatorError("rpy2", str(problem)) from problem
    if r.rscript is None:
        missing = RuntimeUnavailableError(f"the R in {r.home} has no Rscript", "set PYDOREDIS_RSCRIPT to one")
        raise EvaluatorError("rscript", str(missing))
    version = ".".join(map(str, r.version)) or "of unknown version"
    because = f"; not embedded, because {problem}" if problem else ""
    return Choice("rscript", f"R {version} as {r.rscript}{because}")


def _embedding(probe: bool) -> str:
    if probe:
        return locate.check()
    problem = locate.static_problem()
    if problem is not None:
        raise problem
    return "R through rpy2"


class Descriptors(NamedTuple):
    """Those of an executor.

    Attributes:
        frames_in: Where it reads frames.
        frames_out: Where it writes frames.
        output: Where what bodies print goes.
        starts: Where it reads which tasks it may begin.
    """

    frames_in: int
    frames_out: int
    output: int
    starts: int


def command(
    codec: Codec, r_engine: REngine, fds: Descriptors, threads: int = 0
) -> tuple[list[str], dict[str, str]]:
    """How to start an executor that talks to its agent by these descriptors.

    It is for `Popen(command, env=environment, stdout=fds.output, stderr=fds.output, pass_fds=fds)`, called in
    the agent's main thread. The executor gives itself a session of its own and an empty standard input.

    Args:
        codec: The language of the bodies that it is to run.
        r_engine: How R runs, if that is R.
        fds: Descriptors of the child.
        threads: How many threads libraries may use in it; 0: as many as they like.

    Returns:
        Command line, and environment variables (all of them, not only those that differ).

    Raises:
        EvaluatorError: If the R child is wanted and there is no Rscript.
    """
    agent = str(os.getpid())
    environment = limited(os.environ, threads) if threads else dict(os.environ)
    if codec == "r" and r_engine == "rscript":
        r = locate.find_r()
        if r is None or r.rscript is None:
            raise EvaluatorError("rscript", str(locate.no_r()))
        start = [sys.executable, "-I", "-S", str(_HERE / "process.py"), agent, str(r.rscript)]
        return [*start, str(_HERE / "child.R"), *map(str, fds)], environment
    if codec == "r":
        environment.update(locate.front_end_environment())
        environment.pop("_", None)  # a shell's, of us
    start = [*search_path.command("pydoredis.worker.executor"), codec, "--agent", agent]
    start += ["--in", str(fds.frames_in), "--out", str(fds.frames_out)]
    return [*start, "--output", str(fds.output), "--starts", str(fds.starts)], environment
