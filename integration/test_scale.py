"""Pools that grow and shrink under a running job: shrinking on purpose costs no task and no fault."""

from __future__ import annotations

import pytest

from integration.machines import Machine
from integration.site import Site, expected

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("needs_r_peer_for_r")]
both = pytest.mark.parametrize("coordinator", ["R", "Python"])


def wait_for_work(site: Site, machine: Machine) -> None:
    site.wait_for(lambda: site.works(machine), f"{machine.name} gets work")


@both
def test_up_and_down(coordinator: str, site: Site) -> None:
    (first,) = site.add("ours")
    job = site.job(coordinator, 300, 0.5, until_hurried=True)
    wait_for_work(site, first)
    second, third = site.add("ours", "ours")
    wait_for_work(site, second)
    wait_for_work(site, third)
    for leaving in (first, second):
        leaving.terminate()
    assert [first.wait(), second.wait()] == [0, 0], site.tails()
    assert job.running, "the job was over too soon to show anything"
    site.hurry()
    assert job.numbers() == expected(300), site.tails()
    assert not job.found_faults, job.errors
    assert site.count == 1


@both
def test_rolling_restart(coordinator: str, site: Site) -> None:
    """Every machine is replaced by a new one, one after the other, as an update does it."""
    pool = site.add("ours", "ours", "ours")
    job = site.job(coordinator, 500, 0.4, until_hurried=True)
    wait_for_work(site, pool[0])
    for old in pool:
        (new,) = site.add("ours")
        old.terminate()
        assert old.wait() == 0, old.tail()
        wait_for_work(site, new)
    assert job.running, "the job was over too soon to show anything"
    site.hurry()
    assert job.numbers() == expected(500), site.tails()
    assert not job.found_faults, job.errors
    assert site.count == 3


@both
def test_running_tasks_are_given_back_when_grace_ends(coordinator: str, site: Site) -> None:
    (leaving,) = site.add("ours", settings={"PYDOREDIS_GRACE": "1"})
    job = site.job(coordinator, 3, 6)
    wait_for_work(site, leaving)
    site.add("ours", workers=3)
    leaving.terminate()
    assert leaving.wait(20) == 0, leaving.tail()
    assert job.numbers() == expected(3)
    assert not job.found_faults, job.errors


@pytest.mark.parametrize("coordinator", ["Python"])
def test_the_engine_sees_whether_a_worker_is_healthy(coordinator: str, site: Site) -> None:
    (worker,) = site.add("ours")
    check = ["python", "/opt/pydoredis/health.py"]
    worker.run(*check)
    assert worker.run("id", "-un").strip() == "pydoredis"
    site.redis.kill()
    site.redis.wait()
    with pytest.raises(AssertionError, match="redis:6379"):
        worker.run(*check)
    site.redis.start_again()
    site.wait_for(site.answers, "Redis is back")
    worker.run(*check)
