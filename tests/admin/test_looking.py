"""jobs, tasks and workers say what is on the server, however things are called and whatever else is there."""

from __future__ import annotations

from datetime import datetime

import pytest
import redis

import pydoredis.admin
from pydoredis.admin import Admin, jobs, tasks, workers
from pydoredis.errors import ConfigError, StoreUnavailable, UnknownJob
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.queue import Queue
from pydoredis.server import free_port
from pydoredis.settings import ConnectionSettings
from pydoredis.tables import JobRow, Table, TaskRow, WorkerRow
from tests.admin.queues import job_id, submit, take, task, task_tag
from tests.agent_store import AgentStore

ODD = job_id(349, "svc_batch", "node-1.example.org")


class TestJobs:
    def test_a_job_with_odd_names_on_a_queue_with_an_odd_name(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "a.b_c", ODD, range(1, 6))
        take(redis_client, "a.b_c", ODD, task_tag(1))
        take(redis_client, "a.b_c", ODD, task_tag(2), alive=False)
        keys = QueueKeys("a.b_c")
        redis_client.lpush(keys.out(ODD), b"result", b"result")
        redis_client.hset(keys.published(ODD), "0...0", "by")
        (row,) = admin.jobs()
        assert row == JobRow(
            queue="a.b_c",
            id=349,
            user="svc_batch",
            host="node-1.example.org",
            time=datetime(2026, 11, 23, 11, 45, 31),
            job=ODD,
            state="open",
            queued=3,
            queued_exact=True,
            running=1,
            lapsed=1,
            results=2,
            done=1,
        )

    def test_queues_do_not_mix(self, admin: Admin, redis_client: redis.Redis) -> None:
        for number, queue in enumerate(["a", "a.b", "a.b.env", "größe 2"], start=1):
            submit(redis_client, queue, job_id(number), range(number))
        assert [(row.queue, row.id, row.queued) for row in admin.jobs()] == [
            *(("a", 1, 1), ("a.b", 2, 2), ("a.b.env", 3, 3), ("größe 2", 4, 4))
        ]
        assert [row.id for row in admin.jobs("a.b")] == [2]
        assert [row.id for row in admin.jobs("a")] == [1]
        assert not admin.jobs("b")

    def test_jobs_come_in_the_order_of_submission(self, admin: Admin, redis_client: redis.Redis) -> None:
        for milliseconds in (7, 3, 5):
            submit(redis_client, "q", job_id(9 - milliseconds, milliseconds=milliseconds), [1])
        assert [row.time.microsecond for row in admin.jobs("q")] == [3000, 5000, 7000]

    def test_what_is_left_of_a_job_without_environment(self, admin: Admin, redis_client: redis.Redis) -> None:
        queued, answered, started = (job_id(pid) for pid in (1, 2, 3))
        redis_client.rpush("q", task(queued, 1))
        redis_client.rpush(QueueKeys("q").out(answered), b"late")
        take(redis_client, "q2", started, task_tag(1), alive=False)
        redis_client.set("q.live", b"")
        rows = {row.job: row for row in admin.jobs()}
        assert {row.state for row in rows.values()} == {"left over"}
        assert rows[queued].queued == rows[answered].results == rows[started].lapsed == 1

    def test_tasks_for_python_workers_only_count_too(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", ODD, [1])
        redis_client.rpush(QueueKeys("q").python, task(ODD, 2))
        assert admin.jobs("q")[0].queued == 2

    def test_a_queue_too_long_to_count(
        self, admin: Admin, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pydoredis.admin, "MAX_COUNTED", 1000)
        submit(redis_client, "q", ODD, range(2500))
        (row,) = admin.jobs("q")
        assert 1000 <= row.queued < 2500
        assert not row.queued_exact
        for _ in range(1500):
            redis_client.lpop("q")
        assert (admin.jobs("q")[0].queued, admin.jobs("q")[0].queued_exact) == (1000, True)

    def test_large_tasks_are_counted_one_stretch_after_another(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        submit(redis_client, "q", ODD, range(40), argument="x" * 1_000_000)
        assert admin.jobs("q")[0].queued == 40

    def test_keys_of_other_programs_are_no_jobs(self, admin: Admin, redis_client: redis.Redis) -> None:
        redis_client.set("page.count", 17)
        redis_client.set("app.live", "yes")
        redis_client.set("app", "text, and no list")
        redis_client.set("settings.env.production", "x")
        redis_client.set(f"app.out.{ODD}", "text, and no list")
        redis_client.set(b"\xff.live", "not UTF-8")
        assert not admin.jobs()
        assert not admin.workers()
        assert not admin.tasks()

    def test_a_name_that_is_a_pattern_is_refused(self, admin: Admin) -> None:
        with pytest.raises(ConfigError):
            admin.jobs("q*")


class TestTasks:
    def test_a_task_is_described_as_r_does_and_more(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "a.b_c", ODD, range(1, 4))
        take(redis_client, "a.b_c", ODD, task_tag(1, 3, host="w-1.example.org", pid=71))
        (row,) = admin.tasks()
        assert row == TaskRow(
            queue="a.b_c",
            id=349,
            user="svc_batch",
            coordinator="node-1.example.org",
            time=datetime(2026, 11, 23, 11, 45, 31),
            iter="1...3",
            host="w-1.example.org",
            pid=71,
            job=ODD,
            state="running",
        )

    def test_states(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", ODD, range(3))
        take(redis_client, "q", ODD, task_tag(1))
        take(redis_client, "q", ODD, task_tag(2), alive=False)
        redis_client.set(QueueKeys("q").alive(ODD, task_tag(3)), b"OK", ex=10)
        assert [row.state for row in admin.tasks()] == ["running", "lapsed", "ended"]

    def test_those_of_one_job(self, admin: Admin, redis_client: redis.Redis) -> None:
        for pid in (12, 123):
            submit(redis_client, "q", job_id(pid), [1])
            take(redis_client, "q", job_id(pid), task_tag(1))
        assert [row.id for row in admin.tasks(job="12")] == [12]
        assert [row.id for row in admin.tasks(job=job_id(123))] == [123]
        assert len(admin.tasks("q")) == 2
        assert not admin.tasks("r")

    def test_a_begin_with_a_fraction_and_one_that_is_no_time(
        self, admin: Admin, redis_client: redis.Redis
    ) -> None:
        tag = task_tag(1)
        take(redis_client, "q", ODD, f"{tag}.25")
        take(redis_client, "q", ODD, tag.replace("1...1", "2...2").replace("2026", "year"))
        take(redis_client, "q", ODD, "")
        assert [row.time for row in admin.tasks()] == [datetime(2026, 11, 23, 11, 45, 31, 250000), None]


class TestWorkers:
    def test_busy_ones_by_name_and_idle_ones_by_number(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", ODD, range(4))
        redis_client.set("q.count", 5)
        take(redis_client, "q", ODD, task_tag(2, pid=70))
        take(redis_client, "q", ODD, task_tag(3, pid=70))
        take(redis_client, "q", ODD, task_tag(1, pid=71))
        take(redis_client, "q", ODD, task_tag(4, pid=72), alive=False)
        rows = admin.workers()
        assert [(row.state, row.workers, row.host, row.pid, row.iter, row.tasks) for row in rows] == [
            ("busy", 1, "w1", 70, "2...2", 2),
            ("busy", 1, "w1", 71, "1...1", 1),
            ("lapsed", 1, "w1", 72, "4...4", 1),
            ("idle", 3, None, None, None, 0),
        ]

    def test_agents_say_who_they_are(self, admin: Admin, redis_client: redis.Redis, redis_url: str) -> None:
        """Two on one machine, and a worker of R's beside them; and one that is gone."""
        keys = QueueKeys("q")
        submit(redis_client, "q", ODD, range(4))
        redis_client.set("q.count", 6)
        here = Presence("a", "w1", 60, 2, ("cloudpickle",), "3.11.7", "", "0.1", (70, 71))
        also = Presence("b", "w1", 80, 3, ("r",), "3.13.0", "4.5.0", "0.1", (90, 91, 92))
        redis_client.set("q.live", "")
        connection = ConnectionSettings(redis_url)
        with AgentStore(connection, [keys], here) as store, AgentStore(connection, [keys], also) as other:
            store.announce()
            other.announce()
            redis_client.hset(keys.agents, "gone", 1)
            redis_client.set("q.count", 7)
            take(redis_client, "q", ODD, task_tag(2, pid=70))
            take(redis_client, "q", ODD, task_tag(3, pid=90))
            rows = admin.workers()
            assert [(r.state, r.workers, r.host, r.pid, r.python, r.r) for r in rows] == [
                ("busy", 1, "w1", 70, "3.11.7", None),
                ("busy", 1, "w1", 90, "3.13.0", "4.5.0"),
                ("idle", 1, "w1", 60, "3.11.7", None),
                ("idle", 2, "w1", 80, "3.13.0", "4.5.0"),
                ("idle", 1, None, None, None, None),
            ]
            assert redis_client.get("q.count") == b"7", "a look changes nothing"
            assert 0 < int(redis_client.ttl(keys.agent("a"))) <= 15
            store.leave()
        assert [row.workers for row in admin.workers() if row.state == "idle"] == [2]

    def test_a_queue_that_nobody_serves(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", ODD, [1])
        assert not admin.workers("q")


class TestFindingOne:
    def test_by_id_by_its_beginning_and_by_process(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", ODD, [1])
        for text in (ODD, "349", "349_svc"):
            assert admin.find_job(text).job == ODD

    def test_a_number_is_a_whole_number(self, admin: Admin, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", job_id(1234), [1])
        with pytest.raises(UnknownJob, match="there is no job '123'"):
            admin.find_job("123")

    def test_several_are_listed(self, admin: Admin, redis_client: redis.Redis) -> None:
        first, second = job_id(7), job_id(7, milliseconds=500)
        submit(redis_client, "q", first, [1])
        submit(redis_client, "r", second, [1])
        with pytest.raises(UnknownJob) as caught:
            admin.find_job("7")
        assert caught.value.candidates == (f"{first} (queue q)", f"{second} (queue r)")
        assert admin.find_job("7", "r").job == second
        assert admin.find_job(first).queue == "q"

    def test_one_id_on_two_queues_is_not_one_job(self, admin: Admin, redis_client: redis.Redis) -> None:
        for queue in ("q", "r"):
            submit(redis_client, queue, ODD, [1])
        with pytest.raises(UnknownJob):
            admin.find_job(ODD)


class TestTables:
    def test_data_frames_on_demand(self, redis_url: str, redis_client: redis.Redis) -> None:
        pandas = pytest.importorskip("pandas")
        connection = ConnectionSettings(redis_url)
        empty = jobs(connection=connection).to_pandas()
        submit(redis_client, "q", ODD, [1])
        frame = jobs(connection=connection).to_pandas()
        assert list(frame.columns[:5]) == ["queue", "id", "user", "host", "time"]
        assert frame["time"][0] == pandas.Timestamp(2026, 11, 23, 11, 45, 31)
        assert frame["done"][0] is pandas.NA
        assert list(frame.dtypes) == list(empty.dtypes)

    def test_typed_rows(self, redis_url: str, redis_client: redis.Redis) -> None:
        submit(redis_client, "q", ODD, [1])
        connection = ConnectionSettings(redis_url)
        table = jobs(connection=connection)
        assert Queue("q", redis_url).jobs() == table
        assert isinstance(tasks(connection=connection), Table)
        assert isinstance(workers(connection=connection), Table)
        assert [row.id for row in table] == [349]
        assert isinstance(table[0:1], Table)
        assert table[0:1] == table
        assert table.to_dicts()[0]["job"] == ODD

    def test_an_empty_table_knows_its_columns(self) -> None:
        assert Table(WorkerRow).columns[:3] == ("queue", "state", "workers")
        assert Table(WorkerRow) != Table(JobRow)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(StoreUnavailable):
        jobs(connection=ConnectionSettings(f"redis://127.0.0.1:{free_port()}/0"))
