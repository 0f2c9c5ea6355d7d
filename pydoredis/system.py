"""What this operating system offers: coordinators run on any, workers and servers of ours need POSIX."""

from __future__ import annotations

import os
import platform
import select
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydoredis.errors import ConfigError

_IS_POSIX: Final = hasattr(os, "fork")


def check_runs(what: str) -> None:
    """Say what to do if what we start cannot run here.

    Args:
        what: What it is, in the plural.

    Raises:
        ConfigError: If this is Windows, which lacks the processes, signals and pipes of POSIX.
    """
    if not _IS_POSIX:
        raise ConfigError(
            "system",
            platform.system(),
            f"Linux or macOS for {what}: start them in WSL or in a container; loops may run here "
            "(docs/deployment.md)",
        )


def after_fork_in_child(act: Callable[[], object]) -> None:
    """Have every process that is forked from this one call a function first, where processes fork."""
    if _IS_POSIX:
        os.register_at_fork(after_in_child=act)


def user_number() -> str:
    """The number of the user, where users have one."""
    return str(os.getuid()) if _IS_POSIX else "unknown"


def readable(things: Sequence[Any], timeout_s: float | None = None) -> list[Any]:
    """Wait until something can be read, or a connection has ended: from which of these; none after the time.

    Args:
        things: Descriptors, or what has one, like a socket.
        timeout_s: Seconds to wait; None: for ever.
    """
    if not hasattr(select, "poll"):
        return select.select(things, [], [], timeout_s)[0]
    # A program with a thousand open files has descriptors that `select` does not take.
    poll = select.poll()
    for thing in things:
        poll.register(thing, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}
    return [thing for thing in things if (thing if isinstance(thing, int) else thing.fileno()) in ready]
