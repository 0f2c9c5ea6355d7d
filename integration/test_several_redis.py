"""More than one Redis: failovers by Sentinel, and a cluster. One address leads to the right one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest

from integration import images
from integration.machines import Machine, wait_for
from integration.site import Server, Site, expected

pytestmark = pytest.mark.timeout(240)

OPEN = ("redis-server", "--bind", "*", "--protected-mode", "no", "--save", "")
NODE = (*OPEN, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
SLOTS = 16384

SENTINEL = """
cat >sentinel.conf <<END
bind *
protected-mode no
sentinel monitor pool {master} 6379 2
sentinel down-after-milliseconds pool 2000
sentinel failover-timeout pool 10000
END
exec redis-sentinel sentinel.conf
"""
SENTINELS = ("sentinel-a", "sentinel-b", "sentinel-c")
ASK = ("redis-cli", "-p", "26379", "sentinel")


def add(site: Site, name: str, *command: str) -> Machine:
    machine = Machine(site.wire, name, images.REDIS, command, known=True)
    site.machines.append(machine)
    return machine


def wait_for_each(machines: Iterable[Machine], condition: Callable[[Machine], bool], what: str) -> None:
    for machine in machines:
        wait_for(lambda machine=machine: condition(machine), f"{machine.name}: {what}")  # type: ignore[misc]


def follows(replica: Machine) -> bool:
    return "master_link_status:up" in replica.run("redis-cli", "info")


def is_up(node: Machine) -> bool:
    return "cluster_state:ok" in node.run("redis-cli", "cluster", "info")


@pytest.mark.parametrize("fate", ["dies", "stands still"])
def test_a_failover_by_sentinel(fate: str) -> None:
    """The master dies, or freezes and wakes as one too many; workers and coordinator go to the new one."""
    url = f"redis+sentinel://{','.join(SENTINELS)}/pool"
    # Without that it would go on as a master when it wakes, until Sentinels have seen it for ten seconds.
    alone = ("--min-replicas-to-write", "1") if fate == "stands still" else ()
    with Site(Server((*OPEN, *alone), url)) as site:
        replica = add(site, "replica", *OPEN, "--replicaof", "redis", "6379")
        watch = SENTINEL.format(master=site.redis.address)
        sentinels = [add(site, name, "sh", "-c", watch) for name in SENTINELS]
        wait_for(lambda: follows(replica), "the replica follows")
        others = len(SENTINELS) - 1
        wait_for_each(
            sentinels,
            lambda one: (
                replica.address in one.run(*ASK, "replicas", "pool")
                and one.run(*ASK, "sentinels", "pool").count("runid") == others
            ),
            "it knows the replica and the others",
        )
        site.add("ours", "ours")
        job = site.job("Python", 30, 0.7)
        site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
        former = site.redis
        if fate == "dies":
            former.kill()
            sentinels[0].kill()
        else:
            former.pause()
        where = (*ASK, "get-master-addr-by-name", "pool")
        site.wait_for(lambda: replica.address in sentinels[1].run(*where), "the replica is promoted", 60)
        if fate == "stands still":
            former.unpause()
        site.redis = replica
        assert job.numbers() == expected(30), site.tails()
        site.wait_for(lambda: site.count == 2, "the workers are counted")


def test_a_cluster() -> None:
    """All keys of a queue with a hash tag are in one slot, which goes to a replica when its node dies."""
    with Site(Server(NODE, "redis+cluster://second,third"), queue="{jobs}") as site:
        # The site looks after the machine `redis`: that is to be the one that has the slot.
        slot = int(site.redis.run("redis-cli", "cluster", "keyslot", site.queue))
        masters = [site.redis, add(site, "second", *NODE), add(site, "third", *NODE)]
        replica = add(site, "replica", *NODE)
        nodes = (*masters, replica)
        wait_for_each(nodes, lambda node: "PONG" in node.run("redis-cli", "ping"), "it answers")
        bounds = [n * SLOTS // 3 for n in range(4)]
        thirds = sorted(pairwise(bounds), key=lambda own: not own[0] <= slot < own[1])
        for node, (first, end) in zip(masters, thirds, strict=True):
            node.run("redis-cli", "cluster", "addslotsrange", str(first), str(end - 1))
        for node in nodes[1:]:
            site.redis.run("redis-cli", "cluster", "meet", node.address, "6379")
        wait_for_each(nodes, is_up, "the cluster is up")
        name = site.redis.run("redis-cli", "cluster", "myid").strip()
        replica.run("redis-cli", "cluster", "replicate", name)
        wait_for(lambda: follows(replica), "the replica follows")

        site.add("ours", "python")
        r_body = "tell(queue.foreach(i=range(1, 9), chunk_size=3).dopar(dr.rexpr('i * 11')))"
        assert site.python_coordinator(r_body).numbers() == expected(8), site.tails()
        values = "dr.redis_set('x', 1); dr.redis_set('y', 2); tell([dr.redis_get('x'), dr.redis_get('y')])"
        assert site.python_coordinator(f"dr.register({site.queue!r}); {values}").numbers() == [1, 2]
        clear = "dr.redis_delete('x'); dr.redis_delete('y'); tell([])"
        assert site.python_coordinator(f"dr.register({site.queue!r}); {clear}").numbers() == []
        job = site.job("Python", 30, 0.7)
        site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
        site.redis.kill()
        site.wait_for(lambda: "role:master" in replica.run("redis-cli", "info"), "it is replaced", 60)
        site.redis = replica
        assert job.numbers() == expected(30), site.tails()
        site.wait_for(lambda: site.count == 2, "the workers are counted")
