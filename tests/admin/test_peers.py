"""Administration beside real R coordinators and workers: R says the same, and other jobs come out right."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoredis.admin import Admin
from tests.admin.queues import names
from tests.peers.pool import Pool
from tests.peers.processes import r_string
from tests.rinterop.rscript import run_r

pytestmark = pytest.mark.rpeer

NewPool = Callable[[str], Pool]

SLOW = "say(foreach(i = {numbers}, .combine = c) %dopar% {{ Sys.sleep({seconds}); i * 11 }})"


def running(pool: Pool) -> int:
    return len(pool.keys("start"))


def test_our_columns_are_those_of_r(new_pool: NewPool, admin: Admin, tmp_path: Path) -> None:
    """An R worker and one of ours have a task each of an R job while R lists them, and we do."""
    pool = new_pool("jobs")
    pool.add_r_worker()
    agent = pool.add_agent(1)
    go = tmp_path / "go"
    body = f"{{ while (!file.exists({r_string(str(go))})) Sys.sleep(0.05); i * 11 }}"
    job = pool.coordinator(f"say(foreach(i = 1:6, .combine = c) %dopar% {body})", chunk_size=2)
    pool.wait_for(lambda: running(pool) == 2, "two tasks run")
    ours = admin.tasks(job=str(admin.jobs()[0].id))
    (listed,) = admin.jobs("jobs")
    rs = pool.coordinator(
        """
        columns <- function(frame) paste(names(frame), collapse = " ")
        say(c(columns(jobs()), columns(tasks())))
        say(unlist(lapply(jobs(), as.character), use.names = FALSE))
        found <- tasks()
        found <- found[order(found$iter), ]
        for (n in seq_len(nrow(found))) say(unlist(lapply(found[n, ], as.character), use.names = FALSE))
        """
    ).values()
    columns, r_job, *r_tasks = (line.removeprefix('c("').removesuffix('")').split('", "') for line in rs)
    assert columns[0].split() == list(admin.jobs().columns[:5])
    assert columns[1].split() == list(admin.tasks().columns[:8])
    stamp = "%Y-%m-%d-%H:%M:%S"
    time = f"{listed.time:{stamp}}.{listed.time.microsecond // 1000:03d}"
    assert r_job == [listed.queue, str(listed.id), listed.user, listed.host, time]
    assert [(row.iter, row.state) for row in sorted(ours, key=lambda row: row.iter)] == [
        *(("1...2", "running"), ("3...4", "running"))
    ]
    assert r_tasks == [
        [
            *(row.queue, str(row.id), row.user, row.coordinator, f"{row.time:{stamp}}"),
            *(row.iter, row.host, str(row.pid)),
        ]
        for row in sorted(ours, key=lambda row: row.iter)
    ]
    assert (listed.queued, listed.running, listed.lapsed, listed.results) == (1, 2, 0, 0)
    busy = admin.workers("jobs")
    assert [row.state for row in busy] == ["busy", "busy"]
    assert pool.peers[0].pid in {row.pid for row in busy}
    assert agent.running
    go.touch()
    assert job.value() == "c(11, 22, 33, 44, 55, 66)"
    pool.wait_for(lambda: not admin.jobs(), "the job is over")
    r_version = run_r(["cat(as.character(getRversion()))"])
    ours_idle, r_idle = admin.workers()
    assert (ours_idle.state, ours_idle.workers, ours_idle.pid) == ("idle", 1, agent.pid)
    assert (ours_idle.python, ours_idle.r) == (platform.python_version(), r_version)
    assert (r_idle.state, r_idle.workers, r_idle.host, r_idle.python) == ("idle", 1, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["agent", "R worker"])
def test_one_of_two_jobs_is_removed_and_the_other_comes_out_right(
    kind: str, new_pool: NewPool, admin: Admin
) -> None:
    pool = new_pool("a.b_c")
    if kind == "agent":
        pool.add_agent(1)
    else:
        pool.add_r_worker()
    doomed = pool.coordinator(SLOW.format(numbers="1:40", seconds=0.5), chunk_size=2)
    pool.wait_for(lambda: running(pool) == 1, "the first job runs")
    (row,) = admin.jobs()
    kept = pool.coordinator(SLOW.format(numbers="1:9", seconds=0.1), chunk_size=2)
    pool.wait_for(lambda: len(admin.jobs()) == 2, "both jobs are there")
    # An R coordinator would take the tasks for lost and submit them again.
    doomed.close()
    removal = admin.remove_job(row.job)
    assert removal.tasks > 10
    assert (removal.queue, removal.job) == ("a.b_c", row.job)
    assert removal.running in (0, 1)  # between two of its tasks none is at work
    assert kept.value() == "c(11, 22, 33, 44, 55, 66, 77, 88, 99)"
    assert "resubmitting" not in kept.errors, kept.errors
    # An R worker pushed the result of the task that it was at, for nobody: who looks sweeps it away.
    assert not admin.jobs()
    assert not pool.keys("out")


@pytest.mark.slow
def test_removing_a_queue_sends_workers_home_and_leaves_no_key(new_pool: NewPool, admin: Admin) -> None:
    pool, neighbour = new_pool("jobs"), new_pool("jobs.too")
    r_worker, agent = pool.add_r_worker(), pool.add_agent(2)
    stays = neighbour.add_agent(1)
    assert pool.run("redisSet('kept', 1); say(foreach(i = 1:6, .combine = c) %dopar% i)") == "1:6"
    # A job whose coordinator died leaves tasks, an environment, and what runs.
    dead = pool.coordinator(SLOW.format(numbers="1:30", seconds=0.3))
    pool.wait_for(lambda: running(pool) >= 2, "the job runs")
    dead.close()
    assert admin.remove_queue("jobs").tasks > 0
    assert agent.wait(15) == 0, agent.tail()
    assert r_worker.wait(15) == 0, r_worker.tail()
    # What the R worker was at came after; and its alive key would expire by itself.
    admin.remove_queue("jobs")
    other = ("jobs.too.", "pydoredis:{jobs.too}:")
    assert {name for name in names(pool.client) if not name.startswith(other)} == {"kept"}
    assert neighbour.run("say(foreach(i = 1:3, .combine = c) %dopar% i)") == "1:3"
    assert stays.running
