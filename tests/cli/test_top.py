"""`pydoredis top`: tables, JSON and the live view, of recorded peers and of real ones."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.telemetry import Counters, Demand, Warned
from pydoredis.settings import ConnectionSettings
from pydoredis.snapshots import ServerStatus, Snapshot
from pydoredis.telemetry import Telemetry
from pydoredis.top import grids
from tests.admin.agents import activity, announce, presence
from tests.admin.queues import job_id, submit
from tests.cli.test_admin import document, pydoredis
from tests.conftest import wait_until
from tests.peers.pool import Pool
from tests.peers.processes import clean_environment, r_string

JOB, OTHER = job_id(349, "svc_batch", "node-1"), job_id(350)


@pytest.fixture
def pool(redis_url: str, redis_client: redis.Redis) -> str:
    """The address of a server with two jobs, an agent at work on the first one, and an R worker."""
    submit(redis_client, "Q", JOB, range(1, 3))
    submit(redis_client, "[b]", OTHER, [1])
    demand = Demand(45, 1955, 2000, 30, 2, 15, 10, 7.5)
    redis_client.set(QueueKeys("Q").demand(JOB), demand.encode(), ex=60)
    warned = [Warned(5.0, "executor 71 killed\nby [red]SIGSEGV")]
    announce(redis_client, ["Q"], presence("a"), [activity("Q", JOB, done=1234, warned=warned)])
    redis_client.incr("Q.count")
    return redis_url


def test_tables(pool: str) -> None:
    done = pydoredis(pool, "top", "--once")
    assert done.exit_code == 0, done.stderr
    line, *tables = done.stdout.split("\n\n")
    assert "Redis " in line
    assert " clients" in line
    queues, jobs, agents, running, warnings = ([row.split() for row in text.splitlines()] for text in tables)
    columns = "queue backlog oldest running lapsed workers busy done tasks/s crashed"
    assert queues[0] == columns.split()
    assert queues[1] == ["Q", "198", queues[1][2], "0", "0", "3", "1", "1,234", "-", "1"]
    assert queues[2][0] == "[b]", "it is no markup"
    assert jobs[1] == ["Q", JOB, "svc_batch", "2", "0", "0", "30", "2,000", "2", "7.5", "4m23s"]
    assert jobs[2][5:] == ["0", "0", "tasks", "-", "-", "-", "-"]
    assert agents[1][:10] == ["a", "70", "Q", "1", "2", "1,234", "1", "3", "120", "MB"]
    assert running[1][:5] == ["Q", JOB, "4...6", "a", "71"]
    assert " ".join(warnings[1][2:]) == "a 70 executor 71 killed by [red]SIGSEGV"
    alone = pydoredis(pool, "top", "--once", "--queue", "Q").stdout
    assert "Q " in alone
    assert "[b]" not in alone


def test_long_tables_are_cut(redis_url: str, redis_client: redis.Redis) -> None:
    for number in range(12):
        submit(redis_client, f"q{number}", JOB, [1])
    shown = pydoredis(redis_url, "top", "--once", "--rows", "9").stdout
    assert shown.count("and 3 more: --rows N, or --json") == 2
    assert len(re.findall(r"^q\d+ +1 ", shown, re.MULTILINE)) == 9
    assert "more:" not in pydoredis(redis_url, "top", "--once").stdout


def test_where_nothing_is(redis_url: str) -> None:
    done = pydoredis(redis_url, "top")  # whose output is no terminal
    assert done.exit_code == 0
    assert "no queues\n\nno jobs\n\nno agents\n\nno running\n\nno warnings" in done.stdout


def test_json(pool: str) -> None:
    seen = document(pool, "top")
    assert sorted(seen) == ["agents", "jobs", "queues", "running", "server", "time", "warnings"]
    queue = next(each for each in seen["queues"] if each["queue"] == "Q")
    assert (queue["backlog"], queue["queued"], queue["unsent"], queue["workers"]) == (198, 2, 196, 3)
    assert queue["counters"]["run"]["sum_s"] == 617.0
    job = next(each for each in seen["jobs"] if each["job"] == JOB)
    assert (job["done"], job["total"], job["left_s"]) == (30, 2000, pytest.approx(1970 / 7.5))
    assert seen["agents"][0]["counters"]["done"] == 1234
    datetime.fromisoformat(seen["time"])


def test_no_password_is_shown(pool: str) -> None:
    address = pool.replace("redis://", "redis://default:s3cret@")
    for arguments in (["--once"], ["--json"]):
        done = pydoredis(address, "top", *arguments)
        assert "s3cret" not in done.stdout + done.stderr


def test_a_server_that_is_not_there_is_an_error() -> None:
    done = pydoredis("redis://127.0.0.1:1/0", "top", "--once")
    assert done.exit_code == 3


def test_without_textual_it_says_how_to_get_it(pool: str, tmp_path: Path) -> None:
    """At a terminal: one of a program's own."""
    (tmp_path / "textual").mkdir()
    (tmp_path / "textual" / "__init__.py").write_text(
        "raise ModuleNotFoundError('no textual', name='textual')"
    )
    primary, secondary = pty.openpty()
    try:
        command = [sys.executable, "-m", "pydoredis", "top", "--url", pool]
        environment = {**clean_environment(), "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            command, stdout=secondary, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    finally:
        os.close(primary)
        os.close(secondary)
    assert done.returncode == 1
    assert "pip install 'pydoredis[top]'" in done.stderr
    assert "--once" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((None, "-"), (0.04, "0.0s"), (9.96, "10s"), (59.6, "1m00s"), (245, "4m05s"), (7620, "2h07m")),
        (273600, "3d04h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert grids.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (0, "-"), (17_400, "17 kB"), (17e6, "17 MB"), (1.24e9, "1.2 GB")]
)
def test_sizes(count: int | None, text: str) -> None:
    assert grids.size(count) == text


def test_what_is_wrong_with_a_server_stands_in_its_line() -> None:
    info = {"redis_version": "7.0.15", "role": "slave", "evicted_keys": 3, "aof_last_write_status": "err"}
    line = grids.server_line(ServerStatus.of("redis://h", 0.001, info), datetime(2026, 11, 30))
    assert "EVICTED 3 KEYS" in line
    assert "CANNOT WRITE" in line
    assert "a slave" in line


def test_the_pace_is_what_agents_did_between_two_looks() -> None:
    server = ServerStatus.of("redis://h", 0.001, {})
    time = datetime(2026, 11, 30)
    pace = grids.Pace()
    pace.see(Snapshot(time, server, counters={("Q", "a"): Counters(done=5), ("P", "a"): Counters(done=100)}))
    assert pace.of_queue("Q") is None
    later = {("Q", "a"): Counters(done=25), ("Q", "new"): Counters(done=900)}
    pace.see(Snapshot(time + timedelta(seconds=2), server, counters=later))
    assert (pace.of_queue("Q"), pace.of_queue("P"), pace.of_job("J")) == (10.0, 0.0, None)


# --- the live view ----------------------------------------------------------------------------------------


class Live:
    """The live view under Textual's pilot, as a user sees it."""

    def __init__(self, url: str) -> None:
        pytest.importorskip("textual")
        from pydoredis.top.app import Top

        self.telemetry = Telemetry(ConnectionSettings(url))
        self.app = Top(self.telemetry, interval_s=0.2)

    def rows(self, title: str) -> list[list[str]]:
        table = self.app._table(title)
        return [[cell.plain for cell in table.get_row_at(n)] for n in range(table.row_count)]


@pytest.fixture
def live(pool: str) -> Iterator[Live]:
    seen = Live(pool)
    yield seen
    seen.telemetry.close()


async def until(condition: object, what: str) -> None:
    """Poll, while the view goes on."""
    assert callable(condition)
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"not after 20 s: {what}")


def test_the_view_follows_what_happens(live: Live, redis_client: redis.Redis) -> None:
    async def look() -> None:
        async with live.app.run_test(size=(160, 50)):
            await until(lambda: live.rows("jobs"), "jobs are shown")
            assert [row[0] for row in live.rows("queues")] == ["Q", "[b]"]
            assert live.rows("agents")[0][0] == "a"
            assert live.rows("running")[0][2] == "4...6"
            assert "SIGSEGV" in live.rows("warnings")[0][3]
            submit(redis_client, "later", JOB, [1])
            await until(lambda: len(live.rows("queues")) == 3, "a new queue is shown")

    asyncio.run(look())


def test_a_job_is_cancelled_after_a_question(live: Live, redis_client: redis.Redis) -> None:
    keys = QueueKeys("Q")

    async def look() -> None:
        async with live.app.run_test(size=(160, 50)) as pilot:
            await until(lambda: len(live.rows("jobs")) == 2, "jobs are shown")
            await pilot.press("down", "c")
            await until(lambda: len(live.app.screen_stack) == 2, "it asks")
            await pilot.press("n")
            await until(lambda: len(live.app.screen_stack) == 1, "the question is gone")
            assert redis_client.exists(keys.env(JOB)), "the answer was no"
            row = live.app._table("jobs").cursor_row
            name = live.rows("jobs")[row][1]
            await pilot.press("c")
            await until(lambda: len(live.app.screen_stack) == 2, "it asks again")
            await pilot.press("y")
            await until(lambda: len(live.rows("jobs")) == 1, "the job is gone")
            assert live.rows("jobs")[0][1] != name

    asyncio.run(look())


def test_an_agent_is_told_to_leave(live: Live, redis_client: redis.Redis) -> None:
    async def look() -> None:
        async with live.app.run_test(size=(160, 50)) as pilot:
            await until(lambda: live.rows("agents"), "agents are shown")
            await pilot.press("d")
            assert len(live.app.screen_stack) == 1, "jobs are no agents"
            await pilot.press("2")
            await until(lambda: live.app.focused is live.app._table("agents"), "agents are in front")
            await pilot.press("d")
            await until(lambda: len(live.app.screen_stack) == 2, "it asks")
            await pilot.press("y")
            await until(lambda: redis_client.exists(QueueKeys("Q").drain("a")), "the agent is told")

    asyncio.run(look())


def test_an_outage_is_shown_and_waited_out(live: Live) -> None:
    async def look() -> None:
        async with live.app.run_test(size=(160, 50)):
            await until(lambda: live.rows("jobs"), "jobs are shown")
            line = live.app.query_one("#server")
            right = live.telemetry._store
            wrong = Telemetry(ConnectionSettings("redis://127.0.0.1:1/0"))
            live.telemetry._store = wrong._store
            await until(lambda: "127.0.0.1:1" in str(line.render()), "the outage is shown")
            assert live.rows("jobs"), "with what was seen before"
            live.telemetry._store = right
            await until(lambda: "clients" in str(line.render()), "Redis is back")

    asyncio.run(look())


@pytest.mark.rpeer
def test_a_pool_of_real_peers(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> None:
    """An R coordinator, an R worker and an agent of ours; the agent is told to leave, and nothing is lost."""
    pool = Pool(redis_url, redis_client, "jobs")
    try:
        r_worker, agent = pool.add_r_worker(), pool.add_agent(1)
        go = tmp_path / "go"
        body = f"{{ while (!file.exists({r_string(str(go))})) Sys.sleep(0.05); i * 11 }}"
        job = pool.coordinator(f"say(foreach(i = 1:6, .combine = c) %dopar% {body})")
        pool.wait_for(lambda: len(document(redis_url, "top")["running"]) == 2, "both say what they run")
        seen = document(redis_url, "top")
        assert {task["pid"] for task in seen["running"]} >= {r_worker.pid}
        (queue,) = seen["queues"]
        assert (queue["queued"], queue["running"], queue["workers"], queue["busy"]) == (4, 2, 2, 2)
        table = pydoredis(redis_url, "top", "--once").stdout
        assert "R worker" in table
        assert [row for row in table.splitlines() if row.startswith("jobs")]
        with Telemetry(ConnectionSettings(redis_url)) as telemetry:
            telemetry.drain(seen["agents"][0]["agent"], "jobs")
        pool.wait_for(lambda: "wants this agent to leave" in agent.output, "the agent has heard of it")
        go.touch()
        assert job.value() == "c(11, 22, 33, 44, 55, 66)"
        wait_until(lambda: not agent.running, "the agent has left")
        assert agent.process.returncode == 0
        assert document(redis_url, "top")["agents"] == []
        assert document(redis_url, "top")["queues"][0]["workers"] == 1
    finally:
        pool.close()
