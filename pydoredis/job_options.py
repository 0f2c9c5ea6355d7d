"""How loops are run: options, and where they come from.

Argument of `foreach` > `with options(...)` > `set_chunk_size` and its like, `register` > default. (In R, what
`setChunkSize` says wins over the argument; here the nearer word wins.) `packages` and `export` add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any, Literal

from pydoredis.errors import ConfigError
from pydoredis.protocol.messages import Limits

Progress = Callable[[int, "int | None"], None]
"""Called with the number of iterations done and, if it is known, of all."""

MIN_FTINTERVAL_S = 3.0
"""As in R: checks cost a scan of the key space."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How the iterations of one loop are run.

    Attributes:
        chunk_size: Iterations per task, or "auto": measured while the job runs.
        ftinterval: Seconds between two looks for dead workers and lost tasks; 3 or more.
        max_crashes: Give up an iteration after this many deaths of the process or machine that ran it;
            None: 3, or what the worker says for its processes.
        progress: Show a bar where output is a terminal, or call this with done and total.
        packages: R packages to attach, or Python modules to import, before the body runs.
        export: Variables for the body. For Python bodies also modules, which are sent by value.
        noexport: Globals of a Python body that are not to be sent.
        reduce: Combines the values of one task on the worker: takes a list, gives one value. Python only.
        timelimit: Seconds that a task, with all its iterations, may take on workers of ours; None: no limit
            but the worker's.
        iteration_timelimit: Seconds that each iteration may take on workers of ours; None: no limit.
        timeout: Seconds that the whole loop may take; then it is cancelled and raises `JobTimeout`.
        seed: Of random streams that depend on nothing but it and the iteration's number.
        worker_init: Called once per executor before the job's first task (R: an expression).
        convert: Whether results of R bodies become Python values.
        verbose: Log what happens to each task.
    """

    chunk_size: int | Literal["auto"] = 1
    ftinterval: float = 30.0
    max_crashes: int | None = None
    progress: bool | Progress = False
    packages: Sequence[str] = ()
    export: Mapping[str, Any] | Sequence[Any] = ()
    noexport: Sequence[str] = ()
    reduce: Callable[[list[Any]], Any] | None = None
    timelimit: float | None = None
    iteration_timelimit: float | None = None
    timeout: float | None = None
    seed: int | None = None
    worker_init: Any = None
    convert: bool = True
    verbose: bool = False

    def __post_init__(self) -> None:
        size = self.chunk_size
        if size != "auto" and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ConfigError("chunk_size", size, 'a whole number from 1 on, or "auto"')
        if not isinstance(self.ftinterval, (int, float)) or self.ftinterval < MIN_FTINTERVAL_S:
            raise ConfigError(
                "ftinterval", self.ftinterval, f"a number of seconds, {MIN_FTINTERVAL_S:g} or more"
            )
        crashes = self.max_crashes
        if crashes is not None and (isinstance(crashes, bool) or not isinstance(crashes, int) or crashes < 1):
            raise ConfigError("max_crashes", crashes, "a whole number from 1 on, or None")
        for name in ("timelimit", "iteration_timelimit", "timeout"):
            seconds = getattr(self, name)
            if seconds is not None and (not isinstance(seconds, (int, float)) or not seconds > 0):
                raise ConfigError(name, seconds, "a number of seconds above 0, or None")
        if self.seed is not None and not isinstance(self.seed, int):
            raise ConfigError("seed", self.seed, "a whole number, or None")
        for name in ("packages", "noexport"):
            if isinstance(getattr(self, name), str):
                raise ConfigError(name, getattr(self, name), "a list of names, not one text")

    @property
    def limits(self) -> Limits:
        """What workers are told to keep to."""
        return Limits(self.timelimit, self.iteration_timelimit, self.max_crashes)


NAMES = frozenset(field.name for field in fields(JobOptions))

_session: dict[str, Any] = {}
_context: ContextVar[Mapping[str, Any]] = ContextVar("pydoredis_options", default={})  # noqa: B039  (never changed)


def resolve(*layers: Mapping[str, Any]) -> JobOptions:
    """The options of a loop: `layers`, nearest first, then those of the context and of the session.

    Raises:
        ConfigError: If there is no such option, or it has no such value.
    """
    everything = [*layers, _context.get(), _session]
    for layer in everything:
        check_names(layer)
    chosen: dict[str, Any] = {}
    for layer in reversed(everything):
        chosen.update(layer)
    chosen["packages"] = tuple(dict.fromkeys(p for layer in everything for p in layer.get("packages") or ()))
    chosen["export"] = _merged([layer["export"] for layer in everything if layer.get("export")])
    return JobOptions(**chosen)


def check_names(options: Mapping[str, Any]) -> None:
    """Refuse what is no option.

    Raises:
        ConfigError: With the names that there are.
    """
    for name in options:
        if name not in NAMES:
            raise ConfigError("option", name, f"one of {', '.join(sorted(NAMES))}")


@contextmanager
def options(**chosen: Any) -> Iterator[None]:
    """Options for all loops that begin inside: `with dr.options(chunk_size=10): ...`.

    Raises:
        ConfigError: If there is no such option, or it has no such value.
    """
    check_names(chosen)
    JobOptions(**chosen)
    token = _context.set({**_context.get(), **chosen})
    try:
        yield
    finally:
        _context.reset(token)


def set_option(name: str, value: Any) -> None:
    """Set an option for the whole session; None takes it back."""
    check_names({name: value})
    if value is None:
        _session.pop(name, None)
    else:
        JobOptions(**{name: value})
        _session[name] = value


def set_chunk_size(value: int | Literal["auto"] | None) -> None:
    """Iterations per task for all loops of the session (R: `setChunkSize`)."""
    set_option("chunk_size", value)


def set_ftinterval(value: float | None) -> None:
    """Seconds between looks for dead workers, for all loops of the session (R: `setFtinterval`)."""
    set_option("ftinterval", value)


def set_progress(value: bool | Progress | None) -> None:
    """Whether loops show their progress (R: `setProgress`)."""
    set_option("progress", value)


def set_export(value: Mapping[str, Any] | Sequence[Any] | None) -> None:
    """Variables that every loop of the session exports besides its own (R: `setExport`)."""
    set_option("export", value)


def set_packages(value: Sequence[str] | None) -> None:
    """Packages that every loop of the session needs besides its own (R: `setPackages`)."""
    set_option("packages", value)


def _merged(exports: Sequence[Mapping[str, Any] | Sequence[Any]]) -> Mapping[str, Any] | Sequence[Any]:
    """All exports; of two of one name the nearer one. Modules are kept under their own names."""
    named: dict[str, Any] = {}
    for export in reversed(exports):
        if isinstance(export, Mapping):
            named.update(export)
        else:
            named.update({getattr(thing, "__name__", str(thing)): thing for thing in export})
    return named
