"""`pydoredis dashboard` in a process of its own, and what a browser would get of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from tests.peers.processes import clean_environment

TOKEN = "correct-horse-battery-staple"


class Dashboard(NamedTuple):
    """The command at work."""

    process: subprocess.Popen[str]
    address: str
    client: httpx.Client


@contextmanager
def dashboard(url: str, *arguments: str, token: str | None = None) -> Iterator[Dashboard]:
    """Start it; a token is in its environment, and the client does not give it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pydoredis", "dashboard", "--port", "0", "--url", url, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean_environment(), **({"PYDOREDIS_DASHBOARD_TOKEN": token} if token else {})},
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, process.communicate()[1]
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            yield Dashboard(process, address, client)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def events(client: httpx.Client, **headers: str) -> Iterator[Iterator[tuple[str, Any]]]:
    """Server-sent events: their names and what they say."""
    with client.stream("GET", "/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
            yield name, json.loads(next(lines).removeprefix("data: "))


def csrf(client: httpx.Client) -> dict[str, str]:
    """The header that an action needs."""
    session = client.get("/api/session").raise_for_status().json()
    return {session["csrf_header"]: session["csrf"]}
