"""How loops are run: options, and where they come from.

Argument of `foreach` > `with options(...)` > `set_chunk_size` and its like, `register` > default. (In R, what
`setChunkSize` says wins over the argument; here the nearer word wins.) `packages` and `export` add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from pydoredis.coordinator.retries import Retries
from pydoredis.errors import ConfigError
from pydoredis.loops.exports import Exports
from pydoredis.loops.names import near
from pydoredis.protocol.messages import Limits

if TYPE_CHECKING:
    from typing_extensions import Unpack

Progress = Callable[[int, "int | None"], None]
"""Called with the number of iterations done and, if it is known, of all."""

Export: TypeAlias = Mapping[str, Any] | Sequence[Any] | Exports
"""Values by name, or a list of names of variables, of modules, functions and classes."""

MIN_FTINTERVAL_S = 3.0
"""As in R: checks cost a scan of the key space."""


class Options(TypedDict, total=False):
    """How loops are run, as keyword arguments: see `JobOptions`."""

    chunk_size: int | Literal["auto"]
    ftinterval: float
    max_crashes: int | None
    retries: int
    backoff: float | Sequence[float]
    progress: bool | Progress
    packages: Sequence[str]
    export: Export
    noexport: Sequence[str]
    reduce: Callable[[list[Any]], Any] | None
    timelimit: float | None
    iteration_timelimit: float | None
    timeout: float | None
    seed: int | None
    worker_init: Any
    convert: bool


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How the iterations of one loop are run.

    Attributes:
        chunk_size: Iterations per task, or "auto": measured while the job runs.
        ftinterval: Seconds between two looks for dead workers and lost tasks; 3 or more.
        max_crashes: Give up an iteration after this many deaths of the process or machine that ran it;
            None: 3, or what the worker says for its processes.
        retries: How often an iteration that raised an error is run again, with the same arguments and random
            numbers, before that error counts. (Workers that die are another matter: `max_crashes`.)
        backoff: Seconds before it is run again: the first pause, after which each is twice as long, up to an
            hour; or the pauses themselves, `[1, 10, 60]`, the last of which stands for all later ones.
        progress: Show a bar where output is a terminal, or call this with done and total.
        packages: R packages to attach, or Python modules to import, before the body runs.
        export: Variables for the body: `{"k": 2}`, or names of variables where the loop is run: `["k"]`. Of
            modules the code is sent along, so that workers need not have them (Python only).
        noexport: Names of exports, and of globals of a Python body, that are not to be sent.
        reduce: Combines the values of one task on the worker: takes a list, gives one value. Python only.
        timelimit: Seconds that a task, with all its iterations, may take on workers of ours; None: no limit
            but the worker's.
        iteration_timelimit: Seconds that each iteration may take on workers of ours; None: no limit.
        timeout: Seconds that the whole loop may take; then it is cancelled and raises `JobTimeout`.
        seed: Of random streams that depend on nothing but it and the iteration's number; None: a fresh one
            for each loop.
        worker_init: Called once per executor before the job's first task (R: an expression).
        convert: Whether results of R bodies become Python values.
    """

    chunk_size: int | Literal["auto"] = 1
    ftinterval: float = 30.0
    max_crashes: int | None = None
    retries: int = 0
    backoff: float | Sequence[float] = 0.0
    progress: bool | Progress = False
    packages: Sequence[str] = ()
    export: Export = field(default_factory=Exports)
    noexport: Sequence[str] = ()
    reduce: Callable[[list[Any]], Any] | None = None
    timelimit: float | None = None
    iteration_timelimit: float | None = None
    timeout: float | None = None
    seed: int | None = None
    worker_init: Any = None
    convert: bool = True

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
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise ConfigError("retries", self.retries, "a whole number from 0 on")
        pauses = self.backoff if isinstance(self.backoff, (list, tuple)) else (self.backoff,)
        if not pauses or not all(_is_pause(pause) for pause in pauses):
            raise ConfigError("backoff", self.backoff, "a number of seconds from 0 on, or a list of such")
        for name in ("timelimit", "iteration_timelimit", "timeout"):
            seconds = getattr(self, name)
            if seconds is not None and (not isinstance(seconds, (int, float)) or not seconds > 0):
                raise ConfigError(name, seconds, "a number of seconds above 0, or None")
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, Integral)):
            raise ConfigError("seed", self.seed, "a whole number, or None")
        if self.reduce is not None and not callable(self.reduce):
            raise ConfigError("reduce", self.reduce, "a function that takes a list of values")
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise ConfigError("progress", self.progress, "True, False, or a function of done and total")
        if not isinstance(self.convert, bool):
            raise ConfigError("convert", self.convert, "True or False")
        for name in ("packages", "noexport"):
            names = getattr(self, name)
            listed = isinstance(names, Iterable) and not isinstance(names, str)
            if not listed or not all(isinstance(one, str) for one in names):
                raise ConfigError(name, names, 'a list of names, like ["numpy"]')
        Exports.of(self.export)

    @property
    def limits(self) -> Limits:
        """What workers are told to keep to."""
        return Limits(self.timelimit, self.iteration_timelimit, self.max_crashes)

    @property
    def retry(self) -> Retries:
        """Which iterations that raised an error are run again."""
        pauses = self.backoff
        return Retries(self.retries, tuple(pauses) if isinstance(pauses, Sequence) else pauses)


def _is_pause(seconds: object) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return False
    return 0 <= seconds < float("inf")


NAMES = frozenset(one.name for one in fields(JobOptions))

_session: dict[str, Any] = {}
_context: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("pydoredis_options", default=())
"""Of the `with options(...)` blocks around, the nearest first."""


def resolve(*layers: Mapping[str, Any]) -> JobOptions:
    """The options of a loop: `layers`, nearest first, then those of the context and of the session.

    Raises:
        ConfigError: If there is no such option, or it has no such value.
    """
    everything = [*layers, *_context.get(), _session]
    for layer in everything:
        check_names(layer)
    chosen: dict[str, Any] = {}
    for layer in reversed(everything):
        chosen.update(layer)
    chosen["packages"] = tuple(dict.fromkeys(p for layer in everything for p in layer.get("packages") or ()))
    exports = Exports()
    for layer in reversed(everything):
        exports = Exports.of(layer.get("export") or ()).over(exports)
    chosen["export"] = exports.without(chosen.get("noexport", ()))
    return JobOptions(**chosen)


def check_names(options: Mapping[str, Any]) -> None:
    """Refuse what is no option.

    Raises:
        ConfigError: With the one that may be meant, or all that there are.
    """
    for name in options:
        if name not in NAMES:
            meant = near(name, NAMES)
            raise ConfigError("option", name, meant or f"one of {', '.join(sorted(NAMES))}")


@contextmanager
def options(**chosen: Unpack[Options]) -> Iterator[None]:
    """Options for all loops that begin inside: `with dr.options(chunk_size=10): ...`.

    Raises:
        ConfigError: If there is no such option, or it has no such value.
    """
    check_names(chosen)
    JobOptions(**chosen)
    token = _context.set(({**chosen}, *_context.get()))
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


def session_options() -> dict[str, Any]:
    """All options that were set for the session."""
    return {**_session}


def set_session_options(chosen: Mapping[str, Any]) -> None:
    """Have just these options for the session."""
    _session.clear()
    _session.update(chosen)


def set_chunk_size(value: int | Literal["auto"] | None) -> None:
    """Iterations per task for all loops of the session (R: `setChunkSize`)."""
    set_option("chunk_size", value)


def set_ftinterval(value: float | None) -> None:
    """Seconds between looks for dead workers, for all loops of the session (R: `setFtinterval`)."""
    set_option("ftinterval", value)


def set_progress(value: bool | Progress | None) -> None:
    """Whether loops show their progress (R: `setProgress`)."""
    set_option("progress", value)


def set_export(value: Export | None) -> None:
    """Variables that every loop of the session exports besides its own (R: `setExport`)."""
    set_option("export", value)


def set_packages(value: Sequence[str] | None) -> None:
    """Packages that every loop of the session needs besides its own (R: `setPackages`)."""
    set_option("packages", value)
