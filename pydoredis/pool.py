"""Worker processes on this machine, started by a program and ended with it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import tempfile
import threading
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydoredis import search_path, system
from pydoredis.errors import ConfigError, EvaluatorError, RemoteProtocolError
from pydoredis.protocol.keys import JobId
from pydoredis.registered import stand_in
from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from typing_extensions import Unpack

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

RETRY_PAUSE_S = 0.5
"""Before a task is tried again that killed two workers: here nothing will change that takes longer."""

_READ_SIZE = 1 << 16

log = logging.getLogger(__name__)


class Setup(TypedDict, total=False):
    """How local workers are set up, as keyword arguments: see `LocalWorkers`."""

    codec: Literal["auto", "r", "cloudpickle"]
    r_engine: Literal["auto", "rpy2", "rscript"]
    output: bool


def check_number(n: int) -> int:
    """The number of workers.

    Raises:
        ConfigError: If it makes no sense.
    """
    if not isinstance(n, int) or n < 1:
        raise ConfigError("n", n, "a number of workers from 1 on")
    return n


class LocalWorkers:
    """`n` workers for a queue, in one `pydoredis worker` process; ready when this returns.

    A context manager; they also end with this program, however it ends. Passwords travel in the environment,
    never in the command line. They have the working directory and the module search path that the program
    has now. Processes that run bodies are started when a first body of their language comes.

    Args:
        connection: Which server.
        queue: Name of the queue.
        n: How many workers.
        codec: What they serve: auto, r or cloudpickle.
        r_engine: How they run R: auto, rpy2 or rscript.
        output: Whether to show here what bodies of this program's loops print on them, each line with the
            number of its iteration.

    Raises:
        ConfigError: If `n` is no positive number, or this is Windows.
        EvaluatorError: If they do not start; with what they said.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        queue: str,
        n: int,
        *,
        codec: Literal["auto", "r", "cloudpickle"] = "auto",
        r_engine: Literal["auto", "rpy2", "rscript"] = "auto",
        output: bool = True,
    ) -> None:
        check_number(n)
        system.check_runs("workers")
        self._n = n
        self._stopping = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self._events, report = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    *search_path.command("pydoredis.cli", in_environment=True),
                    *("worker", "--queue", queue, "--workers", str(n), "--codec", codec),
                    *("--r-engine", r_engine, "--retry-pause", str(RETRY_PAUSE_S), "--on-demand"),
                    *("--stop-with-stdin", "--report", str(report)),
                    *(["--report-output"] if output else []),
                ],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PYDOREDIS_URL": connection.url,
                    search_path.VARIABLE: search_path.of_this_program(),
                },
                pass_fds=(report,),
                # Ctrl-C in a terminal is for the program: it cancels a loop and keeps the workers.
                start_new_session=True,
            )
        finally:
            os.close(report)
        os.set_blocking(self._events, False)
        self._reading = threading.Lock()  # whoever reads events holds it, and shows them in their order
        self._unread = b""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._follow, name="local workers", daemon=True)
        self._reader.start()
        _pools.add(self)
        try:
            self._wait_until_ready(START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> list[int]:
        """Process numbers: of the agent, which has an executor process for each worker."""
        return [self._process.pid] if self._process.poll() is None else []

    def __len__(self) -> int:
        return self._n if self.pids else 0

    def __repr__(self) -> str:
        return f"<{len(self)} local workers, pids {self.pids}>"

    def output(self) -> str:
        """What they logged so far, and what bodies printed."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def stop(self) -> None:
        """Let them finish what they run, and end them."""
        if self._log.closed:
            return
        self._stopping = True
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()  # the second request: give back what runs
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join()
        _pools.discard(self)
        with self._reading:
            # The number is given to the next thing that this program opens, and nobody may read that.
            events, self._events = self._events, -1
            os.close(events)
        self._log.close()

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not self._ready.wait(0.05):
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline_s:
                reason = (
                    f"ended with status {status}" if status is not None else f"not ready in {timeout_s:g} s"
                )
                raise EvaluatorError("worker", f"local workers {reason}", status, self._last_words())

    def _last_words(self) -> str:
        return "\n".join(self.output().splitlines()[-8:])

    # --- what they report ---------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Read events until the workers end."""
        ended = False
        while not ended:
            system.readable([self._events])
            ended = self.show_output()
        status = self._process.wait()
        if self._ready.is_set() and not self._stopping:
            log.warning("local workers ended with status %d. They said last:\n%s", status, self._last_words())

    def show_output(self) -> bool:
        """Show what bodies have printed so far; whether that was the end of it."""
        with self._reading:
            while self._events >= 0:
                try:
                    data = os.read(self._events, _READ_SIZE)
                except BlockingIOError:
                    return False
                if not data:
                    return True
                *lines, self._unread = (self._unread + data).split(b"\n")
                for line in lines:
                    self._take_event(json.loads(line))
        return True  # stopped

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "ready":
            self._ready.set()
        elif _is_ours(event["job"]):
            iteration = "-" if event["iteration"] is None else event["iteration"]
            # The standard output of now: a notebook, and a progress bar, put others in its place.
            with contextlib.suppress(OSError, ValueError):
                print(f"[{iteration}] {event['text']}", flush=True)


def start_workers(connection: ConnectionSettings, queue: str, n: int, **setup: Unpack[Setup]) -> LocalWorkers:
    """Start workers on this machine, or what stands for them where loops run without (unit tests)."""
    instead = stand_in()
    return LocalWorkers(connection, queue, n, **setup) if instead is None else instead.workers(n)


_pools: weakref.WeakSet[LocalWorkers] = weakref.WeakSet()
# What workers print is shown by the program that started them, and not by those that it forks.
system.after_fork_in_child(_pools.clear)


def show_output() -> None:
    """Show what bodies have printed on local workers before a loop ended, before the program goes on."""
    for pool in list(_pools):
        pool.show_output()


def _is_ours(job: str) -> bool:
    """Whether this program submitted the job."""
    try:
        return JobId.parse(job).pid == os.getpid()
    except RemoteProtocolError:
        return False
