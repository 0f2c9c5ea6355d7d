"""Exit codes, and how errors end a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer

from pydoredis.errors import ConfigError, DoRedisError, StoreUnavailable


class ExitCode(IntEnum):
    """What the exit status of a command says."""

    OK = 0
    FAILED = 1
    USAGE = 2  # Click's own code for bad arguments
    REDIS_UNREACHABLE = 3
    INTERRUPTED = 128 + signal.SIGINT


def fail(message: str, code: ExitCode) -> NoReturn:
    """Say on standard error what is wrong, and end."""
    typer.echo(f"pydoredis: {message}", err=True)
    sys.exit(code)


def fail_without(packages: Collection[str], error: ImportError, message: str) -> NoReturn:
    """End because a package of an extra is not installed; any other error of an import goes on.

    Args:
        packages: What the extra brings.
        error: The error.
        message: How to install it.
    """
    if (error.name or "").partition(".")[0] not in packages:
        raise error
    fail(message, ExitCode.FAILED)


@contextmanager
def errors_end_the_command() -> Iterator[None]:
    """Turn our errors into a line on standard error and an exit code; others keep their traceback."""
    try:
        yield
    except StoreUnavailable as error:
        fail(
            f"{error}\nIs a Redis server running there? `pydoredis server` starts one; "
            "--url or PYDOREDIS_URL says where it is.",
            ExitCode.REDIS_UNREACHABLE,
        )
    except ConfigError as error:
        fail(str(error), ExitCode.USAGE)
    except DoRedisError as error:
        fail(str(error), ExitCode.FAILED)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
