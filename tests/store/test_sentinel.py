"""A master that Sentinel knows: it is found, and followed when another takes its place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import cloudpickle
import pytest
import redis

from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import Queue
from pydoredis.settings import ConnectionSettings
from pydoredis.shared_values import redis_get, redis_set
from pydoredis.store import Store
from tests.conftest import wait_until
from tests.faults.scene import lasting_keys
from tests.redis_process import needs_server
from tests.several_redis import SERVICE, Replicated

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = needs_server


@pytest.fixture
def servers() -> Iterator[Replicated]:
    with Replicated() as running:
        yield running


def test_the_master_is_found(servers: Replicated) -> None:
    connection = ConnectionSettings(servers.url)
    Store(connection).check()
    redis_set("A", [1.0, 2.0], connection=connection)
    assert list(redis_get("A", connection=connection)) == [1.0, 2.0]
    with servers.master.client() as client:
        assert client.exists("A")


def test_what_is_wrong_is_said(servers: Replicated) -> None:
    def check(url: str) -> None:
        Store(ConnectionSettings(url)).check()

    with pytest.raises(StoreUnavailable, match="knows no master 'lake' \\('pool'\\)"):
        check(servers.url.replace(f"/{SERVICE}/", "/lake/"))
    sentinel = f"127.0.0.1:{servers.sentinel.port}"
    alone = f"redis+sentinel://:m4ster@{sentinel}/{SERVICE}?sentinel_password="
    check(f"{alone}s3ntinel")
    for wrong in (f"{alone}gue55", f"{alone}s3ntinel".replace("m4ster", "gue55")):
        with pytest.raises(ConfigError, match="right user and password") as caught:
            check(wrong)
        assert "gue55" not in str(caught.value)
        assert "m4ster" not in str(caught.value)
    with pytest.raises(StoreUnavailable, match="nobody says where it is"):
        check(f"redis+sentinel://127.0.0.1:1,127.0.0.1:2/{SERVICE}")


def test_a_master_that_was_demoted_behind_an_open_connection(servers: Replicated) -> None:
    """It answers READONLY: then Sentinel is asked again, and the command is sent once more."""
    store = Store(ConnectionSettings(servers.url))
    store.set_value(b"A", b"before")
    with servers.master.client() as old, servers.replica.client() as new:
        new.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", str(servers.replica.port))
        servers.sentinel.watch(servers.replica)
        store.set_value(b"A", b"after")
        store.open_queue(QueueKeys("Q"))
        assert new.get("A") == b"after"
        assert new.exists("Q.live")
    assert store.connections == 2
    store.close()


def slow(x: int) -> int:
    time.sleep(0.02)
    return x


@pytest.mark.slow
def test_a_loop_while_the_master_dies(servers: Replicated) -> None:
    queue = Queue("Q", servers.url, ftinterval=3)
    servers.wait_until_promotable()
    with queue.start_local_workers(2, codec="cloudpickle") as workers:
        job = queue.foreach(x=range(300)).submit(slow)
        wait_until(lambda: job.done > 20, "some are done")
        servers.master.stop()
        servers.wait_until_promoted()
        assert job.result(60) == list(range(300)), workers.output()
        assert queue.foreach(x=range(5)).dopar(slow) == list(range(5)), "and another loop there"
        with servers.replica.client() as client:
            wait_until(lambda: client.get("Q.count") == b"2", "the workers are counted there")
            wait_until(lambda: lasting_keys(client, "Q") == set(), "no orphan keys", 15)


@pytest.mark.slow
def test_a_loop_while_the_master_is_replaced(servers: Replicated) -> None:
    """`SENTINEL FAILOVER`, as for maintenance: nothing dies, and the former master becomes a replica."""
    queue = Queue("Q", servers.url, ftinterval=3)
    servers.wait_until_promotable()
    with queue.start_local_workers(2, codec="cloudpickle") as workers:
        job = queue.foreach(x=range(300), combine="+").submit(slow)
        wait_until(lambda: job.done > 20, "some are done")
        client: redis.Redis = servers.sentinel.client
        client.execute_command("SENTINEL", "FAILOVER", SERVICE)  # type: ignore[no-untyped-call]
        servers.wait_until_promoted()
        assert job.result(60) == sum(range(300)), workers.output()
