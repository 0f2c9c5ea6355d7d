"""Coordinators run on Windows; what cannot run there says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.peers.processes import Peer, clean_environment, pydoredis_worker
from tests.redis_process import RedisProcess

ROOT = Path(__file__).parents[2]
USAGE = 2

BEGIN = """
from tests.systems import windows
windows.begin()
import sys
"""

LOOPS = """
import math
import pydoredis as dr

def body(x):
    return math.sqrt(x) + dr.rng().random() * 0

queue = dr.register("Q", sys.argv[1])
reports = []
values = dr.foreach(x=range(100), progress=lambda *report: reports.append(report)).dopar(body)
assert values == [math.sqrt(x) for x in range(100)], values
assert reports[-1] == (100, 100), reports
assert dr.foreach(x=[1.0, 4.0]).do(body) == [1.0, 2.0]

job = dr.foreach(x=range(10), combine="+").submit(lambda x: x)
assert job.result() == 45
assert sorted(value for _, value in dr.foreach(x=range(5)).stream(lambda x: x * x)) == [0, 1, 4, 9, 16]

def wait(x):
    import time
    time.sleep(600)

waiting = dr.foreach(x=[1]).submit(wait)
while not queue.tasks():
    pass
assert len(queue.jobs()) == 1 and len(queue.workers()) == 1
waiting.cancel()
try:
    waiting.result()
except dr.JobCancelled:
    print("cancelled")

dr.redis_set("shared", [1, 2])
assert dr.redis_get("shared") == [1, 2]
assert dr.foreach(x=[1]).dopar(lambda x: dr.redis_get("shared")) == [[1, 2]]
dr.redis_delete("shared")
queue.remove()
"""


def windows(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a process whose modules of ours believe to be on Windows."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + program, *arguments],
        cwd=ROOT,
        env={**clean_environment(), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of pydoredis there."""
    program = "from pydoredis.cli import main\nsys.argv[0] = 'pydoredis'\nmain()"
    return windows(program, *arguments)


def loads(program: str) -> list[str]:
    done = windows(program)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def modules() -> list[str]:
    """Those that coordinators may use: all but what workers are made of, and R inside of Python."""
    found = []
    for package in ("pydoredis", "rinterop"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if (
                parts[:2] not in (("pydoredis", "worker"), ("rinterop", "runtime"))
                and parts[-1] != "__main__"
            ):
                found.append(".".join(parts).removesuffix(".__init__"))
    return found


@pytest.fixture
def worker(redis_process: RedisProcess, redis_url: str) -> Iterator[Peer]:
    """A worker on this machine, as it is."""
    peer = pydoredis_worker(redis_url, ["Q"], options=["--codec", "cloudpickle"], linger_s=30)
    with peer, redis_process.client() as client:
        wait_until(lambda: client.get("Q.count") or not peer.running, "it is up", 40)
        yield peer


def test_the_imitation_hides_what_is_not_there() -> None:
    assert loads("""
import types, builtins
ours = types.ModuleType("pydoredis.here").__dict__
for name, source in {
    "fcntl": "import fcntl", "fork": "import os; os.fork", "O_CLOEXEC": "from os import O_CLOEXEC",
    "SIGKILL": "import signal; signal.SIGKILL", "AF_UNIX": "from socket import AF_UNIX",
    "select": "import select, os; select.select([os.pipe()[0]], [], [], 0)",
    "there": "import os, signal, socket; os.getpid(), signal.SIGINT, socket.AF_INET, os.path.join",
}.items():
    try:
        exec(source, ours)
    except (ImportError, AttributeError, OSError):
        continue
    print(name)
""") == ["there"]


def test_every_module_of_a_coordinator_can_be_imported() -> None:
    names = modules()
    assert {"pydoredis.store.line", "pydoredis.loops.local_r", "pydoredis.demo.pool"} < {*names}
    program = "import importlib, traceback\nfor name in sys.argv[1:]:\n"
    program += "    try: importlib.import_module(name)\n    except BaseException: traceback.print_exc()\n"
    done = windows(program, *names)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_public_name_can_be_used() -> None:
    program = "import pydoredis, rinterop\n"
    program += "for module in pydoredis, rinterop:\n    for name in module.__all__: getattr(module, name)\n"
    done = windows(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_loops_run(redis_url: str, worker: Peer) -> None:
    done = windows(LOOPS, redis_url)
    assert (done.returncode, done.stdout.split()) == (0, ["cancelled"]), done.stderr + worker.tail()
    assert not done.stderr


def test_files_of_r_are_read_and_written(tmp_path: Path) -> None:
    program = "import rinterop\nrinterop.write_rds(rinterop.to_r({'a': [1, 2]}), sys.argv[1])\n"
    program += "print(rinterop.to_python(rinterop.read_rds(sys.argv[1])))\n"
    done = windows(program, str(tmp_path / "a.rds"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("subcommand", ["", "worker", "server", "demo", "jobs", "remove-queue"])
def test_commands_have_help(subcommand: str) -> None:
    done = command(*subcommand.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_queues_are_looked_at(redis_url: str, worker: Peer) -> None:
    for subcommand in ("jobs", "tasks", "workers"):
        done = command(subcommand, "--url", redis_url)
        assert (done.returncode, done.stderr) == (0, ""), subcommand


@pytest.mark.parametrize("subcommand", ["worker --queue Q", "server --port 0", "demo"])
def test_commands_that_cannot_run_say_what_to_do(subcommand: str) -> None:
    done = command(*subcommand.split())
    assert (done.returncode, done.stdout) == (USAGE, "")
    (line,) = done.stderr.splitlines()
    assert "Windows" in line
    assert "WSL or in a container" in line


def test_functions_that_cannot_run_say_what_to_do(redis_url: str) -> None:
    done = windows(
        """
import pydoredis as dr
from pydoredis.server import EmbeddedServer

def in_a_block():
    with dr.local(2):
        pass

dr.register("Q", sys.argv[1])
for call in in_a_block, lambda: dr.start_local_workers(1), EmbeddedServer().start:
    try:
        call()
    except dr.ConfigError as error:
        print(error)
""",
        redis_url,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("WSL or in a container" in line for line in lines)


def test_r_code_in_this_process_says_what_to_do() -> None:
    done = windows("""
import pydoredis as dr
try:
    dr.foreach(x=[1]).do(dr.rexpr("x"))
except dr.EvaluatorError as error:
    print(error)
""")
    assert done.returncode == 0, done.stderr
    assert "WSL" in done.stdout
