"""A server's faults, each really made: what the examination says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from pydoredis.doctor import server
from pydoredis.doctor.examination import Report, examine
from pydoredis.doctor.findings import Finding
from pydoredis.errors import ConfigError
from pydoredis.server import free_port
from pydoredis.settings import ConnectionSettings
from pydoredis.store.health import ServerFacts
from tests.conftest import wait_until
from tests.faults.proxy import Proxy
from tests.redis_process import RedisProcess
from tests.several_redis import Cluster, Replicated


def report(url: str, queue: str | None = None) -> Report:
    """An examination that does not wait between its looks."""
    return examine(ConnectionSettings(url), queue, wait=lambda _: None)


def found(url: str, check: str) -> Finding:
    """What one check says of a server."""
    (finding,) = [finding for finding in report(url).findings if finding.check == check]
    return finding


def severity(url: str, check: str) -> str:
    return found(url, check).severity


def test_a_server_as_it_should_be() -> None:
    with RedisProcess(appendonly="yes", password="secret") as well:
        findings = report(well.url).findings
    checks = {finding.check: finding.severity for finding in findings if finding.check != "rpy2"}
    of_server = [check.__name__ for check in server.CHECKS]
    assert {checks[name] for name in ("reachable", *of_server)} == {"ok"}
    assert all(finding.advice == "" for finding in findings if finding.check in of_server)
    assert "secret" not in repr(findings)


def test_nobody_there() -> None:
    finding = found(f"redis://127.0.0.1:{free_port()}/0", "reachable")
    assert finding.severity == "error"
    assert "pydoredis server" in finding.advice


def test_a_wrong_password() -> None:
    with RedisProcess(password="right") as locked:
        finding = found(f"redis://:wrong-secret@127.0.0.1:{locked.port}/0", "reachable")
    assert finding.severity == "error"
    assert "password" in finding.finding
    assert "wrong-secret" not in repr(finding)


def test_silent_connections_are_closed() -> None:
    with RedisProcess(timeout="60") as hasty:
        finding = found(hasty.url, "timeout")
    assert (finding.severity, "60 s" in finding.finding) == ("error", True)
    assert "CONFIG SET timeout 0" in finding.advice


def test_keys_are_evicted() -> None:
    with RedisProcess(maxmemory="100mb", maxmemory_policy="allkeys-lru") as cache:
        assert severity(cache.url, "eviction") == "error"
        with cache.client() as client:
            client.config_set("maxmemory", 0)
        assert severity(cache.url, "eviction") == "warning"
        with cache.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
        assert severity(cache.url, "eviction") == "ok"


def test_nothing_outlives_a_restart() -> None:
    with RedisProcess() as forgetful:
        finding = found(forgetful.url, "persistence")
        assert (finding.severity, "appendonly yes" in finding.advice) == ("warning", True)


def test_saving_fails() -> None:
    with RedisProcess() as stuffed:
        (stuffed.directory / "dump.rdb").mkdir()
        with stuffed.client() as client:
            client.bgsave()
            wait_until(
                lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "saving has failed"
            )
        assert severity(stuffed.url, "persistence") == "error"


def test_everybody_is_let_in() -> None:
    with RedisProcess(protected_mode="no") as local:
        assert severity(local.url, "exposure") == "ok", "on loopback alone"
        with local.client() as client:
            client.config_set("bind", "0.0.0.0")
            assert severity(local.url, "exposure") == "error"
            client.config_set("protected-mode", "yes")
            assert severity(local.url, "exposure") == "warning"
            client.config_set("requirepass", "secret")
        assert severity(f"redis://:secret@127.0.0.1:{local.port}/0", "exposure") == "ok"


def test_a_user_with_a_password_beside_a_default_user_without_one() -> None:
    with RedisProcess(protected_mode="no") as half:
        with half.client() as client:
            client.config_set("bind", "0.0.0.0")
            client.execute_command("ACL", "SETUSER", "ada", "on", ">secret", "~*", "&*", "+@all")
        assert severity(f"redis://ada:secret@127.0.0.1:{half.port}/0", "exposure") == "error"


def test_connections_run_out() -> None:
    with RedisProcess(maxclients="10") as small:
        assert severity(small.url, "clients") == "ok"
        clients = [small.client() for _ in range(8)]
        for client in clients:
            client.ping()
        finding = found(small.url, "clients")
        assert (finding.severity, "9 connections of 10" in finding.finding) == ("warning", True)
        for client in clients:
            client.close()


def test_memory_runs_out() -> None:
    with RedisProcess(maxmemory="30mb") as small, small.client() as client:
        assert severity(small.url, "memory") == "ok"
        for number in range(24):
            client.set(f"large {number}", b"x" * 1_000_000)
        assert severity(small.url, "memory") == "warning"
        for number in range(24, 27):
            client.set(f"large {number}", b"x" * 1_000_000)
        assert severity(small.url, "memory") == "error"


def test_values_are_small() -> None:
    with RedisProcess(proto_max_bulk_len="10mb") as small:
        assert severity(small.url, "values") == "warning"


def test_a_replica() -> None:
    with RedisProcess() as master, RedisProcess(replicaof=f"127.0.0.1 {master.port}") as replica:
        finding = found(replica.url, "role")
        assert (finding.severity, str(master.port) in finding.finding) == ("error", True)


def test_a_slow_network(redis_process: RedisProcess, redis_url: str) -> None:
    with Proxy(redis_process.port) as proxy:
        assert severity(proxy.url, "latency") == "ok"
        proxy.delay_s = 0.005
        assert severity(proxy.url, "latency") == "note"


def test_a_user_who_may_not_ask() -> None:
    rules = "on >secret ~* &* +@all -@admin -@dangerous -reset +info"
    with RedisProcess() as strict:
        with strict.client() as client:
            client.execute_command("ACL", "SETUSER", "ada", *rules.split())
        findings = report(f"redis://ada:secret@127.0.0.1:{strict.port}/0").findings
    unknown = {finding.check for finding in findings if finding.severity == "unknown"}
    assert unknown == {"timeout", "persistence", "values", "exposure"}
    assert not [finding for finding in findings if finding.severity == "error"]


def test_config_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text("rename-command CONFIG NOT-FOR-YOU\n")
    with RedisProcess(include=str(tmp_path / "more.conf")) as renamed:
        assert severity(renamed.url, "timeout") == "unknown"


def test_clocks_apart(redis_url: str) -> None:
    assert severity(redis_url, "clock") == "ok"
    behind = server.clock(ServerFacts("redis://x", clock_ahead_s=-7.0, clock_error_s=0.1))
    assert (behind.severity, "7.0 s behind" in behind.finding) == ("warning", True)
    assert server.clock(ServerFacts("redis://x", clock_ahead_s=7, clock_error_s=6)).severity == "ok"


def test_an_old_server() -> None:
    old = server.version(ServerFacts("redis://x", info={"redis_version": "5.0.14"}))
    assert (old.severity, "5.0.14" in old.finding) == ("error", True)


def test_before_redis_7_a_bind_switches_protected_mode_off() -> None:
    facts = {"bind": "10.0.0.1", "protected-mode": "yes"}
    for version, expected in (("6.2.14", "error"), ("7.0.15", "warning")):
        info = {"redis_version": version}
        said = server.exposure(ServerFacts("redis://x", info=info, config=facts, lets_everybody_in=True))
        assert said.severity == expected


def test_a_server_in_the_clear_on_another_machine() -> None:
    there = ServerFacts("redis://10.0.0.1:6379/0", loopback=False, lets_everybody_in=True)
    assert server.exposure(there).severity == "error"
    there = ServerFacts("redis://10.0.0.1:6379/0", loopback=False, lets_everybody_in=False)
    assert (server.exposure(there).severity, "TLS" in server.exposure(there).advice) == ("note", True)


def test_a_server_that_is_lost_meanwhile() -> None:
    with RedisProcess() as short_lived:
        with short_lived.client() as client:
            client.set("q.live", b"")

        def end(_: float) -> None:
            short_lived.stop()

        findings = examine(ConnectionSettings(short_lived.url), wait=end).findings
    states = [finding.severity for finding in findings if finding.check == "reachable"]
    assert states == ["ok", "error"]


def test_a_node_of_a_cluster() -> None:
    with Cluster() as cluster:
        with cluster.owner("{q}").client() as client:
            client.set("{q}.live", b"")
            client.set("{q}.count", 1)
        findings = report(cluster.url, "{q}").findings
        assert {"reachable", "exposure", "workers"} <= {finding.check for finding in findings}
        assert not [finding for finding in findings if finding.severity == "error"]
        with pytest.raises(ConfigError, match="Redis Cluster"):
            report(cluster.url)


def test_the_master_that_sentinels_name() -> None:
    with Replicated() as replicated:
        findings = report(replicated.url).findings
    assert {finding.check: finding.severity for finding in findings}["role"] == "ok"


def test_nothing_is_left(redis_client: redis.Redis, redis_url: str) -> None:
    assert found(redis_url, "Python").severity == "ok"
    assert redis_client.dbsize() == 0, "an examination leaves nothing"
