"""The iterations of a job, as its coordinator sees them: calls to be made, and whose values to deliver.

How loops are nested, and what becomes of their values, is none of the coordinator's business:
`pydoredis.loops.nesting.Nest` knows, and is what programs use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pydoredis.protocol.codec import Arguments


class Outcomes(Protocol):
    """Takes the values of iterations, which are numbered from 1, in any order."""

    @property
    def failure(self) -> object:
        """The failure that ends the whole job; None as long as there is none."""
        ...

    def add(self, number: int, value: Any) -> None:
        """The value of iteration `number` is here. Raises what combine functions raise."""
        ...

    def add_failure(self, number: int, error: BaseException) -> None:
        """Iteration `number` raised `error`. Raises what `add` raises."""
        ...

    def skip(self, number: int) -> None:
        """Iteration `number` has no value, and that is no failure. Raises what `add` raises."""
        ...

    def result(self) -> Any:
        """The value of them all. Raises what combine functions raise, and ValueError if one is missing."""
        ...


class Calls(Outcomes, Protocol):
    """Gives iterations, in an order that numbers them from 1, and takes their values.

    Only `steps` may be used in another thread than the rest: there, and nowhere else, users' iterators are
    read.
    """

    def is_at_hand(self) -> bool:
        """Whether `steps` never waits and runs no user code."""
        ...

    def steps(self) -> Iterator[Any]:
        """What leads from one iteration to the next: each is to be given to `issue`, in this order.

        A generator, which can be closed. Raises whatever users' iterators raise.
        """
        ...

    def issue(self, step: Any) -> Arguments | None:
        """Note a step; the variables of the iteration, if it is one. Raises what combine functions raise."""
        ...
