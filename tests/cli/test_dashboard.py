"""`pydoredis dashboard` as a browser sees it, and as whoever should not see it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")

from starlette.datastructures import Headers  # noqa: E402

import pydoredis as dr  # noqa: E402
from pydoredis.dashboard.access import Access, is_loopback, read_token  # noqa: E402
from pydoredis.dashboard.watch import Watch  # noqa: E402
from pydoredis.errors import ConfigError, JobCancelled  # noqa: E402
from pydoredis.protocol.keys import QueueKeys  # noqa: E402
from pydoredis.protocol.telemetry import Demand, Warned  # noqa: E402
from pydoredis.settings import ConnectionSettings  # noqa: E402
from pydoredis.telemetry import Telemetry  # noqa: E402
from tests.admin.agents import activity, announce, presence  # noqa: E402
from tests.admin.queues import job_id, submit  # noqa: E402
from tests.cli.dashboards import TOKEN, Dashboard, csrf, dashboard, events  # noqa: E402
from tests.cli.test_admin import document, pydoredis  # noqa: E402
from tests.peers.pool import Pool  # noqa: E402
from tests.peers.processes import clean_environment, r_string  # noqa: E402
from tests.redis_process import RedisProcess, needs_server  # noqa: E402

JOB, OTHER = job_id(349, "svc_batch", "node-1"), job_id(350)
HTML = "<script>alert(1)</script>"


def fill(client: redis.Redis) -> None:
    """Two jobs, one on a queue whose name is HTML; an agent at work on the other one, and an R worker."""
    submit(client, "Q", JOB, range(1, 3))
    submit(client, HTML, OTHER, [1])
    client.set(QueueKeys("Q").demand(JOB), Demand(45, 1955, 2000, 30, 2, 15, 10, 7.5).encode(), ex=600)
    heartbeat(client)
    client.incr("Q.count")


def heartbeat(client: redis.Redis) -> None:
    """What the agent says, for the next 15 seconds."""
    warned = [Warned(5.0, "executor 71 killed by <b>SIGSEGV</b>")]
    announce(client, ["Q"], presence("a"), [activity("Q", JOB, done=1234, warned=warned)])


@pytest.fixture
def pool(redis_url: str, redis_client: redis.Redis) -> str:
    """The address of a server with what `fill` puts there."""
    fill(redis_client)
    return redis_url


@pytest.fixture
def shown(pool: str) -> Iterator[Dashboard]:
    """A dashboard for everybody on this machine."""
    with dashboard(pool) as found:
        yield found


@pytest.fixture
def guarded(pool: str) -> Iterator[Dashboard]:
    """A dashboard that acts, for who has the token."""
    with dashboard(pool, "--allow-actions", token=TOKEN) as found:
        yield found


def tables(seen: Any) -> dict[str, list[list[str]]]:
    return {table["title"]: table["rows"] for table in seen["tables"]}


# --- what is shown ----------------------------------------------------------------------------------------


def test_the_page_holds_all_that_it_needs(shown: Dashboard) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", shown.address), "this machine alone"
    answer = shown.client.get("/")
    assert answer.status_code == 200
    assert not re.search(r"https?:|//[a-z]|@import|url\(|src=", answer.text), "nothing is loaded"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'", "what is inside may run, and nothing else"
    assert "innerHTML" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


def test_events_are_the_tables_of_top(shown: Dashboard, redis_client: redis.Redis) -> None:
    with events(shown.client) as told:
        name, session = next(told)
        assert (name, session["actions"]) == ("session", False)
        name, seen = next(told)
        assert name == "snapshot"
        assert " clients" in seen["line"]
        found = tables(seen)
        assert list(found) == ["queues", "jobs", "agents", "running", "warnings"]
        assert [row[0] for row in found["queues"]] == [HTML, "Q"]
        jobs = {row[1]: row for row in found["jobs"]}
        assert jobs[JOB] == ["Q", JOB, "svc_batch", "2", "0", "0", "30", "2,000", "2", "7.5", "4m23s"]
        (table,) = (table for table in seen["tables"] if table["title"] == "jobs")
        assert table["about"][[row[1] for row in table["rows"]].index(JOB)] == {"queue": "Q", "job": JOB}
        assert sorted(table["shares"], key=bool) == [None, 30 / 2000]
        assert found["running"][0][:5] == ["Q", JOB, "4...6", "a", "71"]
        assert "<b>SIGSEGV</b>" in found["warnings"][0][3]
        submit(redis_client, "later", JOB, [1])
        assert "later" in [row[0] for row in tables(next(told)[1])["queues"]]


def without_times(value: Any) -> Any:
    """A document without what changes from one look to the next."""
    if isinstance(value, dict):
        changing = ("time", "commands_per_s", "clients", "memory_bytes", "oldest_s", "running_s")
        return {
            name: without_times(each)
            for name, each in value.items()
            if name not in changing and not re.search("^(up|said|latency)_s$", name)
        }
    return [without_times(each) for each in value] if isinstance(value, list) else value


def test_the_document_is_that_of_top(shown: Dashboard, pool: str) -> None:
    answer = shown.client.get("/api/snapshot")
    assert answer.headers["content-type"] == "application/json"
    ours, tops = answer.json(), document(pool, "top")
    assert without_times(ours) == without_times(tops)
    assert ours["queues"][1]["backlog"] == 198
    assert ours.keys() == tops.keys()


def test_only_one_queue(pool: str) -> None:
    with dashboard(pool, "--queue", "Q") as shown:
        assert [row["queue"] for row in shown.client.get("/api/snapshot").json()["queues"]] == ["Q"]


def test_no_password_is_shown(pool: str) -> None:
    with dashboard(pool.replace("redis://", "redis://default:s3cret@")) as shown:
        with events(shown.client) as told:
            seen = [next(told), next(told)]
        assert "s3cret" not in f"{seen}"
        assert "s3cret" not in shown.client.get("/api/snapshot").text


def test_many_browsers_share_a_look_and_nobody_looks_for_nobody(pool: str) -> None:
    interval_s = 0.2

    async def browser(watch: Watch, count: int) -> list[object]:
        found: list[object] = []
        async for view in watch.views():
            found.append(view)
            if len(found) == count:
                break
        return found

    async def look(telemetry: Telemetry) -> None:
        watch = Watch(telemetry, interval_s=interval_s)
        begun_s = time.monotonic()
        seen = await asyncio.gather(*(browser(watch, 4) for _ in range(20)))
        assert time.monotonic() - begun_s >= 3 * interval_s
        assert all(each == seen[0] for each in seen)
        assert watch.looks == 4
        await asyncio.sleep(3 * interval_s)  # in which a look would be a mistake
        assert watch.looks == 4
        waiting = asyncio.ensure_future(browser(watch, 1000))
        watch.end()
        assert len(await waiting) <= 1, "the end is not waited for"

    with Telemetry(ConnectionSettings(pool)) as telemetry:
        asyncio.run(look(telemetry))


def test_redis_is_looked_at_once_a_second_and_only_while_somebody_looks(
    shown: Dashboard, redis_client: redis.Redis
) -> None:
    def looks() -> int:
        return int(redis_client.info("commandstats")["cmdstat_info"]["calls"])

    with events(shown.client) as told, httpx.Client(base_url=shown.address, trust_env=False) as other:
        before, begun_s = looks(), time.monotonic()
        with events(other) as told_too:
            for _ in range(3):
                next(told), next(told_too)
                shown.client.get("/api/snapshot").raise_for_status()
        seconds, after = time.monotonic() - begun_s, looks()
        assert after - before - 1 <= seconds + 2, "one a second, and `looks` itself"


@needs_server
def test_an_outage_is_shown_and_waited_out() -> None:
    with RedisProcess() as server, dashboard(server.url) as shown, events(shown.client) as told:
        next(told)
        assert next(told)[0] == "snapshot"
        server.stop()
        name, seen = next(event for event in told if event[0] != "snapshot")
        assert name == "outage"
        assert f"127.0.0.1:{server.port}" in seen["error"]
        answer = shown.client.get("/api/snapshot")
        assert answer.status_code == 503
        assert f"{server.port}" in answer.json()["error"]
        server.start()
        with server.client() as client:
            submit(client, "after", JOB, [1])
        name, seen = next(event for event in told if event[0] != "outage")
        assert tables(seen)["queues"][0][0] == "after"


def test_it_begins_without_redis() -> None:
    with dashboard("redis://127.0.0.1:1/0") as shown, events(shown.client) as told:
        assert [next(told)[0], next(told)[0]] == ["session", "outage"]


# --- who may look -----------------------------------------------------------------------------------------


def test_other_addresses_need_a_token(pool: str, tmp_path: Path) -> None:
    done = pydoredis(pool, "dashboard", "--bind", "0.0.0.0", "--port", "0")
    assert done.exit_code == 2
    assert "--token-file" in done.stderr
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with dashboard(pool, "--bind", "0.0.0.0", "--token-file", str(file)) as open_to_all:
        assert open_to_all.client.get("/api/session").status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert open_to_all.client.get("/api/session", headers=bearer).is_success
        here = {**bearer, "Host": socket.gethostname()}
        assert open_to_all.client.get("/api/session", headers=here).is_success


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": "pydoredis=1.2"}])
def test_without_the_token_there_is_nothing(guarded: Dashboard, headers: dict[str, str]) -> None:
    for path in ("/events", "/api/snapshot", "/api/session", "/anything"):
        answer = guarded.client.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/api/cancel", "/api/drain"):
        assert guarded.client.post(path, headers=headers, json={"queue": "Q", "job": JOB}).status_code == 401
    page = guarded.client.get("/", headers=headers)
    assert page.status_code == 401
    assert 'action="login"' in page.text
    assert "<script>" not in page.text


def test_the_token_as_bearer(guarded: Dashboard) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.client.get("/", headers=bearer).is_success
    assert guarded.client.get("/api/snapshot", headers=bearer).json()["queues"]
    with events(guarded.client, **bearer) as told:
        assert next(told)[0] == "session"


def test_the_form_gives_a_cookie(guarded: Dashboard) -> None:
    wrong = guarded.client.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401
    assert "That is not the token" in wrong.text
    assert guarded.client.post("/login", data={"token": "x" * 100_000}).status_code == 401
    assert not guarded.client.cookies
    right = guarded.client.post("/login", data={"token": TOKEN})
    assert right.status_code == 303
    told = right.headers["set-cookie"]
    assert "HttpOnly" in told
    assert "SameSite=Strict" in told
    assert TOKEN not in told
    assert guarded.client.get("/api/snapshot").is_success
    guarded.client.post("/logout")
    assert guarded.client.get("/api/snapshot").status_code == 401


def test_cookies_end_and_cannot_be_made_up() -> None:
    now = [1_000_000.0]
    access = Access(TOKEN, clock=lambda: now[0])

    def known(cookie: str, access: Access = access) -> bool:
        return access.is_known(Headers({"cookie": cookie}))

    cookie = access.new_cookie(Headers({})).partition(";")[0]
    assert known(f"other=1; {cookie}")
    name, _, value = cookie.partition("=")
    until, _, mac = value.partition(".")
    for wrong in ("", until, f"{int(until) + 1}.{mac}", f"{until}.{mac[:-1]}", f".{mac}", "é.é"):
        assert not known(f"{name}={wrong}")
    assert known(cookie, Access(TOKEN, clock=lambda: now[0])), "also after a restart"
    assert not known(cookie, Access(f"{TOKEN}2", clock=lambda: now[0]))
    now[0] += 13 * 3600
    assert not known(cookie)
    assert "; Secure" in access.new_cookie(Headers({"origin": "https://dash.example"}))


def test_where_tokens_come_from(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}\n")
    assert read_token(file, {"PYDOREDIS_DASHBOARD_TOKEN": "another-token-of-the-env"}) == TOKEN
    assert read_token(None, {"PYDOREDIS_DASHBOARD_TOKEN": TOKEN}) == TOKEN
    assert read_token(None, {}) is None
    for text in ("", "short", f"{TOKEN} {TOKEN}", f"{TOKEN}é"):
        file.write_text(text)
        with pytest.raises(ConfigError) as told:
            read_token(file, {})
        assert not text or text not in str(told.value)
    with pytest.raises(ConfigError, match="can be read"):
        read_token(tmp_path / "none", {})


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6(pool: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    with dashboard(pool, "--bind", "::1") as shown:
        assert shown.address.startswith("http://[::1]:")
        assert shown.client.get("/api/snapshot").json()["queues"]


def test_which_addresses_are_of_this_machine_alone() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "localhost", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1")))


# --- foreign pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "a@localhost"]
)
def test_foreign_names_are_refused(shown: Dashboard, host: str) -> None:
    """A name that leads to this machine since a minute ago (DNS rebinding) gets a page nowhere."""
    for path in ("/", "/api/session", "/events"):
        assert shown.client.get(path, headers={"Host": host}).status_code in (400, 421)


def test_names_of_its_own_are_not(pool: str) -> None:
    with dashboard(pool, "--allow-host", "dash.example") as shown:
        for host in (
            "localhost",
            "LOCALHOST:99",
            "127.0.0.1",
            "[::1]:8080",
            "dash.example",
            "dash.example.:443",
        ):
            assert shown.client.get("/", headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_foreign_origins_are_refused(pool: str, redis_client: redis.Redis, origin: str) -> None:
    with dashboard(pool, "--allow-actions") as shown:
        given = {**csrf(shown.client), "Origin": origin}
        for path in ("/", "/events", "/api/session"):
            assert shown.client.get(path, headers=given).status_code == 403
        body = {"queue": "Q", "job": JOB}
        assert shown.client.post("/api/cancel", headers=given, json=body).status_code == 403
        assert redis_client.exists(QueueKeys("Q").env(JOB))


# --- who may act ------------------------------------------------------------------------------------------


def test_a_dashboard_only_shows_unless_it_is_told_otherwise(
    shown: Dashboard, redis_client: redis.Redis
) -> None:
    for path, body in (("cancel", {"queue": "Q", "job": JOB}), ("drain", {"queue": "Q", "agent": "a"})):
        answer = shown.client.post(f"/api/{path}", headers=csrf(shown.client), json=body)
        assert answer.status_code == 403
        assert "--allow-actions" in answer.json()["error"]
    assert redis_client.exists(QueueKeys("Q").env(JOB))
    assert not redis_client.exists(QueueKeys("Q").drain("a"))


def test_an_action_needs_what_only_our_page_knows(pool: str, redis_client: redis.Redis) -> None:
    body = {"queue": "Q", "job": JOB}
    with dashboard(pool, "--allow-actions") as shown:
        given = csrf(shown.client)
        (name,) = given
        for headers in ({}, {name: "x"}, {name: ""}, {**given, "Sec-Fetch-Site": "cross-site"}):
            assert shown.client.post("/api/cancel", headers=headers, json=body).status_code == 403
        assert shown.client.post("/api/cancel", headers=given, data=body).status_code == 403, "a form"
        assert shown.client.get("/api/cancel", headers=given).status_code == 405
        assert redis_client.exists(QueueKeys("Q").env(JOB))
        own = {**given, "Origin": shown.address.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        answer = shown.client.post("/api/cancel", headers=own, json=body)
        assert answer.is_success
        assert answer.json()["done"] == f"removed job {JOB}: 2 waiting tasks, 0 were running"
        assert not redis_client.exists(QueueKeys("Q").env(JOB), "Q")


def test_a_cookie_alone_does_not_act_and_a_bearer_does(guarded: Dashboard, redis_client: redis.Redis) -> None:
    body = {"queue": HTML, "job": OTHER}
    guarded.client.post("/login", data={"token": TOKEN})
    assert guarded.client.post("/api/cancel", json=body).status_code == 403
    assert redis_client.exists(QueueKeys(HTML).env(OTHER))
    guarded.client.cookies.clear()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.client.post("/api/cancel", headers=bearer, json=body).is_success
    assert not redis_client.exists(QueueKeys(HTML).env(OTHER))


def test_what_is_not_there_is_an_error(pool: str, redis_client: redis.Redis) -> None:
    with dashboard(pool, "--allow-actions") as shown:
        given = csrf(shown.client)

        def status(path: str, body: object) -> int:
            return shown.client.post(f"/api/{path}", headers=given, json=body).status_code

        assert status("cancel", {"queue": "Q", "job": JOB[:-1]}) == 404, "a job is named as a whole"
        assert status("cancel", {"queue": "Q", "job": "349"}) == 404
        assert status("drain", {"queue": "Q", "agent": "b"}) == 404
        long = {"queue": "Q" * 20_000, "job": JOB}
        wrong: list[object] = [{}, [], 1, {"queue": "Q"}, {"queue": "Q", "job": 1}, long]
        assert [status("cancel", each) for each in wrong] == [400] * 6
        assert redis_client.exists(QueueKeys("Q").env(JOB))
        assert status("drain", {"queue": "Q", "agent": "a"}) == 200
        assert redis_client.exists(QueueKeys("Q").drain("a"))


# --- the command ------------------------------------------------------------------------------------------


@needs_server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("hangs", [False, True])
def test_it_ends_at_once_with_browsers_connected(number: signal.Signals, hangs: bool) -> None:
    with RedisProcess() as server, dashboard(server.url) as shown, events(shown.client) as told:
        assert [next(told)[0], next(told)[0]] == ["session", "snapshot"]
        if hangs:
            server.signal(signal.SIGSTOP)
            with httpx.Client(base_url=shown.address, trust_env=False) as other, events(other) as others:
                assert next(others)[0] == "session"
        begun_s = time.monotonic()
        shown.process.send_signal(number)
        assert shown.process.wait(20) == 0
        assert time.monotonic() - begun_s < 5
        if hangs:
            server.signal(signal.SIGCONT)
        _, errors = shown.process.communicate()
        assert "Traceback" not in errors


def test_a_port_that_is_taken_is_an_error(shown: Dashboard, pool: str) -> None:
    port = shown.address.rstrip("/").rpartition(":")[2]
    done = pydoredis(pool, "dashboard", "--port", port)
    assert done.exit_code == 2
    assert port in done.stderr


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_how_to_get_it(pool: str, tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('not here', name={package!r})")
    done = subprocess.run(
        [sys.executable, "-m", "pydoredis", "dashboard", "--url", pool],
        capture_output=True,
        text=True,
        env={**clean_environment(), "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'pydoredis[dashboard]'" in done.stderr


# --- a real pool ------------------------------------------------------------------------------------------


@pytest.mark.rpeer
def test_a_pool_of_real_peers(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> None:
    """An R worker and an agent of ours: a loop of ours is cancelled, and then the agent leaves."""
    pool = Pool(redis_url, redis_client, "jobs")
    body = f"{{ while (!file.exists({r_string(str(tmp_path / 'go'))})) Sys.sleep(0.05); i }}"
    try:
        pool.add_r_worker()
        agent = pool.add_agent(1)
        with (
            dashboard(redis_url, "--allow-actions") as shown,
            events(shown.client) as told,
            dr.Queue("jobs", redis_url, chunk_size=1) as queue,
        ):
            given = csrf(shown.client)
            job = queue.foreach(i=range(1, 9)).submit(dr.rexpr(body))
            snapshots = (seen for name, seen in told if name == "snapshot")
            seen = next(seen for seen in snapshots if len(tables(seen)["running"]) == 2)
            assert sorted(row[-1] for row in tables(seen)["running"]) == ["", "R worker"]
            (jobs, agents) = (table for table in seen["tables"] if table["title"] in ("jobs", "agents"))
            answer = shown.client.post("/api/cancel", headers=given, json=jobs["about"][0])
            assert answer.is_success, answer.text
            with pytest.raises(JobCancelled, match="removed"):
                job.result(30)
            (tmp_path / "go").touch()
            next(seen for seen in snapshots if not tables(seen)["jobs"])
            leaves = {name: agents["about"][0][name] for name in ("queue", "agent")}
            assert shown.client.post("/api/drain", headers=given, json=leaves).is_success
            pool.wait_for(lambda: not agent.running, "the agent has left")
            assert agent.process.returncode == 0
            next(seen for seen in snapshots if not tables(seen)["agents"])
    finally:
        pool.close()
