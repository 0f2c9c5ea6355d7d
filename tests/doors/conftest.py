"""A queue with two workers for tests of doors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pydoredis as dr
from tests.redis_process import RedisProcess


def pytest_configure(config: pytest.Config) -> None:
    """Markers that loky's tests have (`test_loky.py`)."""
    for name in ("broken_pool", "high_memory"):
        config.addinivalue_line("markers", f"{name}: of loky")


@pytest.fixture(scope="module")
def queue(redis_process: RedisProcess) -> Iterator[dr.Queue]:
    """Two workers, for all tests of a module."""
    with redis_process.client() as client:
        client.flushall()
    with dr.local(2, "doors", redis_process.url, codec="cloudpickle", output=False) as queue:
        yield queue
