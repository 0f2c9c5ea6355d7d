"""Fold the values of a loop into one as they arrive: combine, init, final, inorder, multicombine, errors.

The rules are those of R's foreach (`callCombine` in foreach 1.5.2), down to which values go into which call
of the combine function. Other than in R, what the combine function raises is raised.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydoredis.combine.functions import Combine, resolve
from pydoredis.errors import ConfigError

ErrorHandling = Literal["stop", "remove", "pass"]
ERROR_HANDLINGS: Final = get_args(ErrorHandling)

MULTICOMBINE_SIZE: Final = 100
"""How many values a call gets at most with `multicombine`, unless `maxcombine` says otherwise; as in R."""


class Missing(enum.Enum):
    """The type of `MISSING`."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""No value, where None would be one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An iteration that has an error instead of a value.

    Attributes:
        error: What was raised.
        number: The iteration's number, counted from 1.
    """

    error: BaseException
    number: int


@dataclass(frozen=True, slots=True)
class CombineSpec:
    """What is to become of a loop's values.

    Attributes:
        combine: A function of what is accumulated and the next value(s), or of the list of all values; a name
            (see `pydoredis.combine.functions.resolve`); or None for a list of all values.
        init: What is accumulated before the first value. It is copied where that is possible, so that a
            function that changes its first argument in place does no harm to another loop.
        final: Called with what is accumulated in the end; gives the loop's value.
        inorder: Whether values are combined in the order of their iterations, rather than as they arrive.
        multicombine: Whether `combine` takes more than two values at a time; None: whether it is known to.
        maxcombine: How many values `combine` gets at most, the accumulated one counted. Without it 100 with
            `multicombine`, else 2. As in R, it counts without `multicombine`, too.

    Raises:
        ConfigError: If `combine` is an unknown name, `maxcombine` is below 2, `final` is no function, or
            there is an `init` without a `combine`.
    """

    combine: Callable[..., Any] | str | None = None
    init: Any = MISSING
    final: Callable[[Any], Any] | None = None
    inorder: bool = True
    multicombine: bool | None = None
    maxcombine: int | None = None

    def __post_init__(self) -> None:
        self.resolved()
        if self.combine is None and self.init is not MISSING:
            raise ConfigError("init", self.init, "given together with combine")
        if self.final is not None and not callable(self.final):
            raise ConfigError("final", self.final, "a function of one value")
        if self.maxcombine is not None and self.maxcombine < 2:
            raise ConfigError("maxcombine", self.maxcombine, "at least 2")

    def resolved(self) -> Combine:
        """The combine function."""
        return resolve(self.combine)

    def group_size(self) -> int:
        """How many values one call gets at most, the accumulated one counted."""
        if self.maxcombine is not None:
            return self.maxcombine
        multicombine = self.resolved().multicombine if self.multicombine is None else self.multicombine
        return MULTICOMBINE_SIZE if multicombine else 2


class Accumulator:
    """Takes the values of one loop, each with its iteration's number (from 1), and combines them.

    A combine function gets as many values as it may at a time: first up to `maxcombine`, then what is
    accumulated and up to `maxcombine - 1`. Failures that are left out take a place in their group, as in R.
    With `inorder`, values wait for those before them; nothing else is kept.

    Args:
        spec: What is to become of the values.
        errorhandling: What is to become of failures: "pass" hands the exception to the combine function as a
            value; "remove" leaves it out, and so does "stop", after which the caller stops, see `failure`.

    Attributes:
        failure: The first failure that arrived and was left out, or None.

    Raises:
        ConfigError: If `errorhandling` is something else.
    """

    def __init__(self, spec: CombineSpec, errorhandling: ErrorHandling = "stop") -> None:
        if errorhandling not in ERROR_HANDLINGS:
            raise ConfigError("errorhandling", errorhandling, f"one of {', '.join(ERROR_HANDLINGS)}")
        self.failure: Failure | None = None
        self._errorhandling = errorhandling
        self._inorder = spec.inorder
        self._final = spec.final
        self._combine = spec.resolved()
        self._group_size = spec.group_size()
        self._accumulated: Any = _first_value(spec)
        self._group: list[Any] = []
        self._places = 0  # in the group, with those of failures
        self._combined = 0
        self._arrived = 0
        self._next = 1
        self._waiting: dict[int, Any] = {}

    def add(self, number: int, value: Any) -> None:
        """The value of iteration `number` is here.

        Raises:
            ValueError: With `inorder`, if that iteration was here before.
            Exception: Whatever the combine function raises. The accumulator is of no use afterwards.
        """
        self._arrived += 1
        if not self._inorder:
            self._take(value)
            return
        if number != self._next:
            if number < self._next or number in self._waiting:
                raise ValueError(f"iteration {number} came twice")
            self._waiting[number] = value
            return
        self._take(value)
        self._next += 1
        while self._next in self._waiting:
            self._take(self._waiting.pop(self._next))
            self._next += 1

    def add_failure(self, number: int, error: BaseException) -> None:
        """Iteration `number` raised `error`. Raises what `add` raises."""
        if self._errorhandling == "pass":
            self.add(number, error)
            return
        if self.failure is None:
            self.failure = Failure(error, number)
        self.skip(number)

    def skip(self, number: int) -> None:
        """Iteration `number` has no value, and that is no failure. Raises what `add` raises."""
        self.add(number, MISSING)

    def finish(self, total: int) -> Any:
        """The value of the loop, all of whose `total` iterations have arrived.

        Without any value this is `init`, an empty list or dict for the names that collect into one, and None
        (R's NULL) otherwise; `final` is called with it all the same.

        Raises:
            ValueError: If not all have arrived, or more.
            Exception: Whatever the combine function or `final` raises.
        """
        if self._arrived != total or self._waiting:
            raise ValueError(f"{self._arrived} of {total} iterations have arrived")
        self._fold()
        result = None if self._accumulated is MISSING else self._accumulated
        if self._combine.at_end is not None:
            result = self._combine.at_end(result) if result else None
        return result if self._final is None else self._final(result)

    def _take(self, value: Any) -> None:
        """Put the next value, in the order of combining, into its group."""
        self._places += 1
        if value is not MISSING:
            self._group.append(value)
        if self._places >= self._room():
            self._fold()

    def _room(self) -> int:
        """How many values the next call of the combine function gets."""
        size = self._group_size - (self._accumulated is not MISSING)
        # Where groups make no difference they grow with what is there. Copying that each time then costs,
        # all in all, no more than a constant number of copies of each value.
        return max(size, self._combined) if self._combine.concatenates else size

    def _fold(self) -> None:
        """Combine the group with what is accumulated."""
        values, self._group, self._places = self._group, [], 0
        if not values:
            return
        self._combined += len(values)
        if self._accumulated is not MISSING:
            self._accumulated = self._combine.call(self._accumulated, *values)
        elif len(values) == 1 and not self._combine.concatenates:
            self._accumulated = values[0]
        else:
            self._accumulated = self._combine.call(*values)


def _first_value(spec: CombineSpec) -> Any:
    """What is accumulated before the first value; MISSING if that is the first value itself."""
    combine = spec.resolved()
    if spec.init is MISSING:
        return MISSING if combine.start is None else combine.start()
    try:
        first = copy.deepcopy(spec.init)
    except TypeError:
        first = spec.init  # a connection, a lock: nothing that could be copied
    return first if combine.at_end is None else [first]
