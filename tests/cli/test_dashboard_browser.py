"""The page of `pydoredis dashboard` in a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("httpx")
playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

from pydoredis.protocol.keys import QueueKeys  # noqa: E402
from tests.admin.queues import submit  # noqa: E402
from tests.cli.dashboards import TOKEN, dashboard  # noqa: E402
from tests.cli.test_dashboard import HTML, JOB, fill, heartbeat  # noqa: E402
from tests.conftest import wait_until  # noqa: E402
from tests.redis_process import RedisProcess, needs_server  # noqa: E402

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for all tests here."""
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser: Any, address: str, *, expected: str = "", **options: Any) -> Iterator[Any]:
    """A page, of which no request leaves this machine, and which has nothing to say to its developers but
    what is `expected`."""
    context = browser.new_context(**options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
    requested: list[str] = []
    try:
        page.goto(address)
        yield page
        own = urlsplit(address).netloc
        assert requested
        assert [url for url in requested if urlsplit(url).netloc != own and not url.startswith("data:")] == []
        assert [text for text in wrong if not expected or expected not in text] == []
    finally:
        context.close()


def rows(page: Any, title: str) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        f"#table-{title} tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))",
    )
    return found


def shows(page: Any, selector: str, text: str = "") -> None:
    page.locator(selector, has_text=text).first.wait_for(timeout=20_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_page(
    browser: Any, redis_url: str, redis_client: redis.Redis, scheme: str, width: int, height: int
) -> None:
    fill(redis_client)
    screen: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    with dashboard(redis_url) as shown, opened(browser, shown.address, **screen) as page:
        shows(page, "#table-warnings tbody tr")
        assert [row[0] for row in rows(page, "queues")] == [HTML, "Q"], "as text"
        assert page.locator("main script, main b").count() == 0
        jobs = {row[1]: row for row in rows(page, "jobs")}
        assert jobs[JOB][2:4] == ["svc_batch", "2"]
        assert page.locator("#table-jobs progress").get_attribute("aria-label") == "2 % done"
        assert rows(page, "agents")[0][0] == "a"
        assert rows(page, "running")[0][2] == "4...6"
        assert "<b>SIGSEGV</b>" in rows(page, "warnings")[0][3]
        assert "clients" in page.locator("#server").inner_text()
        assert page.locator("button").count() == 2, "of the question that is not asked: it only shows"
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, "nothing is wider than the screen"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        submit(redis_client, "later", JOB, [1])
        shows(page, "#table-queues tr", "later")
        redis_client.delete("later", QueueKeys("later").live, QueueKeys("later").env(JOB))
        page.locator("#table-queues tr", has_text="later").wait_for(state="detached")


def test_actions(browser: Any, redis_url: str, redis_client: redis.Redis) -> None:
    """After a question, on a phone, by somebody who has logged in."""
    fill(redis_client)
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "expected": "401"}
    with (
        dashboard(redis_url, "--allow-actions", token=TOKEN) as shown,
        opened(browser, shown.address, **phone) as page,
    ):
        page.fill("#token", "wrong-wrong-wrong-wrong")
        page.tap("button")
        shows(page, "[role=alert]", "That is not the token.")
        page.fill("#token", TOKEN)
        page.tap("button")
        job = page.locator("#table-jobs tbody tr", has_text=JOB)
        job.locator("button").tap()
        shows(page, "#asked", f"Cancel job {JOB} of queue Q?")
        page.locator("dialog button", has_text="No").tap()
        page.locator("dialog").wait_for(state="hidden")
        job.locator("button").tap()
        assert redis_client.exists(QueueKeys("Q").env(JOB)), "the answer was no"
        page.locator("dialog button", has_text="Yes").tap()
        shows(page, "#told", f"removed job {JOB}")
        job.wait_for(state="detached")
        assert not redis_client.exists(QueueKeys("Q").env(JOB))
        heartbeat(redis_client)
        page.locator("#table-agents button").tap()
        shows(page, "#asked", "Have the agent 70 on a leave?")
        page.locator("dialog button", has_text="Yes").tap()
        wait_until(lambda: redis_client.exists(QueueKeys("Q").drain("a")), "the agent is told")


@needs_server
def test_outages(browser: Any) -> None:
    """Of Redis, and of the dashboard."""
    with RedisProcess() as server, dashboard(server.url) as shown:
        with server.client() as client:
            fill(client)
        with opened(browser, shown.address, expected="ERR_") as page:
            shows(page, "#table-jobs tbody tr")
            server.stop()
            shows(page, "#trouble", f"127.0.0.1:{server.port}")
            assert len(rows(page, "jobs")) == 2, "what was seen last"
            server.start()
            page.locator("#trouble").wait_for(state="hidden")
            page.locator("#table-jobs .none").wait_for(state="visible")
            assert rows(page, "jobs") == [], "that server was empty"
            shown.process.terminate()
            shows(page, "#trouble", "The dashboard does not answer")
            port = shown.address.rstrip("/").rpartition(":")[2]
            with dashboard(server.url, "--port", port):
                page.locator("#trouble").wait_for(state="hidden")
