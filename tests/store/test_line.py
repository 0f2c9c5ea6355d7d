"""A coordinator's connection: replies that nobody awaits are read in the end, whatever happens to it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import Queue
from pydoredis.store import line
from pydoredis.store.line import Line
from tests.conftest import wait_until
from tests.redis_process import RedisProcess, needs_server

pytestmark = needs_server


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@pytest.fixture
def pool(server: RedisProcess) -> redis.ConnectionPool:
    return redis.ConnectionPool.from_url(server.url, protocol=2)


@contextlib.contextmanager
def lost(server: RedisProcess) -> Iterator[None]:
    """The server gets what is sent in this block, dies before it does anything, and comes back."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    yield
    server.process.kill()
    server.process.wait()
    server.start()
    with server.client() as client:
        client.set("k", "v")


def test_replies_come_in_their_order(pool: redis.ConnectionPool) -> None:
    here = Line(pool)
    assert here.ask([("SET", "k", "v"), ("GET", "k")]) == [b"OK", b"v"]
    here.post(("UNLINK", "k"))
    assert here.ask([("GET", "k"), ("ECHO", "x")]) == [None, b"x"]


def test_an_error_stands_in_the_place_of_its_reply(pool: redis.ConnectionPool) -> None:
    refused, done = Line(pool).ask([("LPOP",), ("ECHO", "x")])
    assert isinstance(refused, redis.ResponseError)
    assert done == b"x"


def test_what_was_posted_is_sent_again_if_the_connection_is_lost(
    server: RedisProcess, pool: redis.ConnectionPool
) -> None:
    here = Line(pool)
    here.ask([("PING",)])
    with lost(server):
        here.post(("UNLINK", "k"))
    with pytest.raises(redis.RedisError):
        here.ask([("ECHO", "x")])
    assert here.ask([("EXISTS", "k")]) == [0]


def test_the_next_job_takes_the_line_over(server: RedisProcess, pool: redis.ConnectionPool) -> None:
    here = line.take(pool)
    here.ask([("PING",)])
    with lost(server):
        here.post(("UNLINK", "k"))
    here.close()
    there = line.take(pool)
    assert there is here
    assert there.ask([("EXISTS", "k")]) == [0]


def test_without_a_next_job_it_is_settled_nevertheless(
    server: RedisProcess, pool: redis.ConnectionPool
) -> None:
    here = line.take(pool)
    here.ask([("PING",)])
    with lost(server):
        here.post(("UNLINK", "k"))
    here.close()
    with server.client() as client:
        wait_until(lambda: not client.exists("k"), "the command was sent again")


def test_what_the_server_would_not_do_is_said(
    pool: redis.ConnectionPool, caplog: pytest.LogCaptureFixture
) -> None:
    here = Line(pool)
    here.post(("UNLINK",))
    with caplog.at_level(logging.WARNING):
        here.settle()
    assert "left to expire what was to go: wrong number of arguments" in caplog.text


PROGRAM = """
import os, sys
from pydoredis.queue import Queue
queue = Queue("Q", sys.argv[1])
loop = queue.foreach(i=[1, 2, 3])
assert loop.dopar(lambda i: i + 1) == [2, 3, 4]
child = os.fork()
assert loop.dopar(lambda i: i + 2) == [3, 4, 5]
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_program_that_forks_and_ends_leaves_nothing(server: RedisProcess) -> None:
    queue, keys = Queue("Q", server.url), QueueKeys("Q")
    root = Path(__file__).parents[2]
    with queue.start_local_workers(2, codec="cloudpickle"), server.client() as client:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.url],
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        wait_until(lambda: not client.keys(f"{keys.env('')}*"), "environments are removed")
        assert not client.keys(f"{keys.out('')}*")
