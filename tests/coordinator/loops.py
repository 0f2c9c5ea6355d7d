"""Run a plan in this process: the plainest use of a nest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydoredis.loops.nesting import Nest, Plan


def run(plan: Plan, body: Callable[..., Any], window: int = 1, newest_first: bool = False) -> Any:
    """The value of the plan; raises the error that ends it.

    Args:
        plan: The loops.
        body: Called for each iteration.
        window: How many iterations are under way before values are handed back.
        newest_first: Whether the values of a window are handed back in reverse order.
    """
    nest = Nest(plan)
    under_way: list[tuple[int, Any, Exception | None]] = []

    def hand_back() -> None:
        for number, value, error in reversed(under_way) if newest_first else under_way:
            if error is None:
                nest.add(number, value)
            else:
                nest.add_failure(number, error)
        under_way.clear()

    for number, (args, kwargs) in enumerate(nest, 1):
        try:
            under_way.append((number, body(*args, **kwargs), None))
        except Exception as exc:
            under_way.append((number, None, exc))
        if len(under_way) == window:
            hand_back()
    hand_back()
    if nest.failure is not None:
        raise nest.failure.error
    return nest.result()
