"""Fixtures for pytest, which finds them by itself: loops in the test's process, and a pool for the session.

They are called `pydoredis_...`. Nothing of pydoredis is loaded for tests that use none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pydoredis.queue import Queue

WORKERS = "pydoredis_workers"
"""Option of the configuration file: how many workers the session's pool has."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of pytest's configuration file."""
    parser.addini(WORKERS, "workers of the fixture pydoredis_pool", default="2")


@pytest.fixture
def pydoredis_in_process() -> Iterator[Queue]:
    """Loops of this test run in its process, without Redis; see `pydoredis.testing.in_process`."""
    from pydoredis.testing import in_process

    with in_process() as queue:
        yield queue


@pytest.fixture(scope="session")
def pydoredis_pool(pytestconfig: pytest.Config) -> Iterator[Queue]:
    """A queue with workers on a private Redis, for the whole session; see `pydoredis.testing.pool`."""
    from pydoredis.testing import pool

    workers = str(pytestconfig.getini(WORKERS))
    if not (workers.isdecimal() and int(workers)):
        raise pytest.UsageError(f"{WORKERS} = {workers}: must be a number of workers from 1 on")
    with pool(int(workers)) as queue:
        yield queue


@pytest.fixture
def pydoredis_queue(pydoredis_pool: Queue) -> Iterator[Queue]:
    """The session's pool, registered for this test; jobs that it leaves running are cancelled."""
    from pydoredis.testing.private_pool import registered

    with registered(pydoredis_pool):
        yield pydoredis_pool
