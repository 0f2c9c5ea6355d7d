"""An engine, the images, and at the end a table of the cases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from integration import images
from integration.machines import left_behind, sweep
from integration.site import KINDS, Site, r_peer_mounts

SUITE = Path(__file__).parent


def engine_problem() -> str:
    """Why no containers can be run here; "" if they can."""
    try:
        client = docker.from_env()
        client.ping()
        client.close()
    except DockerException as error:
        return f"no Docker engine answers: {error}"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip everything, with the reason, where there is no engine."""
    mine = [item for item in items if SUITE in item.path.parents]
    if mine and (problem := engine_problem()):
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=problem))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Build the images: here, since it may take longer than any case, and once for all xdist workers."""
    is_xdist_worker = hasattr(session.config, "workerinput")
    if is_xdist_worker or session.config.option.collectonly:
        return
    if problem := engine_problem():
        if os.environ.get("CI"):
            pytest.exit(f"integration: {problem}", 1)
        return
    sweep()
    try:
        images.build()
    except (RuntimeError, OSError) as error:
        pytest.exit(f"integration: {error}", 1)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """At the end no container is left."""
    yield
    assert not left_behind(), f"containers are left: {left_behind()}"


@pytest.fixture
def r_peer() -> None:
    """Asked for by cases with a peer in R: they are skipped where doRedis is not to be had."""
    mounts = r_peer_mounts()
    if isinstance(mounts, str):
        pytest.skip(mounts)


@pytest.fixture
def needs_r_peer_for_r(request: pytest.FixtureRequest, coordinator: str) -> None:
    """The same for cases that are run with a coordinator in R, and with one in Python."""
    if coordinator == "R":
        request.getfixturevalue("r_peer")


@pytest.fixture
def site() -> Iterator[Site]:
    """Redis alone, without a password; what a case adds is checked and removed at its end."""
    with Site() as made:
        yield made


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, Site]]:
    """Pools by kind, which cases that break nothing share; filled by `pool`."""
    made: dict[str, Site] = {}
    yield made
    for site in made.values():
        with site:
            pass  # at its end it looks whether all is well


@pytest.fixture
def pool(kind: str, pools: dict[str, Site], request: pytest.FixtureRequest) -> Site:
    """The pool of a kind in `KINDS`."""
    if "R" in KINDS[kind]:
        request.getfixturevalue("r_peer")
    if kind not in pools:
        pools[kind] = Site()
        pools[kind].add(*KINDS[kind])
    return pools[kind]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each case."""
    rows: dict[str, tuple[str, float]] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in terminalreporter.stats.get(outcome, []):
            if not report.nodeid.startswith("integration/"):
                continue
            before = rows.get(report.nodeid, ("", 0.0))[1]
            rows[report.nodeid] = (outcome, before + report.duration)
    if not rows:
        return
    terminalreporter.section("cases")
    for nodeid, (outcome, seconds) in sorted(rows.items()):
        file, _, case = nodeid.partition("::")
        name = case.partition("@")[0].removeprefix("test_").replace("_", " ")
        terminalreporter.write_line(f"{outcome:8} {seconds:6.1f} s  {Path(file).stem[5:]:13} {name}")
