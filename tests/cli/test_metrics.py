"""`pydoredis metrics` as Prometheus sees it; the dashboard and the alerts in deploy/ ask for nothing else."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.telemetry import BOUNDS_S, Counters, Demand
from pydoredis.settings import ConnectionSettings
from pydoredis.telemetry import Telemetry
from tests.admin.agents import activity, announce, presence
from tests.admin.queues import job_id, mark, submit, task_tag
from tests.cli.test_admin import pydoredis
from tests.peers.pool import Pool
from tests.peers.processes import clean_environment

prometheus = pytest.importorskip("prometheus_client")
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from pydoredis import metrics  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
RULES = ROOT / "deploy" / "pydoredis-rules.yaml"
JOB = job_id(349)

Samples = Mapping[tuple[str, str], float]
"""Values by name of the sample and by its labels, as `queue=Q outcome=done`."""


@pytest.fixture
def pool(redis_url: str, redis_client: redis.Redis) -> str:
    """The address of a server with a job of ours, an agent of two queues, and an R worker with a task."""
    submit(redis_client, "Q", JOB, range(1, 4))
    demand = Demand(45, 1955, 2000, 30, 2, 15, 10, 7.5, ((45, 30.0),))
    redis_client.set(QueueKeys("Q").demand(JOB), demand.encode(), ex=60)
    does = [activity("Q", JOB, done=4), activity("Q", JOB, done=1)]
    announce(redis_client, ["Q", "P"], presence("a"), does)
    mark(redis_client, "Q", JOB, task_tag(9))
    redis_client.incr("Q.count")
    return redis_url


@contextmanager
def exporter(url: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and where it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pydoredis", "metrics", "--port", "0", "--url", url, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def scrape(address: str) -> Samples:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return samples(text_string_to_metric_families(answer.read().decode()))


def samples(families: Iterable[Any]) -> Samples:
    every = [sample for family in families for sample in family.samples]
    return {(each.name, _labels(each.labels)): each.value for each in every}


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


@pytest.fixture
def exported(pool: str) -> Samples:
    """What is exported of that pool."""
    with Telemetry(ConnectionSettings(pool)) as telemetry:
        registry = prometheus.CollectorRegistry(auto_describe=False)
        registry.register(metrics.PoolCollector(telemetry))
        text = prometheus.generate_latest(registry).decode()
    return samples(text_string_to_metric_families(text))


def test_what_is_exported(exported: Samples) -> None:
    def value(name: str, labels: str = "queue=Q") -> float:
        return exported[f"pydoredis_{name}", labels]

    assert value("redis_up", "") == value("redis_saved", "") == 1
    assert value("redis_memory_bytes", "") > 0
    assert 0 < value("look_seconds", "") < 10
    found = {name: value(name) for name in ("backlog_tasks", "queued_tasks", "unsent_tasks")}
    assert found == {"backlog_tasks": 199, "queued_tasks": 3, "unsent_tasks": 196}
    assert value("oldest_task_age_seconds") == pytest.approx(30, abs=5)
    assert value("oldest_task_age_seconds", "queue=P") == 0
    assert (value("workers"), value("workers_busy"), value("agents")) == (3, 2, 1)
    assert (value("executors"), value("executors_busy"), value("executors_waiting")) == (2, 1, 0)
    assert (value("executors", "queue=P"), value("executors_busy", "queue=P")) == (2, 0)
    assert (value("jobs"), value("running_tasks"), value("lapsed_tasks")) == (1, 1, 0)
    outcomes = {
        outcome: value("tasks_total", f"outcome={outcome} queue=Q")
        for outcome in ("done", "crashed", "timed_out", "given_back")
    }
    assert outcomes == {"done": 4, "crashed": 1, "timed_out": 0, "given_back": 3}
    assert value("iterations_total") == 8
    assert value("resident_memory_bytes", "host=a") == 120e6
    assert (value("task_run_seconds_sum"), value("task_run_seconds_count")) == (2.0, 4)
    bounds = [f"{bound}" for bound in BOUNDS_S] + ["+Inf"]
    buckets = [value("task_run_seconds_bucket", f"le={bound} queue=Q") for bound in bounds]
    assert buckets == [0] * 6 + [4] * 9, "half a second each"


def test_a_scrape_over_http_and_the_end(pool: str, redis_client: redis.Redis) -> None:
    with exporter(pool, "--queue", "Q") as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", address), "this machine alone"
        seen = scrape(address)
        assert seen["pydoredis_backlog_tasks", "queue=Q"] == 199
        assert ("pydoredis_backlog_tasks", "queue=P") not in seen
        submit(redis_client, "Q", JOB, [4])
        assert scrape(address)["pydoredis_backlog_tasks", "queue=Q"] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_redis_that_is_away_is_told_and_waited_for() -> None:
    with exporter("redis://127.0.0.1:1/0") as (process, address):
        assert scrape(address) == {("pydoredis_redis_up", ""): 0}
        assert process.poll() is None


def test_passwords_are_not_told(pool: str) -> None:
    url = pool.replace("redis://", "redis://default:s3cret@")
    with Telemetry(ConnectionSettings(url)) as telemetry:
        told = samples(metrics.PoolCollector(telemetry).collect())
    assert "s3cret" not in str(told)


def test_a_port_that_is_taken_is_an_error(pool: str) -> None:
    with exporter(pool) as (_, address):
        port = address.rpartition(":")[2].partition("/")[0]
        done = pydoredis(pool, "metrics", "--port", port)
    assert done.exit_code == 2
    assert port in done.stderr


def test_without_the_client_it_says_how_to_get_it(pool: str, tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text(
        "raise ModuleNotFoundError('no client', name='prometheus_client')"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pydoredis", "metrics", "--url", pool],
        capture_output=True,
        text=True,
        env={**clean_environment(), "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'pydoredis[metrics]'" in done.stderr


class TestTotals:
    """A counter never goes back, whoever comes and leaves."""

    def test_what_an_agent_did_stays_when_it_leaves(self) -> None:
        totals = metrics.Totals()
        a, b, later = Counters(done=5, crashed=1), Counters(done=3), Counters(done=9, crashed=1)
        assert totals.add({("Q", "a"): a, ("P", "a"): b})["Q"].done == 5
        assert totals.add({("Q", "a"): later, ("Q", "b"): b})["Q"].done == 12
        assert totals.add({("Q", "b"): replace(b, done=4)})["Q"].done == 13
        assert totals.add({})["Q"] == Counters(done=13, crashed=1)
        assert totals.add({})["P"] == b

    def test_an_agent_that_was_not_heard_of_for_a_while_is_not_counted_twice(self) -> None:
        totals = metrics.Totals()
        totals.add({("Q", "a"): Counters(done=5)})
        totals.add({})
        assert totals.add({("Q", "a"): Counters(done=6)})["Q"].done == 6

    def test_memory_does_not_grow_with_the_number_of_agents(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics, "KEPT_AGENTS", 3)
        totals = metrics.Totals()
        for number in range(10):
            assert totals.add({("Q", f"{number}"): Counters(done=1)})["Q"].done == number + 1
        assert len(totals._seen) == 3


# --- the files in deploy/ ---------------------------------------------------------------------------------


def names_in(query: str) -> set[str]:
    """Names of metrics in a query, which is read by a parser of the language."""
    promql = pytest.importorskip("promql_parser")
    for variable, value in (("$__rate_interval", "1m"), ("$queue", ".*")):
        query = query.replace(variable, value)
    promql.parse(query)  # raises what is wrong
    return set(re.findall(r"\bpydoredis_\w+", query))


def queries(dashboard: Mapping[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_what_is_exported(exported: Samples) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) < 24
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    (listed,) = (each for each in dashboard["templating"]["list"] if each["type"] == "query")
    wanted = set(re.findall(r"pydoredis_\w+", listed["query"]["query"]))
    for query in queries(dashboard):
        found = names_in(query)
        assert found, query
        wanted |= found
    known = {name for name, _ in exported}
    assert wanted - known == set()
    unused = {name for name in known if name.startswith("pydoredis_") and name not in wanted}
    assert len(unused) < len(known) / 2


def test_alerts_ask_for_what_is_exported(exported: Samples) -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    rules = group["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 8
    known = {name for name, _ in exported}
    for rule in rules:
        assert names_in(rule["expr"]) <= known, rule["alert"]
        assert names_in(rule["expr"])
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


@pytest.mark.rpeer
def test_real_peers(redis_url: str, redis_client: redis.Redis) -> None:
    """An R coordinator's loop on an R worker and an agent of ours: what ours did is exported."""
    pool = Pool(redis_url, redis_client, "jobs")
    try:
        pool.add_r_worker()
        pool.add_agent(1)
        assert pool.run("say(foreach(i = 1:40, .combine = sum) %dopar% { Sys.sleep(0.02); i })") == "820L"
        with exporter(redis_url) as (_, address):
            pool.wait_for(
                lambda: scrape(address).get(("pydoredis_tasks_total", "outcome=done queue=jobs"), 0) > 0,
                "what is done is told",
            )
            seen = scrape(address)
        done = seen["pydoredis_tasks_total", "outcome=done queue=jobs"]
        assert seen["pydoredis_task_run_seconds_count", "queue=jobs"] == done <= 40
        assert seen["pydoredis_task_run_seconds_sum", "queue=jobs"] >= 0.02 * done
        assert seen["pydoredis_workers", "queue=jobs"] == 2
        assert seen["pydoredis_executors", "queue=jobs"] == 1
        assert seen["pydoredis_backlog_tasks", "queue=jobs"] == 0
    finally:
        pool.close()
