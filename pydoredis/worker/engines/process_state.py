"""What bodies change of their process, put back between jobs: directory, environment, signal handlers ...

Every job finds the process as it was when it started, or as the job itself has left it. What cannot be put
back is told in docs/python.md.
"""

from __future__ import annotations

import contextlib
import decimal
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from pydoredis.worker.engines.library_threads import LibraryThreads

State: TypeAlias = Mapping[str, Any]
"""Values of all facets, by their names."""

Facet: TypeAlias = tuple[Callable[[], Any], Callable[[Any], object]]
"""Reads a part of the state, and writes it."""


def capture() -> State:
    """The state of this process."""
    return {name: read() for name, (read, _) in FACETS.items()}


def change(now: State, then: State) -> None:
    """Bring the process from the state in which it is into another one, as far as that is possible."""
    for name, (_, write) in FACETS.items():
        if now[name] != then[name]:
            # A hard limit that was lowered, a directory that was removed: bodies have to live with that.
            with contextlib.suppress(Exception):
                write(then[name])


def _directory() -> str | None:
    with contextlib.suppress(OSError):
        return os.getcwd()
    return None


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _environment() -> dict[bytes, bytes]:
    # Its own dict: to decode each variable takes longer than the rest of the state.
    return dict(os.environ._data)  # type: ignore[attr-defined]


def _set_environment(saved: Mapping[bytes, bytes]) -> None:
    had = os.environb.get(b"TZ")
    for name in os.environb.keys() - saved.keys():
        del os.environb[name]
    for name, value in saved.items():
        if os.environb.get(name) != value:
            os.environb[name] = value
    if had != saved.get(b"TZ"):
        time.tzset()


_SIGNALS = [*map(int, signal.Signals)]
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


# Without the enum that the module makes of each: that takes ten times as long.
_handler = getattr(signal.getsignal, "__wrapped__", signal.getsignal)


def _handlers() -> list[Any]:
    return [*map(_handler, _SIGNALS)]


def _set_handlers(saved: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, saved, strict=True):
        if handler is not None and _handler(number) != handler:
            signal.signal(number, handler)


def _timers() -> list[tuple[float, float]]:
    return [*map(signal.getitimer, _TIMERS)]


def _set_timers(saved: list[tuple[float, float]]) -> None:
    for timer, (seconds, interval) in zip(_TIMERS, saved, strict=True):
        signal.setitimer(timer, seconds, interval)


_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})


def _limits() -> list[tuple[int, int]]:
    return [*map(resource.getrlimit, _LIMITS)]


def _set_limits(saved: list[tuple[int, int]]) -> None:
    for limit, (soft, hard) in zip(_LIMITS, saved, strict=True):
        with contextlib.suppress(ValueError):  # the hard limit was lowered, which is for good
            resource.setrlimit(limit, (soft, hard))


def _filters() -> tuple[list[Any], Any]:
    return [*warnings.filters], warnings.showwarning


def _set_filters(saved: tuple[list[Any], Any]) -> None:
    warnings.filters[:], warnings.showwarning = saved  # type: ignore[index]
    with warnings.catch_warnings():
        pass  # has Python forget what it has concluded from other filters


def _logging() -> tuple[Any, ...]:
    root = logging.root
    return root.level, root.disabled, [*root.handlers], root.manager.disable


def _set_logging(saved: tuple[Any, ...]) -> None:
    root = logging.root
    root.level, root.disabled, root.handlers[:] = saved[:3]
    logging.disable(saved[3])  # which has all loggers forget their levels


def _system() -> tuple[Any, ...]:
    hooks = sys.excepthook, sys.displayhook, sys.unraisablehook
    return sys.stdin, sys.stdout, sys.stderr, [*sys.path], [*sys.argv], hooks


def _set_system(saved: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.path[:], sys.argv[:], hooks = saved
    sys.excepthook, sys.displayhook, sys.unraisablehook = hooks


def _garbage_collection() -> tuple[bool, tuple[int, int, int]]:
    return gc.isenabled(), gc.get_threshold()


def _set_garbage_collection(saved: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if saved[0] else gc.disable)()
    gc.set_threshold(*saved[1])


def _traces() -> tuple[Any, Any]:
    return sys.gettrace(), sys.getprofile()


def _set_traces(saved: tuple[Any, Any]) -> None:
    sys.settrace(saved[0])
    sys.setprofile(saved[1])


@dataclass(frozen=True, slots=True)
class _Decimals:
    """A context, and its text: contexts themselves are never equal."""

    text: str
    context: decimal.Context = field(compare=False)


def _decimals() -> _Decimals:
    context = decimal.getcontext()
    return _Decimals(repr(context), context.copy())


def _set_numpy_errors(saved: tuple[dict[str, Any], Any]) -> None:
    np.seterr(**saved[0])
    np.seterrcall(saved[1])


def _loops() -> tuple[Any, dict[str, Any]]:
    """Which queue is registered, and which options were set, for loops inside of bodies."""
    registered, options = map(sys.modules.get, _OF_LOOPS)
    return registered and registered.chosen_place(), options.session_options() if options else {}


def _set_loops(saved: tuple[Any, dict[str, Any]]) -> None:
    registered, options = map(sys.modules.get, _OF_LOOPS)  # executors start without them
    if registered:
        registered.set_registered(saved[0])
    if options:
        options.set_session_options(saved[1])


_OF_LOOPS = "pydoredis.registered", "pydoredis.loops.options"


def _set_print_options(saved: dict[str, Any]) -> None:
    np.set_printoptions(**saved)


_library_threads = LibraryThreads()

FACETS: dict[str, Facet] = {
    "directory": (_directory, os.chdir),
    "umask": (_umask, os.umask),
    "environment": (_environment, _set_environment),
    "timers": (_timers, _set_timers),  # before the handlers, whose default would end the process
    "signal handlers": (_handlers, _set_handlers),
    "resource limits": (_limits, _set_limits),
    "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda saved: locale.setlocale(locale.LC_ALL, saved)),
    "system": (_system, _set_system),
    "traces": (_traces, _set_traces),
    "recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "switch interval": (sys.getswitchinterval, sys.setswitchinterval),
    "garbage collection": (_garbage_collection, _set_garbage_collection),
    "warnings": (_filters, _set_filters),
    "logging": (_logging, _set_logging),
    "decimal context": (_decimals, lambda saved: decimal.setcontext(saved.context.copy())),
    "NumPy's errors": (lambda: (np.geterr(), np.geterrcall()), _set_numpy_errors),
    "NumPy's printing": (np.get_printoptions, _set_print_options),
    "socket timeout": (socket.getdefaulttimeout, socket.setdefaulttimeout),
    "threads of libraries": (_library_threads.read, _library_threads.write),
    "temporary directory": (lambda: tempfile.tempdir, lambda saved: setattr(tempfile, "tempdir", saved)),
    "loops": (_loops, _set_loops),
}
if sys.platform == "linux":
    FACETS["processors"] = (lambda: os.sched_getaffinity(0), lambda saved: os.sched_setaffinity(0, saved))
