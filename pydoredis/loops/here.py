"""A loop in this process, one iteration after the other: `%do%`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from pydoredis.coordinator.progress import Report, reporter
from pydoredis.coordinator.retries import NO_RETRIES, Retries
from pydoredis.coordinator.run import task_error
from pydoredis.loops.nesting import Nest
from pydoredis.pickles.raised import without_our_frames
from pydoredis.protocol.codec import Arguments

REPORT_S = 0.1
"""Seconds between two reports of progress."""


class Local(Protocol):
    """Runs a body in this process."""

    @property
    def seed(self) -> int:
        """What the random numbers depend on."""
        ...

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of one iteration; raises its error."""
        ...


def run_here(
    nest: Nest,
    bind: Callable[[Arguments], Arguments],
    local: Local,
    total: int | None,
    progress: bool | Report = False,
    retries: Retries = NO_RETRIES,
) -> Any:
    """Run a loop and return its value.

    Args:
        nest: Gives the iterations and takes their values.
        bind: Makes what the body is called with of the variables of an iteration.
        local: Calls it.
        total: How many iterations there are, if that is known.
        progress: Told about progress, or whether it is shown.
        retries: Whether iterations that failed are run again.

    Raises:
        TaskError: If an iteration failed and errors are to stop the loop.
        Exception: Whatever a combine function raised.
    """
    number, reported_s = 0, 0.0
    with reporter(progress, total) as report:
        for number, variables in enumerate(nest, 1):
            arguments = bind(variables)
            try:
                value = _call(local, number, arguments, retries)
            except Exception as error:
                nest.add_failure(number, without_our_frames(error))
                if nest.failure is not None:
                    failure = task_error(None, number, error, local.seed)
                    raise failure from failure.__cause__
            else:
                nest.add(number, value)
            if report is not None and time.monotonic() > reported_s + REPORT_S:
                reported_s = time.monotonic()
                report(number, total)
        if report is not None:
            report(number, number)
    return nest.result()


def _call(local: Local, number: int, arguments: Arguments, retries: Retries) -> Any:
    """The value of one iteration; raises the error that it ends with."""
    args, kwargs = arguments
    failures = 0
    while True:
        try:
            return local.call(number, args, kwargs)
        except Exception as error:
            failures += 1
            pause_s = retries.pause_s(failures, error)
            if pause_s is None:
                raise
        time.sleep(pause_s)
