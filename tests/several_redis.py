"""More than one Redis on loopback: a master and its replica under a Sentinel, and a cluster."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from redis.crc import key_slot

from pydoredis.server import find_server, free_port
from tests.redis_process import NO_SERVER, RedisProcess

SLOTS = 16384
SERVICE = "pool"


def _await(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    """Poll; servers that are still about to speak to each other refuse to answer."""
    until = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(redis.exceptions.ConnectionError, redis.exceptions.ResponseError):
            if condition():
                return
        assert time.monotonic() < until, f"after {timeout_s:g} s still not: {what}"
        time.sleep(0.02)


class Sentinel:
    """One server with `--sentinel` that watches a master, and decides by itself.

    Args:
        master: Whom to watch.
        password: For its clients.
        certificates: A directory with `ca.pem`, `cert.pem` and `key.pem`, if all of it is to go by TLS.
    """

    def __init__(self, master: RedisProcess, password: str, certificates: Path | None = None) -> None:
        self.port = free_port()
        self.password = password
        self._directory = Path(tempfile.mkdtemp(prefix="pydoredis-sentinel-"))
        settings = self._directory / "sentinel.conf"
        own = [f"port {self.port}", "bind 127.0.0.1", f"requirepass {password}"]
        tls: dict[str, Any] = {}
        if certificates:
            own += ["port 0", f"tls-port {self.port}", "tls-replication yes", "tls-auth-clients no"]
            own += [f"tls-{kind}-file {certificates}/{kind}.pem" for kind in ("cert", "key")]
            own += [f"tls-ca-cert-file {certificates}/ca.pem"]
            tls = {"ssl": True, "ssl_ca_certs": f"{certificates}/ca.pem"}
        settings.write_text("\n".join([*own, ""]))
        binary = find_server()
        assert binary, NO_SERVER
        self._process = subprocess.Popen(
            [binary, str(settings), "--sentinel"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
        )
        self.client: Any = redis.Redis(
            "127.0.0.1", self.port, password=password, decode_responses=True, **tls
        )
        try:
            _await(self.client.ping, "the Sentinel answers")
            self.watch(master)
        except BaseException:
            self.close()
            raise

    def watch(self, master: RedisProcess) -> None:
        """Have `master` for the master from now on."""
        ask = self.client.execute_command
        with contextlib.suppress(redis.exceptions.ResponseError):
            ask("SENTINEL REMOVE", SERVICE)
        ask("SENTINEL MONITOR", SERVICE, "127.0.0.1", master.options.get("tls_port", master.port), 1)
        settings: dict[str, Any] = {"down-after-milliseconds": 700, "failover-timeout": 4000}
        if master.password:
            settings["auth-pass"] = master.password
        for name, value in settings.items():
            ask("SENTINEL SET", SERVICE, name, value)

    @property
    def master_port(self) -> int:
        """Where it says that the master is."""
        return int(self.client.sentinel_masters()[SERVICE]["port"])

    @property
    def replicas(self) -> list[int]:
        """Ports of the replicas that it knows and could promote."""
        states = self.client.sentinel_slaves(SERVICE)
        return [int(state["port"]) for state in states if state["master-link-status"] == "ok"]

    def close(self) -> None:
        """End it."""
        self.client.close()
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


class Replicated:
    """A master, its replica, and a Sentinel, each with a password. A context manager.

    Attributes:
        master: Who is the master at the beginning.
        replica: Who is to take over.
        sentinel: Who decides that.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.master, self.replica = (self._stack.enter_context(self._server()) for _ in range(2))
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", str(self.master.port))
            _await(lambda: client.info()["master_link_status"] == "up", "the replica follows")
        self.sentinel = Sentinel(self.master, "s3ntinel")
        self._stack.callback(self.sentinel.close)

    def _server(self) -> RedisProcess:
        return RedisProcess(password="m4ster", masterauth="m4ster", repl_diskless_sync_delay="0")

    @property
    def url(self) -> str:
        """Leads to whoever is the master; the first Sentinel that it names is not there."""
        hosts = f"127.0.0.1:1,127.0.0.1:{self.sentinel.port}"
        return f"redis+sentinel://:m4ster@{hosts}/{SERVICE}/0?sentinel_password=s3ntinel"

    def wait_until_promotable(self) -> None:
        """Return when the Sentinel knows the replica."""
        _await(lambda: self.sentinel.replicas, "the Sentinel knows the replica")

    def wait_until_promoted(self) -> None:
        """Return when the replica is the master."""
        _await(lambda: self.sentinel.master_port == self.replica.port, "the replica is promoted")

    def __enter__(self) -> Replicated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class Cluster:
    """Three masters, and replicas where they are wanted. A context manager.

    Attributes:
        nodes: The masters of the beginning, each with a third of the slots.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.nodes = [self._node() for _ in range(3)]
        for n, node in enumerate(self.nodes):
            self._ask(node, "ADDSLOTS", *range(n * SLOTS // 3, (n + 1) * SLOTS // 3))
            self._ask(node, "SET-CONFIG-EPOCH", n + 1)
            self._ask(node, "MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes:
            _await(lambda node=node: self._is_up(node), "the cluster is up")  # type: ignore[misc]

    def _node(self) -> RedisProcess:
        node = RedisProcess(
            cluster_enabled="yes",
            cluster_node_timeout="1000",
            cluster_allow_replica_migration="no",
            cluster_replica_validity_factor="0",
            repl_diskless_sync_delay="0",
        )
        return self._stack.enter_context(node)

    def _ask(self, node: RedisProcess, *words: object) -> Any:
        with node.client() as client:
            return client.execute_command("CLUSTER", *words)

    def _is_up(self, node: RedisProcess) -> bool:
        covered = sum(last - first + 1 for first, last, *_ in self._ask(node, "SLOTS"))
        return b"cluster_state:ok" in self._ask(node, "INFO") and covered == SLOTS

    @property
    def url(self) -> str:
        """Names a node that is not there, and one that is; the queue may be on any of the three."""
        return f"redis+cluster://127.0.0.1:1,127.0.0.1:{self.nodes[0].port}"

    def owner(self, key: str) -> RedisProcess:
        """Who of `nodes` has the slot of a key."""
        port = self.owner_port(key, self.nodes[0])
        return next(node for node in self.nodes if node.port == port)

    def owner_port(self, key: str, informant: RedisProcess) -> int:
        """Port of the node that has the slot, as another one sees it."""
        slot = key_slot(key.encode())
        found = self._ask(informant, "SLOTS")
        return next(int(node[1]) for first, last, node, *_ in found if first <= slot <= last)

    def add_replica(self, master: RedisProcess) -> RedisProcess:
        """A node that takes over when `master` dies."""
        node = self._node()
        self._ask(node, "MEET", "127.0.0.1", master.port)
        name = self._ask(master, "MYID")
        _await(lambda: self._ask(node, "REPLICATE", name), "it knows its master")
        with node.client() as client:
            _await(lambda: client.info()["master_link_status"] == "up", "the replica follows")
        _await(lambda: self._knows(node), "the others know it")
        return node

    def _knows(self, replica: RedisProcess) -> bool:
        return all(b":%d@" % replica.port in self._ask(node, "NODES") for node in self.nodes)

    def move_slot(self, key: str, target: RedisProcess) -> None:
        """Move the slot of a key, with all that is in it, to another of `nodes`."""
        slot, source = key_slot(key.encode()), self.owner(key)
        here, there = self._ask(source, "MYID"), self._ask(target, "MYID")
        self._ask(target, "SETSLOT", slot, "IMPORTING", here)
        self._ask(source, "SETSLOT", slot, "MIGRATING", there)
        with source.client() as client:
            while keys := self._ask(source, "GETKEYSINSLOT", slot, 100):
                client.migrate("127.0.0.1", target.port, keys, 0, 5000)
        for node in (target, source, *self.nodes):
            self._ask(node, "SETSLOT", slot, "NODE", there)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
