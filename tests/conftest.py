"""What all tests share: a Redis server, and whether R and its packages are on this machine."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import settings

from pydoredis.server import find_server
from tests.redis_process import NO_SERVER, RedisProcess

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts us in the background has us ignore Ctrl-C, and all that we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines may be busy; how long an example takes says nothing about whether it is right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

R_PEER_PACKAGES = ("doRedis", "redux", "foreach", "iterators")


@functools.cache
def has_r() -> bool:
    """Whether an Rscript is on the PATH."""
    return shutil.which("Rscript") is not None


@functools.cache
def missing_r_packages(names: tuple[str, ...] = R_PEER_PACKAGES) -> tuple[str, ...]:
    """Those of `names` that R cannot find."""
    quoted = ", ".join(f'"{name}"' for name in names)
    program = f"for (p in c({quoted})) if (!nzchar(system.file(package = p))) cat(p, '')"
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    for item in items:
        wants_peer = item.get_closest_marker("rpeer") is not None
        wants_r = wants_peer or item.get_closest_marker("needs_r") is not None
        if wants_r and not has_r():
            item.add_marker(pytest.mark.skip(reason="R (Rscript) is not installed"))
        elif wants_peer and (missing := missing_r_packages()):
            item.add_marker(pytest.mark.skip(reason=f"R packages not installed: {', '.join(missing)}"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Our variant of pytest-xdist's scheduler, where that is installed and `--dist loadfile` is asked for."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.schedule import FileByFile

    return FileByFile(config, log)


@pytest.fixture(scope="session")
def redis_process() -> Iterator[RedisProcess]:
    """One server for the session. A missing server is a skip on a laptop and a failure in CI."""
    if find_server() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)
    with RedisProcess() as server:
        yield server


@pytest.fixture
def redis_url(redis_process: RedisProcess) -> str:
    """The address of an empty database on the session's server."""
    with redis_process.client() as client:
        client.flushall()
    return redis_process.url


@pytest.fixture
def redis_client(redis_process: RedisProcess, redis_url: str) -> Iterator[redis.Redis]:
    """A plain client on that database, to look at what happened."""
    with redis_process.client() as client:
        yield client


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Poll until `condition()` is true; fail with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {timeout_s} s still not: {what}")
        time.sleep(0.005)
