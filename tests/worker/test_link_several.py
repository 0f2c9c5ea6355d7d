"""The agent's link follows its queue: to the master that Sentinel names, to the node that has the slot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from pydoredis.worker.link_events import Connected, Invalidated, Lost
from tests.redis_process import RedisProcess, needs_server
from tests.several_redis import SERVICE, Cluster, Replicated, Sentinel
from tests.worker.link_loop import BLOCKING_S, Loop

pytestmark = needs_server

SCRIPTS = {"add": "return redis.call('INCRBY', KEYS[1], ARGV[1])"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


# --- Sentinel ---------------------------------------------------------------------------------------------


def test_a_failover() -> None:
    with Replicated() as servers, Loop(servers.url, SCRIPTS, timeout_s=2) as loop:
        servers.wait_until_promotable()
        first = loop.connect()
        assert first.tracking
        assert loop.ask(("EVALSHA", first.shas["add"], 1, "a", 5)) == [5]
        with servers.master.client() as client:
            client.wait(1, 1000)
        sentinel: redis.Redis = servers.sentinel.client
        sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)  # type: ignore[no-untyped-call]
        servers.wait_until_promoted()
        add = ("EVALSHA", first.shas["add"], 1, "a", 1)
        end_s = time.monotonic() + 30
        while loop.told(Connected)[-1].run_id == first.run_id:
            assert time.monotonic() < end_s
            loop.ask_again(add)
        with servers.replica.client() as client:
            before = int(client.get("a") or 0)
            assert loop.ask_again(add) == [before + 1]
            assert int(client.get("a") or 0) == before + 1
            assert loop.told(Connected)[-1].run_id == client.info("server")["run_id"]


def test_a_master_that_dies() -> None:
    with Replicated() as servers, Loop(servers.url, SCRIPTS, timeout_s=2) as loop:
        servers.wait_until_promotable()
        first = loop.connect()
        servers.master.stop()
        assert loop.next(Lost).batch is None
        second = loop.connect()
        assert first.run_id != second.run_id
        assert loop.ask_again(("EVALSHA", second.shas["add"], 1, "a", 7)) == [7]
        assert loop.longest_s < BLOCKING_S


def test_a_sentinel_that_names_the_wrong_master() -> None:
    """What it names refuses to write: then another Sentinel is asked."""
    with ExitStack() as stack:
        wrong = stack.enter_context(RedisProcess(min_replicas_to_write="1"))
        right = stack.enter_context(RedisProcess())
        sentinels = [Sentinel(master, "s3ntinel") for master in (wrong, right)]
        for sentinel in sentinels:
            stack.callback(sentinel.close)
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        loop = stack.enter_context(Loop(f"redis+sentinel://{hosts}/{SERVICE}/0?sentinel_password=s3ntinel"))
        loop.connect()
        number = loop.send(("SET", "a", 1))
        lost = loop.next(Lost)
        assert lost.batch == number
        assert "NOREPLICAS" in lost.reason
        assert loop.ask_again(("SET", "a", 1)) == [b"OK"]
        with right.client() as client:
            assert client.get("a") == b"1"
        assert len(loop.told(Lost)) == 1
        loop.link.reconnect("the owner says so")
        assert loop.next(Lost).reason == "the owner says so"
        loop.connect()
        loop.send(("SET", "a", 1))
        assert "NOREPLICAS" in loop.next(Lost).reason, "it was taken for the wrong one, too"


# --- cluster ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["jobs", "a", "b"])
def test_the_node_that_has_the_slot(cluster: Cluster, tag: str) -> None:
    with Loop(cluster.url, SCRIPTS, tag=tag) as loop, cluster.owner(tag).client() as client:
        connected = loop.connect()
        assert connected.run_id == client.info("server")["run_id"]
        assert loop.ask(("EVALSHA", connected.shas["add"], 1, f"{{{tag}}}.n", 2)) == [2]
        client.set(f"{{{tag}}}.n", 1)
        loop.watch(f"{{{tag}}}.n")
        client.set(f"{{{tag}}}.n", 1)
        assert loop.next(Invalidated) == Invalidated((f"{{{tag}}}.n".encode(),))


def test_a_slot_that_moves(cluster: Cluster) -> None:
    with Loop(cluster.url, SCRIPTS, tag="moving") as loop:
        first = loop.connect()
        add = ("EVALSHA", first.shas["add"], 1, "{moving}.n", 1)
        assert loop.ask(add, add) == [1, 2]
        source = cluster.owner("moving")
        target = cluster.nodes[cluster.nodes.index(source) - 1]
        cluster.move_slot("moving", target)
        number = loop.send(add)
        lost = loop.next(Lost)
        assert lost.batch == number
        assert "MOVED" in lost.reason
        second = loop.connect()
        with target.client() as client:
            assert second.run_id == client.info("server")["run_id"]
        assert loop.ask(add) == [3]


def test_an_address_of_one_node_that_has_not_got_the_slot(cluster: Cluster) -> None:
    other = next(node for node in cluster.nodes if node != cluster.owner("jobs"))
    with Loop(other.url) as loop:
        began_s = time.monotonic()
        for _ in range(5):
            loop.connect()
            loop.send(("GET", "{jobs}.live"))
        assert time.monotonic() - began_s > 0.4, "not without pauses"
        assert "an address redis+cluster://… finds the one that has it" in loop.told(Lost)[0].reason
