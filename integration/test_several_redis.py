"""More than one Redis: a failover by Sentinel, and a cluster.

pydoredis asks neither Sentinel nor the cluster where to go: the address that it is given must lead to the
master, or to the node that has the queue's slot.
"""

from __future__ import annotations

import pytest

from integration import images
from integration.machines import Machine, wait_for
from integration.site import Server, Site, expected

pytestmark = pytest.mark.timeout(180)

OPEN = ("redis-server", "--bind", "*", "--protected-mode", "no", "--save", "")
SLOTS = 16384

SENTINEL = """
cat >sentinel.conf <<END
bind *
protected-mode no
sentinel monitor pool {master} 6379 1
sentinel down-after-milliseconds pool 2000
sentinel failover-timeout pool 10000
END
exec redis-sentinel sentinel.conf
"""


def add(site: Site, name: str, *command: str) -> Machine:
    machine = Machine(site.wire, name, images.REDIS, command)
    site.machines.append(machine)
    return machine


def is_up(node: Machine) -> bool:
    return "cluster_state:ok" in node.run("redis-cli", "cluster", "info")


def test_a_failover_by_sentinel(site: Site) -> None:
    """The master dies, Sentinel promotes its replica, and the name `redis` is moved there."""
    replica = add(site, "replica", *OPEN, "--replicaof", "redis", "6379")
    sentinel = add(site, "sentinel", "sh", "-c", SENTINEL.format(master=site.redis.address))
    site.add("ours", "ours")
    wait_for(lambda: "master_link_status:up" in replica.run("redis-cli", "info"), "the replica follows")
    ask = ("redis-cli", "-p", "26379", "sentinel")
    wait_for(lambda: replica.address in sentinel.run(*ask, "replicas", "pool"), "Sentinel knows both")
    job = site.job("Python", 30, 0.7)
    site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
    site.redis.kill()
    where = (*ask, "get-master-addr-by-name", "pool")
    site.wait_for(lambda: replica.address in sentinel.run(*where), "the replica is promoted", 60)
    replica.take_name("redis")
    site.redis = replica
    assert job.numbers() == expected(30), site.tails()
    site.wait_for(lambda: site.count == 2, "the workers are counted")


def test_a_cluster() -> None:
    """All keys of a queue with a hash tag are in one slot; a node refuses those of others."""
    with Site(Server((*OPEN, "--cluster-enabled", "yes")), queue="{jobs}") as site:
        other = add(site, "node", *OPEN, "--cluster-enabled", "yes")
        slot = int(site.redis.run("redis-cli", "cluster", "keyslot", "{jobs}"))
        middle = SLOTS // 2
        halves = [(0, middle - 1), (middle, SLOTS - 1)]
        ours, theirs = halves if slot < middle else halves[::-1]
        wait_for(lambda: other.run("redis-cli", "ping").strip() == "PONG", "the other node answers")
        site.redis.run("redis-cli", "cluster", "addslotsrange", *map(str, ours))
        other.run("redis-cli", "cluster", "addslotsrange", *map(str, theirs))
        site.redis.run("redis-cli", "cluster", "meet", other.address, "6379")
        wait_for(lambda: is_up(site.redis) and is_up(other), "the cluster is up")
        site.add("ours", "python")
        assert site.job("Python", 8, 0.1).numbers() == expected(8), site.tails()
        r_body = "tell(queue.foreach(i=range(1, 9), chunk_size=3).dopar(dr.rexpr('i * 11')))"
        assert site.python_coordinator(r_body).numbers() == expected(8), site.tails()
        assert other.run("redis-cli", "dbsize").strip() == "0"
