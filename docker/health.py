"""Tells the container engine whether the worker can work: Redis answers, and the agent has executors.

It knows the settings that the container's environment gives, not those of a command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydoredis.admin import Admin
from pydoredis.errors import DoRedisError
from pydoredis.settings import ConnectionSettings


def executors() -> int:
    """How many executor processes there are in this container."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has just ended
        count += b"pydoredis.worker.executor" in arguments
    return count


def main() -> None:
    """End with status 1 and a reason if something is wrong."""
    try:
        with Admin(ConnectionSettings.load()) as admin:
            admin.check()
    except DoRedisError as error:
        sys.exit(str(error))
    if executors() == 0:
        sys.exit("the agent has no executors (yet)")


if __name__ == "__main__":
    main()
