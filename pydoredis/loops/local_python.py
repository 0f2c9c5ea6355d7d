"""Python bodies in this process: what `do` runs them with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

from pydoredis.iteration import streams
from pydoredis.iteration.variables import Globals
from pydoredis.loops.bodies import python_seed
from pydoredis.loops.exports import Exports
from pydoredis.loops.options import JobOptions


class LocalPython:
    """Calls a Python body: with its exports, and seeded as a worker would.

    Args:
        body: The body.
        options: Of its loop.
        alone: Whether no other code of the user's runs between iterations. Then the program's own random
            numbers are put back after the last one, which is a hundred times cheaper than after each.
    """

    def __init__(self, body: Callable[..., Any], options: JobOptions, *, alone: bool = False) -> None:
        self.seed = python_seed(options)
        self._alone = alone
        self._outside = ExitStack()
        self._body = body
        self._options = options
        self._globals = Globals(body, Exports.of(options.export).variables)

    def __enter__(self) -> LocalPython:
        for name in self._options.packages:
            importlib.import_module(name)
        self._globals.__enter__()
        if self._options.worker_init is not None:
            self._options.worker_init()
        if self._alone:
            self._outside.enter_context(streams.preserved())
        return self

    def __exit__(self, *_: object) -> None:
        self._outside.close()
        self._globals.__exit__()

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of one iteration; raises its error."""
        with nullcontext() if self._alone else streams.preserved():
            streams.seed_iteration(self.seed, number)
            return self._body(*args, **kwargs)
