"""Start worker processes, R's and ours, and end exactly those."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit


def clean_environment() -> dict[str, str]:
    """The environment for a peer: UTF-8 and UTC as in the recordings, no settings of the developer's own."""
    drop = ("PYDOREDIS_", "REDIS_", "R_PROFILE", "R_ENVIRON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


def r_string(text: str) -> str:
    """`text` as a string literal of R."""
    return json.dumps(text, ensure_ascii=False)


def r_address(url: str) -> str:
    """The address as arguments of redisWorker() and registerDoRedis()."""
    parts = urlsplit(url)
    arguments = f"host = {r_string(parts.hostname or '127.0.0.1')}, port = {parts.port or 6379}L"
    if parts.password:
        arguments += f", password = {r_string(unquote(parts.password))}"
    return arguments


class Peer:
    """A process of its own process group, with what it printed in a file."""

    def __init__(self, command: Sequence[str], name: str) -> None:
        self.name = name
        self._output = tempfile.NamedTemporaryFile(prefix="pydoredis-peer-", suffix=".log")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """What it printed so far, both streams."""
        return Path(self._output.name).read_text(errors="replace")

    def tail(self, lines: int = 15) -> str:
        """The last lines of the output, for a failure's message."""
        return f"--- {self.name} (status {self.process.poll()}):\n" + "\n".join(
            self.output.splitlines()[-lines:]
        )

    def terminate(self) -> None:
        """SIGTERM: our agent shuts down warm, R just ends."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """SIGKILL to the process alone; what it started must notice by itself."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def wait(self, timeout_s: float = 20.0) -> int:
        """Exit status; negative for a signal."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s\n{self.tail()}") from None

    def close(self) -> None:
        """End the process and whatever is left of its group."""
        if self.running:
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        # The leader may be gone while children of it are not; the group is ours as long as it has members.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._output.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def r_program(program: str, name: str = "R") -> Peer:
    """An R process that runs `program` with doRedis attached."""
    return Peer(["Rscript", "-e", f"suppressMessages(library(doRedis)); {program}"], name)


def r_worker(
    url: str,
    queues: Sequence[str],
    *,
    linger_s: int = 1,
    iterations: int | None = None,
    name: str = "R worker",
) -> Peer:
    """R's own worker."""
    names = ", ".join(r_string(queue) for queue in queues)
    limit = "" if iterations is None else f", iter = {iterations}"
    return r_program(f"redisWorker(c({names}), {r_address(url)}, linger = {linger_s}L{limit})", name)


def pydoredis_worker(
    url: str,
    queues: Sequence[str],
    *,
    workers: int = 1,
    engine: str = "auto",
    linger_s: int = 1,
    iterations: int | None = None,
    options: Sequence[str] = (),
    name: str = "pydoredis worker",
) -> Peer:
    """Our worker, by the command line."""
    command = [sys.executable, "-m", "pydoredis", "worker", "--codec", "r", "--r-engine", engine]
    for queue in queues:
        command += ["--queue", queue]
    command += ["--workers", str(workers), "--url", url, "--linger", str(linger_s)]
    if iterations is not None:
        command += ["--iter", str(iterations)]
    return Peer([*command, *options], name)


def children(pid: int) -> list[int]:
    """Process ids of the direct children, oldest first; Linux."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The command in parentheses may hold spaces and parentheses; what follows the last one is fixed.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append((int(fields[19]), int(entry.name)))
    return [child for _, child in sorted(found)]


def descendants(pid: int) -> list[int]:
    """Children, their children and so on."""
    own = children(pid)
    return own + [below for child in own for below in descendants(child)]


def command_line(pid: int) -> str:
    """The arguments of a process; "" when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def executors(agent: Peer) -> list[int]:
    """The agent's children that run tasks, not those that Python's multiprocessing keeps for itself."""
    helpers = ("resource_tracker", "forkserver")
    return [pid for pid in children(agent.pid) if not any(name in command_line(pid) for name in helpers)]


def exists(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
