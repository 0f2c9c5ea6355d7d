"""`pydoredis service run` for real: workers that serve, come back, and end; what systemd hears of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import pytest
import redis

import pydoredis as dr
from pydoredis.queue import Queue
from pydoredis.worker.notify import Notifier
from tests.conftest import wait_until
from tests.peers.processes import children, clean_environment, command_line, descendants, exists
from tests.redis_process import RedisProcess, needs_server

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = needs_server

WORD = "s3cret word"


class Manager:
    """What systemd is for a service: it starts it, and hears what it says."""

    def __init__(self, config: Path, log: Path, *, watchdog_s: float = 3.0) -> None:
        self.log = log
        self.heard: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"{tempfile.mkdtemp(dir=config.parent)}/notify.sock"
        self.socket.bind(address)
        self.socket.setblocking(False)
        environment = {
            **clean_environment(),
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": f"{watchdog_s * 1e6:.0f}",
        }
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pydoredis", "service", "run", "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )

    def says(self, line: str) -> bool:
        """Whether it has said this."""
        try:
            while True:
                self.heard += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return line in self.heard

    def forget(self) -> None:
        """Whatever it has said."""
        self.says("")
        self.heard.clear()

    def agents(self) -> list[int]:
        return [pid for pid in children(self.process.pid) if " worker " in command_line(pid)]

    def successor(self, former: int) -> int:
        """The agent that is there in the place of a former one."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [pid for pid in self.agents() if pid != former]
            return bool(found)

        wait_until(is_there, "another agent is there", 60)
        return found[0]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(40)

    def close(self) -> None:
        below = descendants(self.process.pid) if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(map(exists, below)), "what it started has ended", 40)
        self.socket.close()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with RedisProcess(password=WORD) as running:
        yield running


@pytest.fixture
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, password=WORD) as client:
        client.flushall()
        yield client


Start = Callable[..., Manager]


@pytest.fixture
def start(server: RedisProcess, client: redis.Redis, tmp_path: Path) -> Iterator[Start]:
    managers: list[Manager] = []

    def started(text: str, **options: float) -> Manager:
        config = tmp_path / "doRedis.conf"
        config.write_text(f"host: 127.0.0.1\nport: {server.port}\npassword: {WORD}\n{text}")
        managers.append(Manager(config, tmp_path / "log", **options))
        return managers[-1]

    yield started
    for manager in managers:
        manager.close()


def address(server: RedisProcess) -> str:
    return f"redis://:s3cret%20word@127.0.0.1:{server.port}/0"


def test_several_queues(start: Start, server: RedisProcess, client: redis.Redis) -> None:
    manager = start("n: 2 1   # for each of\nqueue: RJOBS SYSTEM\niter: 3\nlinger: 1\nuser: nobody-we-know\n")
    if os.geteuid() == 0:
        # Root becomes the user that the file names, and there is none of that name.
        assert manager.process.wait(30) == 2
        assert "a user of this machine" in manager.log.read_text()
        manager.close()
        manager = start("n: 2 1\nqueue: RJOBS SYSTEM\niter: 3\nlinger: 1\nuser: root\n")
    wait_until(lambda: manager.says("READY=1"), "it is up", 60)
    assert (client.get("RJOBS.count"), client.get("SYSTEM.count")) == (b"2", b"1")
    for queue, workers in (("RJOBS", 2), ("SYSTEM", 1)):
        pids = Queue(queue, address(server)).foreach(i=range(12)).dopar(lambda i: os.getpid())
        assert len(set(pids)) >= 4, "a process is replaced after three tasks"
        assert max(map(pids.count, pids)) <= 3, workers
    arguments = [command_line(pid) for pid in (manager.process.pid, *descendants(manager.process.pid))]
    assert len(arguments) > 3
    assert not [line for line in arguments if WORD in line or "s3cret" in line]
    assert "s3cret" not in manager.log.read_text()
    assert manager.stop() == 0
    assert manager.says("STOPPING=1")
    assert (client.get("RJOBS.count"), client.get("SYSTEM.count")) == (b"0", b"0")


@pytest.mark.needs_r
def test_r_jobs(start: Start, server: RedisProcess) -> None:
    manager = start("n: 1\nuser: root\n")
    wait_until(lambda: manager.says("READY=1"), "it is up", 60)
    loop = Queue("RJOBS", address(server)).foreach(i=[1.0, 2.0])
    assert loop.dopar(dr.rexpr("i + 1")) == [2.0, 3.0]
    manager.process.send_signal(signal.SIGINT)  # as at a terminal
    assert manager.process.wait(40) == 130


def test_what_ends_is_started_again(start: Start, client: redis.Redis) -> None:
    manager = start("n: 1\nlinger: 1\nuser: root\n")
    wait_until(lambda: manager.says("READY=1"), "it is up", 60)
    (first,) = manager.agents()
    os.kill(first, signal.SIGKILL)
    second = manager.successor(first)
    wait_until(
        lambda: client.exists("RJOBS.live") and client.hlen("pydoredis:{RJOBS}:agents") == 2, "it is up", 60
    )
    client.delete("RJOBS.live", "RJOBS.count")
    manager.successor(second)
    wait_until(lambda: client.exists("RJOBS.live"), "it has opened the queue again", 60)


def test_an_agent_that_hangs_is_noticed(start: Start) -> None:
    manager = start("n: 1\nuser: root\n")
    wait_until(lambda: manager.says("WATCHDOG=1") and manager.says("READY=1"), "it is up and alive", 60)
    (agent,) = manager.agents()
    os.kill(agent, signal.SIGSTOP)
    try:
        wait_until(lambda: "says nothing any more" in manager.log.read_text(), "it is missed", 30)
        manager.forget()
        time.sleep(1.2)  # in which it would say so, for that is due every second
        assert not manager.says("WATCHDOG=1")
    finally:
        os.kill(agent, signal.SIGCONT)
    wait_until(lambda: manager.says("WATCHDOG=1"), "it is alive again", 30)


def test_agents_end_with_what_started_them(start: Start) -> None:
    manager = start("n: 1\nuser: root\n")
    wait_until(lambda: manager.says("READY=1"), "it is up", 60)
    below = descendants(manager.process.pid)
    manager.process.kill()
    wait_until(lambda: not any(map(exists, below)), "all have ended", 40)


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "doRedis.conf").write_text("n: 1\nport: 1\nhost: 127.0.0.1\nuser: root\nlinger: 1\n")
    environment = {**clean_environment(), "PYDOREDIS_GRACE": "long"}
    done = subprocess.run(
        [sys.executable, "-m", "pydoredis", "service", "run", "--config", str(tmp_path / "doRedis.conf")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "PYDOREDIS_GRACE" in done.stderr


def test_redis_that_comes_later(server: RedisProcess, tmp_path: Path) -> None:
    with RedisProcess() as late:
        late.stop()
        (tmp_path / "config.toml").write_text(
            f'[redis]\nurl = "redis://127.0.0.1:{late.port}/0"\n[worker]\nqueues = ["Q"]\nworkers = 1\n'
        )
        manager = Manager(tmp_path / "config.toml", tmp_path / "log")
        try:
            wait_until(lambda: "ended with status 3" in manager.log.read_text(), "it was there too early", 60)
            late.start()
            wait_until(lambda: manager.says("READY=1"), "it is up", 60)
            assert manager.stop() == 0
        finally:
            manager.close()


def test_without_a_service_manager() -> None:
    environment = {"PATH": "/bin"}
    notifier = Notifier(environment)
    notifier.ready("up")
    notifier.alive(1.0)
    notifier.stopping()
    notifier.close()
    assert notifier.due_s == float("inf")
    gone = {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    notifier = Notifier(gone)
    notifier.ready("up")
    assert gone == {}
    assert notifier.due_s == float("inf"), "the watchdog is for another process"
    notifier.close()
