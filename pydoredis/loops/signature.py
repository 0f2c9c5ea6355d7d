"""`foreach`, with all that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from pydoredis.combine.accumulate import CombineSpec, ErrorHandling
from pydoredis.errors import ConfigError
from pydoredis.loops.foreach import Foreach
from pydoredis.loops.names import near
from pydoredis.loops.nesting import Loop, Plan, Source
from pydoredis.loops.options import NAMES, Export, JobOptions, Progress
from pydoredis.registered import Place

if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec

    from typing_extensions import TypeVar

    from pydoredis.loops.foreach import Combined, Listed

    Value = TypeVar("Value", default=Any)
    Accumulated = TypeVar("Accumulated", default=Any)
    Made = TypeVar("Made")
    Parameters = ParamSpec("Parameters")

    class Anything:
        """A type that no program has: functions that take it take any, and tell nothing of the body's."""

        def __add__(self, other: Anything) -> Anything: ...


CombineName: TypeAlias = Literal[
    "c", "list", "append", "extend", "rbind", "cbind", "update", "merge",
    "+", "-", "*", "/", "&", "|", "and", "or", "min", "max", "pmin", "pmax",
]  # fmt: skip
"""Combine functions that have a name; see `pydoredis.combine.functions.resolve`."""

Variables: TypeAlias = Mapping[str, Source]
"""Variables of a loop whose names cannot stand in a call, as they are those of options or not Python's."""

_OF_LOOPS = frozenset({*(one.name for one in fields(CombineSpec)), "errorhandling"})
_ALL_NAMES = _OF_LOOPS | NAMES
_ELSEWHERE = {
    "verbose": "left out: Python's logging tells what happens to a job (logger pydoredis.coordinator)"
}
"""Options of R's foreach that are none here."""


# The same parameters four times over, in as few lines as possible: what differs is in the first two of each.
# fmt: off
@overload
def foreach(
    *iterators: Source | Variables,
    combine: None = ...,
    final: None = ...,
    init: Any = ..., inorder: bool = ..., multicombine: bool | None = ..., maxcombine: int | None = ...,
    errorhandling: ErrorHandling | None = ..., chunk_size: int | Literal["auto"] = ...,
    seed: int | None = ..., packages: Sequence[str] = ..., export: Export = ...,
    noexport: Sequence[str] = ..., worker_init: Any = ..., convert: bool = ...,
    reduce: Callable[[list[Any]], Any] | None = ..., progress: bool | Progress = ...,
    timelimit: float | None = ..., iteration_timelimit: float | None = ..., timeout: float | None = ...,
    ftinterval: float = ..., max_crashes: int | None = ...,
    retries: int = ..., backoff: float | Sequence[float] = ..., **variables: Source,
) -> Foreach[Any, Listed]: ...
@overload
def foreach(
    *iterators: Source | Variables,
    combine: CombineName | Callable[[Anything, Anything], Anything] | Callable[[list[Any]], Accumulated],
    final: None = ...,
    init: Any = ..., inorder: bool = ..., multicombine: bool | None = ..., maxcombine: int | None = ...,
    errorhandling: ErrorHandling | None = ..., chunk_size: int | Literal["auto"] = ...,
    seed: int | None = ..., packages: Sequence[str] = ..., export: Export = ...,
    noexport: Sequence[str] = ..., worker_init: Any = ..., convert: bool = ...,
    reduce: Callable[[list[Any]], Any] | None = ..., progress: bool | Progress = ...,
    timelimit: float | None = ..., iteration_timelimit: float | None = ..., timeout: float | None = ...,
    ftinterval: float = ..., max_crashes: int | None = ...,
    retries: int = ..., backoff: float | Sequence[float] = ..., **variables: Source,
) -> Foreach[Any, Combined[Accumulated]]: ...
@overload
def foreach(
    *iterators: Source | Variables,
    combine: Callable[[Accumulated, Value], Accumulated],
    final: None = ...,
    init: Any = ..., inorder: bool = ..., multicombine: bool | None = ..., maxcombine: int | None = ...,
    errorhandling: ErrorHandling | None = ..., chunk_size: int | Literal["auto"] = ...,
    seed: int | None = ..., packages: Sequence[str] = ..., export: Export = ...,
    noexport: Sequence[str] = ..., worker_init: Any = ..., convert: bool = ...,
    reduce: Callable[[list[Any]], Any] | None = ..., progress: bool | Progress = ...,
    timelimit: float | None = ..., iteration_timelimit: float | None = ..., timeout: float | None = ...,
    ftinterval: float = ..., max_crashes: int | None = ...,
    retries: int = ..., backoff: float | Sequence[float] = ..., **variables: Source,
) -> Foreach[Value, Combined[Accumulated]]: ...
@overload
def foreach(
    *iterators: Source | Variables,
    combine: Callable[[Accumulated, Value], Accumulated] | CombineName | None = ...,
    final: Callable[[Accumulated], Made],
    init: Any = ..., inorder: bool = ..., multicombine: bool | None = ..., maxcombine: int | None = ...,
    errorhandling: ErrorHandling | None = ..., chunk_size: int | Literal["auto"] = ...,
    seed: int | None = ..., packages: Sequence[str] = ..., export: Export = ...,
    noexport: Sequence[str] = ..., worker_init: Any = ..., convert: bool = ...,
    reduce: Callable[[list[Any]], Any] | None = ..., progress: bool | Progress = ...,
    timelimit: float | None = ..., iteration_timelimit: float | None = ..., timeout: float | None = ...,
    ftinterval: float = ..., max_crashes: int | None = ...,
    retries: int = ..., backoff: float | Sequence[float] = ..., **variables: Source,
) -> Foreach[Value, Combined[Made]]: ...
# fmt: on
def foreach(*iterators: Any, **arguments: Any) -> Any:
    """A loop over iterables in lock-step; the shortest ends it.

    Args:
        iterators: Iterables without a name: a Python body gets their values as positional arguments. And
            mappings of names to iterables, as in `foreach({"seed": [1, 2, 3]})`: variables whose names are
            those of options, nearly so, or no names of Python's.
        arguments: Iterables by name: the body gets their values as keyword arguments (R: as variables). In
            place of an iterable there may be a function of the variables of the loops around this one.

            And the options of R's foreach, in snake case:

            `combine`: a function, or a name: "c", "list", "rbind", "cbind", "+", "*" ...; default: a list.
            `init`, `final`, `inorder`, `multicombine`, `maxcombine`: as in R.
            `errorhandling`: "stop" (default), "remove" or "pass".

            And those of `pydoredis.loops.options.JobOptions`: `chunk_size`, `ftinterval`, `progress`,
            `packages`, `export`, `noexport`, `reduce`, `timelimit`, `retries`, `seed`, `worker_init` ...

    Raises:
        ConfigError: If there is nothing to iterate over, a variable runs over what is hardly meant (a text, a
            module), its name is nearly that of an option, or an option makes no sense.
    """
    return make_foreach(None, iterators, arguments)


def _runtime_signature() -> inspect.Signature:
    """What Python, and so IPython's completion, shows: every option, with its default."""
    kinds = inspect.Parameter
    options = [
        kinds(one.name, kinds.KEYWORD_ONLY, default=one.default, annotation=one.type)
        for one in (*fields(CombineSpec), *fields(JobOptions))
    ]
    errors = kinds("errorhandling", kinds.KEYWORD_ONLY, default=None)
    first, last = kinds("iterators", kinds.VAR_POSITIONAL), kinds("variables", kinds.VAR_KEYWORD)
    return inspect.Signature([first, *options, errors, last])


foreach.__signature__ = _runtime_signature()  # type: ignore[attr-defined]


def make_foreach(
    place: Place | None, iterators: Sequence[Any], arguments: Mapping[str, Any]
) -> Foreach[Any, Any]:
    """What `foreach` does, for a queue or for the default one."""
    spec = {name: value for name, value in arguments.items() if name in _OF_LOOPS}
    chosen = {name: value for name, value in arguments.items() if name in NAMES}
    named: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in spec and name not in chosen:
            _check_name(name, value)
            named[name] = value
    unnamed = [iterator for iterator in iterators if not isinstance(iterator, Mapping)]
    for variables in iterators:
        if isinstance(variables, Mapping):
            if twice := named.keys() & variables.keys():
                raise ConfigError("foreach", min(twice), "the name of one variable")
            named.update(variables)
    for name, source in (*((f"argument {place}", it) for place, it in enumerate(unnamed, 1)), *named.items()):
        _check_source(name, source)
    errorhandling = spec.pop("errorhandling", None)
    loop = Loop(tuple(unnamed), named, CombineSpec(**spec), errorhandling)
    JobOptions(**chosen)
    return Foreach(Plan((loop,)), (chosen,), place)


def _check_name(name: str, value: Any) -> None:
    """Refuse a variable that was probably to be an option: it would cut the loop to its own length."""
    if name in _ELSEWHERE:
        raise ConfigError(name, value, _ELSEWHERE[name])
    if meant := near(name, _ALL_NAMES):
        raise ConfigError(
            name,
            value,
            f"spelled {meant}, if that option is meant; a variable of this name is written "
            f"foreach({{{name!r}: ...}})",
        )


def _check_source(name: str, source: Any) -> None:
    """Refuse what can be iterated over and is hardly meant to be, or may be meant in more than one way."""
    if isinstance(source, (str, bytes, bytearray)):
        raise ConfigError(name, source, "a list, or list(text) if the letters are meant")
    if isinstance(source, Mapping):
        raise ConfigError(name, source, "list(x) for the keys of a mapping, x.values() or x.items()")
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        raise ConfigError(name, source, "rows(x), columns(x) or chunks(x, size) of a data frame")


def on_queue(function: Callable[Parameters, Made]) -> Callable[Concatenate[Any, Parameters], Made]:
    """`foreach` as the method of a queue."""

    def method(queue: Any, /, *iterators: Any, **arguments: Any) -> Any:
        return make_foreach(queue.place, iterators, arguments)

    method.__name__, method.__qualname__ = "foreach", "Queue.foreach"
    method.__doc__ = "A loop on this queue; see `pydoredis.foreach`."
    shown = inspect.signature(function)
    self = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = shown.replace(parameters=[self, *shown.parameters.values()])  # type: ignore[attr-defined]
    return method
