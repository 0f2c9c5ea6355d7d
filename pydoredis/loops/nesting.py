"""Loops in loops: which iterations there are, and which value belongs to which loop.

R's `foreach(i = …) %:% foreach(j = …) %:% when(…)` is a `Plan` of two `Loop`s. A `Nest` runs a plan once: it
gives the iterations, lazily, in an order that numbers them from 1, and takes their values in any order. The
values of each inner loop are combined as soon as the loop is complete, and the result is a value of the loop
around it.
"""

from __future__ import annotations

import contextlib
import enum
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from pydoredis.combine.accumulate import Accumulator, CombineSpec, ErrorHandling, Failure
from pydoredis.errors import ConfigError
from pydoredis.loops.iterators import is_at_hand, known_size

if TYPE_CHECKING:
    from pydoredis.protocol.codec import Arguments

Source: TypeAlias = Iterable[Any] | Callable[..., Iterable[Any]]
"""What a loop's variable runs over, or a function of the outer loops' variables that gives it."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One foreach: its variables, what becomes of its values, and which iterations are left out.

    Attributes:
        positional: What the variables without a name run over. All variables go in lock-step; the loop ends
            with the first that has no more.
        named: What the variables with a name run over.
        spec: What becomes of the values.
        errorhandling: "stop", "remove" or "pass"; None if nothing was said, which means "stop".
        when: An iteration takes place if all these give true for its variables and those of the loops around
            it. Like a source that is a function of the variables around it, they get those without a name,
            and of those with a name the ones that are among their parameters.

    Raises:
        ConfigError: If there is no variable, or one has nothing to run over.
    """

    positional: tuple[Source, ...] = ()
    named: Mapping[str, Source] = field(default_factory=dict)
    spec: CombineSpec = field(default_factory=CombineSpec)
    errorhandling: ErrorHandling | None = None
    when: tuple[Callable[..., Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.positional and not self.named:
            raise ConfigError("foreach", (), "given something to iterate over")
        for name, source in self._sources():
            if not is_iterable(source) and not callable(source):
                raise ConfigError(
                    name, source, "an iterable (icount(n) counts to n), or a function of the outer variables"
                )
        Accumulator(self.spec, self.errorhandling or "stop")  # complains of what it could not use

    def _sources(self) -> Iterator[tuple[str, Source]]:
        for position, source in enumerate(self.positional, 1):
            yield f"argument {position}", source
        yield from self.named.items()

    def size(self) -> int | None:
        """How many iterations there are, if that can be told without counting: None if not."""
        if self.when:
            return None
        sizes = [_size(source) for _, source in self._sources()]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes) or min(known) == math.inf:
            return None
        return int(min(known))

    def is_at_hand(self) -> bool:
        """Whether taking the next iteration never waits and runs no user code."""
        return not self.when and all(is_at_hand(source) for _, source in self._sources())

    def one_shot(self) -> bool:
        """Whether a variable runs over an iterator, which can be read only once."""
        return any(isinstance(source, Iterator) for _, source in self._sources())

    def repeatable(self) -> Loop:
        """This loop, to be gone through more than once: iterators are read on, and complain when used up."""
        if not self.one_shot():
            return self
        sources = {
            name: _ReadOn(name, source) if isinstance(source, Iterator) else source
            for name, source in self._sources()
        }
        named = {name: sources[name] for name in self.named}
        return replace(self, positional=tuple(sources.values())[: len(self.positional)], named=named)

    def elements(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Arguments]:
        """The variables of each iteration, with those of the loops around it, `args` and `kwargs`.

        A variable hides one of the same name further out.
        """
        positional = [_opened(source, args, kwargs) for source in self.positional]
        named = [_opened(source, args, kwargs) for source in self.named.values()]
        predicates = [_asking(predicate) for predicate in self.when]
        width, names = len(positional), tuple(self.named)
        for values in zip(*positional, *named, strict=False):
            here = args + values[:width]
            all_named = dict(kwargs)
            all_named.update(zip(names, values[width:], strict=True))
            if not predicates or all(predicate(here, all_named) for predicate in predicates):
                yield here, all_named


@dataclass(frozen=True, slots=True)
class Plan:
    """Loops in loops, the outermost first."""

    loops: tuple[Loop, ...]

    def nest(self, inner: Plan) -> Plan:
        """These loops around those of `inner`; R's `%:%`."""
        return Plan(self.loops + inner.loops)

    def when(self, predicate: Callable[..., Any]) -> Plan:
        """Only iterations for whose variables `predicate` is true; R's `%:% when(…)`."""
        last = self.loops[-1]
        return Plan((*self.loops[:-1], replace(last, when=(*last.when, predicate))))

    @property
    def errorhandling(self) -> ErrorHandling:
        """What the whole nest does with a failure: as the outermost loop says that says anything, as in R."""
        return next((loop.errorhandling for loop in self.loops if loop.errorhandling is not None), "stop")

    def names_in_python(self) -> frozenset[str]:
        """Variables that conditions, and sources of inner loops, take as parameters."""
        functions = [
            function
            for loop in self.loops
            for function in (*loop.when, *loop.positional, *loop.named.values())
            if not is_iterable(function)
        ]
        names: set[str] = set()
        for function in functions:
            with contextlib.suppress(ValueError):  # written in C
                names.update(inspect.signature(cast("Callable[..., Any]", function)).parameters)
        return frozenset(names)

    def is_at_hand(self) -> bool:
        """Whether taking the next iteration never waits and runs no user code."""
        return all(loop.is_at_hand() for loop in self.loops)

    def combines_by_function(self) -> bool:
        """Whether a function of the user's is called with values before all iterations have been."""
        return any(callable(loop.spec.combine) for loop in self.loops)

    def size(self) -> int | None:
        """How many iterations there are in all, if that can be told without counting them."""
        if any(loop.one_shot() for loop in self.loops[1:]):
            return None
        sizes = [loop.size() for loop in self.loops]
        known = [size for size in sizes if size is not None]
        return math.prod(known) if len(known) == len(sizes) else None


@dataclass(slots=True, eq=False)
class _Run:
    """A loop on its way: once for each iteration of the loop around it."""

    accumulator: Accumulator
    depth: int
    parent: _Run | None
    number: int  # of the parent's iteration that this is
    issued: int = 0
    arrived: int = 0
    ended: bool = False  # whether all iterations are issued

    def is_complete(self) -> bool:
        return self.ended and self.arrived == self.issued


class Turn(enum.Enum):
    """Where a walk through loops in loops enters an inner loop or leaves a loop."""

    ENTER = "enter"
    LEAVE = "leave"


Step: TypeAlias = "Arguments | Literal[Turn.ENTER, Turn.LEAVE]"
"""One step of a walk: an iteration of the innermost loop, by its variables, or a turn."""


class Nest:
    """One run of a plan: gives iterations, takes their values, in any order and in between.

    ::

        nest = Nest(plan)
        for number, (args, kwargs) in enumerate(nest, 1):
            nest.add(number, body(*args, **kwargs))
        value = nest.result()

    It keeps the iterations that were given and have not come back, and what the accumulators keep. Only
    `steps` may be used in another thread than the rest: there, and nowhere else, users' iterators are read.

    Attributes:
        failure: The first failure that arrived and that ends the whole nest, or None: raise its error. Its
            number counts through all loops.
    """

    def __init__(self, plan: Plan) -> None:
        self.failure: Failure | None = None
        self._plan = plan
        self._loops = [*plan.loops[:1], *(loop.repeatable() for loop in plan.loops[1:])]
        self._issued = 0
        self._owners: dict[int, tuple[_Run, int]] = {}
        self._outermost = self._begin(0, None)
        self._current = self._outermost

    def is_at_hand(self) -> bool:
        """Whether `steps` never waits and runs no user code."""
        return self._plan.is_at_hand()

    def steps(self) -> Iterator[Step]:
        """A walk through the loops, to be done once. Each step is to be given to `issue`, in this order.

        Raises:
            ConfigError: If an inner loop needs an iterator again that is used up.
            Exception: Whatever sources and predicates raise.
        """
        return self._walk(0, (), {})

    def issue(self, step: Step) -> Arguments | None:
        """Note a step; what the body is called with, if it is an iteration.

        Raises:
            Exception: Whatever the combine functions of an inner loop raise that this step completes.
        """
        run = self._current
        if step is Turn.ENTER:
            run.issued += 1
            self._current = self._begin(run.depth + 1, run)
            return None
        if step is Turn.LEAVE:
            run.ended = True
            self._current = run.parent or run
            self._pass_on(run)
            return None
        run.issued += 1
        self._issued += 1
        self._owners[self._issued] = run, run.issued
        return step

    def __iter__(self) -> Iterator[Arguments]:
        """What the body is called with, for each iteration. Raises what `steps` and `issue` raise."""
        for step in self.steps():
            arguments = self.issue(step)
            if arguments is not None:
                yield arguments

    def add(self, number: int, value: Any) -> None:
        """The value of iteration `number` is here.

        Raises:
            ValueError: If no such iteration is under way.
            Exception: Whatever a combine function raises, or the `final` of an inner loop.
        """
        run, place = self._owner(number)
        run.accumulator.add(place, value)
        self._arrived(run)

    def add_failure(self, number: int, error: BaseException) -> None:
        """Iteration `number` raised `error`. Raises what `add` raises."""
        run, place = self._owner(number)
        run.accumulator.add_failure(place, error)
        if self.failure is None and run.accumulator.failure and self._plan.errorhandling == "stop":
            self.failure = Failure(error, number)
        self._arrived(run)

    def skip(self, number: int) -> None:
        """Iteration `number` has no value, and that is no failure. Raises what `add` raises."""
        run, place = self._owner(number)
        run.accumulator.skip(place)
        self._arrived(run)

    def is_complete(self) -> bool:
        """Whether all iterations have been given and have come back."""
        return self._outermost.is_complete()

    def result(self) -> Any:
        """The value of the whole nest.

        An inner loop without iterations has the value that `Accumulator.finish` tells, and counts.

        Raises:
            ValueError: If it is not complete.
            Exception: Whatever the last calls of `combine`, and `final`, raise.
        """
        if not self.is_complete():
            raise ValueError(f"{len(self._owners)} of {self._issued} iterations given so far are not back")
        return self._outermost.accumulator.finish(self._outermost.issued)

    def _begin(self, depth: int, parent: _Run | None) -> _Run:
        loop = self._loops[depth]
        accumulator = Accumulator(loop.spec, loop.errorhandling or "stop")
        return _Run(accumulator, depth, parent, parent.issued if parent else 0)

    def _walk(self, depth: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Step]:
        """The steps of the loop at `depth`, with `args` and `kwargs` from the loops around it."""
        innermost = depth == len(self._loops) - 1
        for here, named in self._loops[depth].elements(args, kwargs):
            if innermost:
                yield here, named
            else:
                yield Turn.ENTER
                yield from self._walk(depth + 1, here, named)
        yield Turn.LEAVE

    def _owner(self, number: int) -> tuple[_Run, int]:
        try:
            return self._owners.pop(number)
        except KeyError:
            raise ValueError(f"iteration {number} was not given, or has come back before") from None

    def _arrived(self, run: _Run) -> None:
        run.arrived += 1
        self._pass_on(run)

    def _pass_on(self, run: _Run) -> None:
        """Hand the values of loops that are complete to the loops around them."""
        while run.parent is not None and run.is_complete():
            run.parent.accumulator.add(run.number, run.accumulator.finish(run.issued))
            run.parent.arrived += 1
            run = run.parent


def is_iterable(source: Any) -> bool:
    """Whether a loop can run over it."""
    if isinstance(source, np.ndarray):
        return source.ndim > 0
    return isinstance(source, Iterable) or hasattr(type(source), "__getitem__")


def _size(source: Source) -> float | None:
    return known_size(cast("Iterable[Any]", source)) if is_iterable(source) else None


def _opened(source: Source, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    if is_iterable(source):
        return iter(cast("Iterable[Any]", source))
    return iter(_asking(cast("Callable[..., Iterable[Any]]", source))(args, kwargs))


def _asking(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Any]:
    """How to call a function of the loops' variables with those that it wants."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # written in C
        return lambda args, kwargs: function(*args, **kwargs)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return lambda args, kwargs: function(*args, **kwargs)
    wanted = frozenset(parameter.name for parameter in parameters)

    def ask(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return function(*args, **{name: value for name, value in kwargs.items() if name in wanted})

    return ask


class _ReadOn:
    """An iterator of an inner loop: each time the loop begins anew it is read on, as in R.

    In R a loop whose iterator is used up silently has no iterations. Here that is an error.
    """

    def __init__(self, name: str, iterator: Iterator[Any]) -> None:
        self._name = name
        self._iterator = iterator
        self._gave = False

    def __iter__(self) -> Iterator[Any]:
        gave_before, gave = self._gave, False
        for value in self._iterator:
            self._gave = gave = True
            yield value
        if gave_before and not gave:
            raise ConfigError(
                self._name,
                self._iterator,
                "something that can be iterated over again, like a list, or a function that returns an "
                "iterator: the outer loop needs it once more, and it is used up",
            )
