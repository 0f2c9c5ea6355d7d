"""How many threads libraries use that are loaded already, as far as bodies can change it.

The environment has told them when they were loaded (`threads`). Later a body may change it in another way
(`threadpoolctl`, `pyarrow.set_cpu_count` ...), or load a library after it has changed the environment. The
limits are part of what is put back between jobs.

Numba is not among them: to ask it starts its threads, and it never uses more than its variable said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pydoredis.worker.engines.threads import GENERAL

Limits: TypeAlias = Mapping[str, int]
"""How many threads a library uses, by its name."""

_OWN_VARIABLE: Final = {
    "openblas": "OPENBLAS_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
    "blis": "BLIS_NUM_THREADS",
}
"""By names of threadpoolctl; all others of its libraries have the general one."""

_MODULES: Final = {"pyarrow": ("cpu_count", "set_cpu_count")}
"""Modules with threads that threadpoolctl does not know: what reads the number, and what sets it."""

_PROCESSORS: Final = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""More threads than that OpenBLAS does not start with, whatever the environment says."""


class LibraryThreads:
    """Looks at the libraries of this process, and changes how many threads they use.

    The usual number is the one that the environment says; where it says none, what a library used when it was
    found. `read` tells what differs from that, so that a library that is loaded later is no difference. The
    first time it need not look where the environment has a limit: no body has run yet.
    """

    def __init__(self) -> None:
        self._environment = dict(os.environ)  # as the agent made it
        self._modules = 0  # how many of Python's there were when libraries were last looked for
        self._libraries: list[Any] = []  # controllers of threadpoolctl
        self._usual: dict[str, int] = {}  # by library

    def read(self) -> Limits:
        """How many threads libraries use that do not use the usual number."""
        if not self._modules and self._environment.get(GENERAL):
            self._modules = len(sys.modules)
            return {}
        found = {name: read() for name, (read, _) in self._all().items()}
        return {name: threads for name, threads in found.items() if threads != self._usual[name]}

    def write(self, limits: Limits) -> None:
        """Have libraries use so many threads, and all others the usual number."""
        for name, (read, write) in self._all().items():
            wanted = limits.get(name, self._usual[name])
            if read() != wanted:
                write(wanted)

    def _all(self) -> dict[str, tuple[Callable[[], int], Callable[[int], object]]]:
        """What reads and what sets the number of threads, for each library that is there."""
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            self._look()
        found: dict[str, tuple[Callable[[], int], Callable[[int], object]]] = {}
        for library in self._libraries:
            found[library.filepath] = (library.get_num_threads, library.set_num_threads)
            variable = _OWN_VARIABLE.get(library.internal_api, GENERAL)
            most = _PROCESSORS if library.internal_api == "openblas" else None
            self._note(library.filepath, variable, library.num_threads, most)
        for name, (read, write) in _MODULES.items():
            module = sys.modules.get(name)
            if hasattr(module, write):  # it may be under way
                found[name] = (getattr(module, read), getattr(module, write))
                self._note(name, GENERAL, found[name][0]())
        return found

    def _look(self) -> None:
        """Find libraries that were loaded since the last time: most are with a module of Python."""
        from threadpoolctl import ThreadpoolController

        self._libraries = ThreadpoolController().lib_controllers

    def _note(self, name: str, variable: str, threads: int, most: int | None = None) -> None:
        """Note how many threads a library usually uses, if it is new: its limit, or else so many."""
        if name not in self._usual:
            limit = self._environment.get(variable) or self._environment.get(GENERAL, "")
            usual = int(limit) if limit.isdecimal() and int(limit) else threads
            self._usual[name] = usual if most is None else min(usual, most)
