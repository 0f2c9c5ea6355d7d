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


class REngineChoice:
    """Chooses the R engine for this machine; R is not loaded here.

    `auto` is `rpy2` if it works, else `rscript`. Files and version numbers tell at once what is likely. A
    process finds out meanwhile whether rpy2 works.

    Attributes:
        likely: The engine, unless that process finds that rpy2 does not work.

    Args:
        wanted: `auto`, or the name of an engine.

    Raises:
        EvaluatorError: If there is no R, or not what was asked for; the message says what to do.
        ConfigError: If `wanted` is not the name of an engine, or an Rscript is named that is none.
    """

    def __init__(self, wanted: str = "auto") -> None:
        if wanted not in ("auto", "rpy2", "rscript"):
            raise ConfigError("r-engine", wanted, "auto, rpy2 or rscript")
        misnamed = locate.misnamed_rscript()
        if misnamed:
            raise ConfigError(locate.RSCRIPT_VARIABLE, misnamed, "an Rscript that can be run, or not set")
        r = locate.find_r()
        if r is None:
            raise EvaluatorError("rscript", str(locate.no_r()))
        self._r = r
        self._wanted = wanted
        self._probe: locate.Probe | None = None
        self._rscript: Choice | None = None
        if wanted == "rscript":
            self._rscript = self._use_rscript(None)
        else:
            try:
                self._probe = locate.Probe()
            except RuntimeUnavailableError as problem:
                self._rscript = self._use_rscript(problem)
        self.likely: REngine = "rpy2" if self._probe else "rscript"

    def result(self) -> Choice:
        """The engine, for certain; waits for the process.

        Raises:
            EvaluatorError: If R cannot run as it was asked for; the message says what to do.
        """
        if self._probe is not None:
            try:
                return Choice("rpy2", self._probe.result())
            except RuntimeUnavailableError as problem:
                return self._use_rscript(problem)
        assert self._rscript is not None
        return self._rscript

    def close(self) -> None:
        """Nobody wants to know any more: end the process."""
        if self._probe is not None:
            self._probe.close()

    def _use_rscript(self, problem: RuntimeUnavailableError | None) -> Choice:
        """What `Rscript` does in place of rpy2, with which there is a problem."""
        r = self._r
        if problem is not None and self._wanted == "rpy2":
            raise EvaluatorError("rpy2", str(problem)) from problem
        if r.rscript is None:
            missing = RuntimeUnavailableError(
                f"the R in {r.home} has no Rscript", "set PYDOREDIS_RSCRIPT to one"
            )
            raise EvaluatorError("rscript", str(missing))
        version = ".".join(map(str, r.version)) or "of unknown version"
        because = f"; not embedded, because {problem}" if problem else ""
        return Choice("rscript", f"R {version} as {r.rscript}{because}")


def choose_r_engine(wanted: str = "auto") -> Choice:
    """The R engine for this machine; see `REngineChoice`, whose errors it raises."""
    return REngineChoice(wanted).result()


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
