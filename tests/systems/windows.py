"""Windows, as our own modules see it: no fork, no POSIX signals, `select` for sockets alone."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import stat
from typing import Any

from tests.systems import masks

SIGNALS = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")
"""Those that can be handled there."""


def begin() -> None:
    """To be called before anything of ours is imported."""
    masks.put_on(
        "win32",
        os={"name": "nt"},
        platform={"system": lambda: "Windows"},
        select={"select": _select},
        signal={"signal": _signal},
        ctypes={"CDLL": _library},
        getpass={"getuser": _no_user},
    )


def _select(reading: Any, writing: Any, failing: Any, timeout: float | None = None) -> Any:
    for each in (*reading, *writing, *failing):
        descriptor = each if isinstance(each, int) else each.fileno()
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(10038, "An operation was attempted on something that is not a socket")
    return select.select(reading, writing, failing, timeout)


def _signal(number: int, handler: Any) -> Any:
    if number not in [getattr(signal, name) for name in SIGNALS]:
        raise ValueError("invalid signal value")
    return signal.signal(number, handler)


def _library(name: str | None, *arguments: Any, **options: Any) -> Any:
    if name is None:
        raise TypeError("argument of type 'NoneType' is not iterable")
    return ctypes.CDLL(name, *arguments, **options)


def _no_user() -> str:
    """With no user's name in the environment, `getpass` looks for it in a module that is not there."""
    raise ModuleNotFoundError("No module named 'pwd'", name="pwd")
