"""macOS, as our own modules see it: POSIX without what Linux alone has, and without its special files."""

from __future__ import annotations

import os
import selectors
import sys
from types import FrameType
from typing import Any

from tests.systems import masks

LINUX_ONLY = ("/proc", "/sys/fs", "/dev/shm")


def begin() -> None:
    """To be called before anything of ours is imported."""
    masks.put_on(
        "darwin",
        os={"access": _access, "stat": _stat},
        platform={"system": lambda: "Darwin"},
        selectors={"DefaultSelector": selectors.PollSelector},
    )
    sys.addaudithook(_hide)


def _is_hidden(path: object) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(LINUX_ONLY)


def _hide(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and _is_hidden(arguments[0]) and _is_asked_by_us():
        raise FileNotFoundError(2, "No such file or directory", arguments[0])


def _is_asked_by_us() -> bool:
    """Whether a module of ours comes before one that has a way of its own for each system."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).split(".")[0]
        if package in ("pydoredis", "rinterop", "tests", "threadpoolctl"):
            return package in ("pydoredis", "rinterop")
        frame = frame.f_back
    return False


def _access(path: Any, mode: int, **options: Any) -> bool:
    return not _is_hidden(path) and os.access(path, mode, **options)


def _stat(path: Any, **options: Any) -> os.stat_result:
    if _is_hidden(path):
        raise FileNotFoundError(2, "No such file or directory", path)
    return os.stat(path, **options)
