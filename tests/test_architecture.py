"""The house is as `docs/architecture.md` describes it: its rooms, and which way the arrows point."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
MODULES = sorted(path for path in (ROOT / "pydoredis").rglob("*.py") if not path.name.startswith("_"))

PURE = (
    "protocol",
    "coordinator/ledger.py",
    "coordinator/window.py",
    "coordinator/staffing.py",
    "worker/core",
)
"""Rooms without a client, a clock, a socket or a process."""

FORBIDDEN = {
    "protocol": {"store", "coordinator", "worker", "loops", "cli", "admin", "server", "queue", "pool"},
    "pickles": {"store", "coordinator", "worker", "loops", "cli", "admin", "server", "queue", "pool"},
    "settings": {"store", "coordinator", "worker", "loops", "cli", "admin", "queue", "pool"},
    "store": {"coordinator", "worker", "loops", "cli", "admin", "server", "queue", "pool"},
    "coordinator": {"worker", "loops", "cli", "admin", "server", "queue", "pool"},
    "worker": {"coordinator", "loops", "cli", "admin", "server", "queue", "pool"},
    "loops": {"cli", "admin"},
}
"""What a room must not import: whatever stands above it, or beside it."""

ABOVE_ALL = {"testing"}
"""What nothing else imports: it is for users' tests."""


def imports(path: Path) -> Iterator[str]:
    """The modules that a module imports, but for those that types alone need."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(path: Path, room: str) -> bool:
    inside = path.relative_to(ROOT / "pydoredis").as_posix()
    return inside == room or inside.startswith(f"{room}/")


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_arrows_point_one_way(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        if within(path, room)
        for name in imports(path)
        if name.startswith("pydoredis.") and name.split(".")[1] in FORBIDDEN[room] | ABOVE_ALL
    ]
    assert not found


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_know_neither_client_nor_clock(room: str) -> None:
    impure = {"redis", "hiredis", "socket", "selectors", "time", "subprocess", "os", "threading"}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        if within(path, room)
        for name in imports(path)
        if name.split(".")[0] in impure
    ]
    assert not found
    assert any(within(path, room) for path in MODULES)


def test_the_package_below_knows_nothing_of_the_one_above() -> None:
    for path in (ROOT / "rinterop").rglob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] == "pydoredis"], path


def test_each_module_has_its_place_in_the_description() -> None:
    told = set(re.findall(r"(\w+)\.py\b", ROOMS))
    there = {path.stem for path in MODULES} | {path.stem for path in (ROOT / "rinterop").rglob("*.py")}
    assert not told - there, "described, but not there"
    described_by_room = ("cli/", "demo/", "settings/", "engines/")
    missing = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if path.stem not in told and not any(f"/{room}" in path.as_posix() for room in described_by_room)
    }
    assert not missing, "there, but not described"


def test_no_module_of_the_worker_is_long() -> None:
    for path in MODULES:
        if within(path, "worker"):
            text = path.read_text()
            assert text.count("\n") <= 300, path
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    assert node.end_lineno is not None
                    assert node.end_lineno - node.lineno < 200, f"{path}: {node.name}"


@pytest.mark.parametrize(
    ("modules", "without"),
    [
        ("pydoredis", "redis, numpy, rinterop"),
        (
            "rinterop, rinterop.runtime.locate",
            "numpy, rinterop.values, rinterop.serialize, importlib.metadata",
        ),
        ("pydoredis.cli", "redis, numpy, rinterop, rich, asyncio"),
        (
            "pydoredis.worker.executor, pydoredis.worker.engines.python, pydoredis.shared_values",
            "redis, pydoredis.worker.core, pydoredis.settings, rinterop.convert, asyncio, importlib.metadata",
        ),
        # Before executors are started, and after that.
        ("pydoredis.worker.agent", "redis, numpy, rinterop.values, pydoredis.store, pydoredis.worker.core"),
        ("pydoredis.worker.loop", "rinterop.convert, pydoredis.coordinator, cloudpickle"),
    ],
)
def test_what_starts_often_loads_little(modules: str, without: str) -> None:
    program = f"import sys, {modules}; print(*{{*{without.split(', ')!r}}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_worker_is_started_without_what_its_options_do_not_need() -> None:
    program = """
import sys
from pydoredis.worker.agent import Agent
Agent.run = lambda _: print(*{"pydantic", "rich", "redis", "numpy", "asyncio"} & {*sys.modules}) or sys.exit()
sys.argv = ["pydoredis", "worker", *"-q Q -q P -n 2 --linger 1.5 --codec cloudpickle".split()]
from pydoredis.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
