"""Python bodies in this process: what `do` runs them with."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from pydoredis import streams
from pydoredis.bodies import python_seed
from pydoredis.exports import Exports, Globals
from pydoredis.job_options import JobOptions


class LocalPython:
    """Calls a Python body: with its exports, and seeded as a worker would."""

    def __init__(self, body: Callable[..., Any], options: JobOptions) -> None:
        self.seed = python_seed(options)
        self._body = body
        self._options = options
        self._globals = Globals(body, Exports.of(options.export).variables)

    def __enter__(self) -> LocalPython:
        for name in self._options.packages:
            importlib.import_module(name)
        self._globals.__enter__()
        if self._options.worker_init is not None:
            self._options.worker_init()
        return self

    def __exit__(self, *_: object) -> None:
        self._globals.__exit__()

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of one iteration; raises its error."""
        with streams.preserved():
            streams.seed_iteration(self.seed, number)
            return self._body(*args, **kwargs)
