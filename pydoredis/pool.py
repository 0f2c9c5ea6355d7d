"""Worker processes on this machine, started by a program and ended with it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import Literal

from pydoredis.errors import ConfigError, EvaluatorError
from pydoredis.settings import ConnectionSettings

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class LocalWorkers:
    """`n` workers for a queue, in one `pydoredis worker` process; ready when this returns.

    A context manager; they also end with this program, however it ends. Passwords travel in the environment,
    never in the command line.

    Args:
        connection: Which server.
        queue: Name of the queue.
        n: How many workers.
        codec: What they serve: auto, r or cloudpickle.
        r_engine: How they run R: auto, rpy2 or rscript.

    Raises:
        ConfigError: If `n` is no positive number.
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
    ) -> None:
        if not isinstance(n, int) or n < 1:
            raise ConfigError("n", n, "a number of workers from 1 on")
        self._n = n
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pydoredis", "worker", "--queue", queue, "--workers", str(n)),
                *("--codec", codec, "--r-engine", r_engine, "--stop-with-stdin"),
            ],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYDOREDIS_URL": connection.url},
            # Ctrl-C in a terminal is for the program: it cancels a loop and keeps the workers.
            start_new_session=True,
        )
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
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def stop(self) -> None:
        """Let them finish what they run, and end them."""
        if self._output.closed:
            return
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
        self._output.close()

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while f"up: {self._n} worker" not in self.output():
            status = self._process.poll()
            if status is not None or time.monotonic() > deadline_s:
                last = "\n".join(self.output().splitlines()[-8:])
                reason = (
                    f"ended with status {status}" if status is not None else f"not ready in {timeout_s:g} s"
                )
                raise EvaluatorError("worker", f"local workers {reason}", status, last)
            time.sleep(0.01)
