"""Releases of Debian that tests are run on, each with its R and its Python."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """A release of Debian.

    Attributes:
        release: Its name.
        python: Its Python.
        extra: The extra with the rpy2 for its R.
        redis: Its Redis.
    """

    release: str
    python: str
    extra: str
    redis: str


SYSTEMS = {
    each.release: each
    for each in (
        System("bookworm", "3.11", "r", "redis-7.0"),
        System("trixie", "3.13", "r45", "redis-8.0"),
        System("sid", "3.14", "r45", "redis-8.0"),
    )
}

VARIABLE = "PYDOREDIS_SYSTEM"
"""Of the environment: of which one the machines of the suite are made (`make integration SYSTEM=sid`)."""


def chosen() -> System:
    """The one that machines are made of; by default the first.

    Raises:
        RuntimeError: If there is none of that name.
    """
    name = os.environ.get(VARIABLE) or next(iter(SYSTEMS))
    if name not in SYSTEMS:
        raise RuntimeError(f"{VARIABLE}: there is no system {name!r}, but {', '.join(SYSTEMS)}")
    return SYSTEMS[name]
