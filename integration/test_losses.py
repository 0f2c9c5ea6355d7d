"""Machines lost in the middle of a job: power, network, or just for a while. The value is always right."""

from __future__ import annotations

import pytest

from integration.site import Site, expected

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("needs_r_peer_for_r")]
both = pytest.mark.parametrize("coordinator", ["R", "Python"])


@both
def test_a_worker_is_killed(coordinator: str, site: Site) -> None:
    lost, _ = site.add("ours", "ours")
    job = site.job(coordinator, 8, 1.5)
    site.wait_for(lambda: site.works(lost), "it works")
    lost.kill()
    assert job.numbers() == expected(8), site.tails()
    assert job.found_faults, "nobody else could have noticed"


@pytest.mark.usefixtures("r_peer")
@pytest.mark.parametrize("coordinator", ["Python"])
def test_an_r_worker_is_killed(coordinator: str, site: Site) -> None:
    lost, _ = site.add("R", "ours")
    body = "dr.rexpr('{ Sys.sleep(1.5); i * 11 }')"
    job = site.python_coordinator(f"tell(queue.foreach(i=range(1, 9)).dopar({body}))", ftinterval=3)
    site.wait_for(lambda: site.works(lost), "it works")
    lost.kill()
    assert job.numbers() == expected(8), site.tails()
    assert job.found_faults, "nobody else could have noticed"


@both
def test_every_worker_is_killed_and_another_comes(coordinator: str, site: Site) -> None:
    doomed = site.add("ours", "ours")
    job = site.job(coordinator, 6, 1)
    site.wait_for(lambda: all(site.works(machine) for machine in doomed), "both work")
    for machine in doomed:
        machine.kill()
    site.add("ours", workers=2)
    assert job.numbers() == expected(6), site.tails()


@both
def test_a_wayward_worker(coordinator: str, site: Site) -> None:
    """Frozen until all think it dead, it goes on with a task that others have, and must keep its result."""
    wayward, _ = site.add("ours", "ours")
    job = site.job(coordinator, 12, 2)
    site.wait_for(lambda: site.works(wayward), "it works")
    wayward.pause()
    site.wait_for(lambda: not site.is_thought_alive(wayward), "it is thought dead")
    site.wait_for(lambda: not site.works(wayward), "its task was taken from it", 60)
    wayward.unpause()
    assert job.numbers() == expected(12), site.tails()
    again = site.job(coordinator, 6, 1)
    site.wait_for(lambda: site.works(wayward), "it works again")
    assert again.numbers() == expected(6), site.tails()
    assert site.count == 2


@both
@pytest.mark.parametrize("outage", ["short", "long"])
def test_a_worker_without_network(coordinator: str, outage: str, site: Site) -> None:
    away, _ = site.add("ours", "ours")
    job = site.job(coordinator, 14, 1.5)
    site.wait_for(lambda: site.works(away), "it works")
    away.cut_off()
    if outage == "long":
        site.wait_for(lambda: not site.is_thought_alive(away), "it is thought dead")
    away.reconnect()
    assert job.numbers() == expected(14), site.tails()
    again = site.job(coordinator, 6, 1)
    site.wait_for(lambda: site.works(away), "it works again", 60)
    assert again.numbers() == expected(6), site.tails()
    assert site.count == 2


@both
def test_a_coordinator_without_network(coordinator: str, site: Site) -> None:
    """Meanwhile the workers do all that is queued; it finds the results when it is back."""
    site.add("ours", "ours")
    job = site.job(coordinator, 12, 1)
    site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
    job.cut_off()
    site.wait_for(lambda: site.client.llen(site.queue) == 0, "all tasks are taken", 60)
    site.wait_for(lambda: not site.keys("start"), "all tasks are done", 60)
    job.reconnect()
    assert job.numbers() == expected(12), site.tails()


@both
@pytest.mark.parametrize("outage", ["short", "long"])
def test_redis_without_network(coordinator: str, outage: str, site: Site) -> None:
    """Workers finish what they have and keep the results. If it lasts, Redis believes them all dead."""
    site.add("ours", "ours")
    job = site.job(coordinator, 16, 1)
    site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
    site.redis.cut_off()
    if outage == "long":
        ask = ("redis-cli", "--raw", "keys", f"{site.queue}.alive.*")
        site.wait_for(lambda: not site.redis.run(*ask).strip(), "all are thought dead")
    site.redis.reconnect()
    assert job.numbers() == expected(16), site.tails()
    assert site.count == 2
