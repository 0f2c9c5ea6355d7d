"""A server that answers, but not with what was asked for; and values that no server takes."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from pydoredis.errors import LocalProtocolError, StoreUnavailable, TaskError
from pydoredis.loops.bodies import rexpr
from pydoredis.protocol import wire
from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.faults.conftest import OpenScene
from tests.faults.scene import EXPECTED, Setup, lasting_keys
from tests.peers.processes import pydoredis_worker

PYTHON = Setup("Python", 7, "PP")
MEGABYTE = 1024 * 1024


@pytest.mark.slow
def test_a_server_that_loads_its_data(open_scene: OpenScene) -> None:
    scene = open_scene(PYTHON, keeps_data=True)
    with scene.client.pipeline(transaction=False) as pipe:
        for n in range(20_000):
            pipe.set(f"ballast:{n}", b"x", ex=600)
        pipe.execute()
    scene.begin()
    scene.server.stop()
    # It looks at its connections after every 1024 commands that it has loaded, and answers LOADING.
    scene.server.options["key-load-delay"] = "100"
    scene.server.start()
    assert "is loading the dataset in memory" in scene.victim.output
    scene.open_gate()
    assert scene.result() == EXPECTED, scene.victim.tail(30)


@pytest.mark.parametrize("state", ["out of memory", "read-only"])
def test_a_loop_that_begins_on_a_server_that_refuses_it(redis_url: str, state: str) -> None:
    """Before a loop has begun nothing can be lost: the program is told at once, and why."""
    with Queue("Q", redis_url) as queue, redis.Redis.from_url(redis_url) as client:
        if state == "read-only":
            client.replicaof("127.0.0.1", "1")
        else:
            client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreUnavailable, match=r"maxmemory|read only"):
                queue.foreach(x=[1]).submit(abs)
        finally:
            client.replicaof("NO", "ONE")
            client.config_set("maxmemory", 0)
        assert lasting_keys(client, "Q") == set()


@pytest.fixture
def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis takes 512 MB; a test that fills them would only measure memory."""
    monkeypatch.setattr(wire, "MAX_MESSAGE", MEGABYTE)


@pytest.mark.usefixtures("small_messages")
def test_arguments_that_are_too_large(redis_url: str, redis_client: redis.Redis) -> None:
    bodies: list[Any] = [lambda small, large: small, rexpr("c(small, length(large))")]
    too_large = r"task 3 has 2,09\d,\d+ bytes, 2,097,\d+ of them for 'large'; Redis takes 1,048,576"
    with Queue("Q", redis_url) as queue:
        for body in bodies:
            loop = queue.foreach(small=[1, 2, 3], large=[b"", b"", bytes(2 * MEGABYTE)])
            with pytest.raises(LocalProtocolError, match=too_large):
                loop.dopar(body)
    assert lasting_keys(redis_client, "Q") == set()
    assert not redis_client.exists("Q"), "its other tasks are still queued"


@pytest.mark.usefixtures("small_messages")
def test_a_body_that_is_too_large(redis_url: str, redis_client: redis.Redis) -> None:
    table = bytes(2 * MEGABYTE)
    bodies: list[Any] = [lambda x: table[x], rexpr("table[x]")]
    too_large = r"environment has 2,09\d,\d+ bytes, .* for 'table'; Redis takes 1,048,576"
    with Queue("Q", redis_url) as queue:
        for body in bodies:
            with pytest.raises(LocalProtocolError, match=too_large):
                queue.foreach(x=range(3), export={"table": table}).dopar(body)
        with pytest.raises(LocalProtocolError, match=too_large):
            queue.foreach(x=range(3)).dopar(bodies[0])
    assert lasting_keys(redis_client, "Q") == set()


def test_a_result_that_is_too_large(redis_url: str, redis_client: redis.Redis) -> None:
    def large(n: int) -> bytes:
        """Its executor believes that Redis takes less than it does."""
        wire.MAX_MESSAGE = MEGABYTE
        return bytes(n * MEGABYTE if n == 2 else n)

    options = ("--codec", "cloudpickle")
    with pydoredis_worker(redis_url, ["Q"], linger_s=1, options=options), Queue("Q", redis_url) as queue:
        wait_until(lambda: redis_client.get("Q.count"), "the worker is up", 30)
        with pytest.raises(TaskError, match=r"the result has 2097\d+ bytes; Redis takes 1048576"):
            queue.foreach(n=[1, 2]).dopar(large)
        rest = queue.foreach(n=[1, 2, 3], errorhandling="remove").dopar(lambda n: len(large(n)))
        assert rest == [1, 2 * MEGABYTE, 3]
    assert lasting_keys(redis_client, "Q") == set()
