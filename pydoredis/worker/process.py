"""An executor's process as its parent sees it: how much memory it has, whether it ended, and of what."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGESIZE")
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in."""

_WAIT_STEP_S = 0.001


class Process:
    """Starts a process, whose two standard outputs go to one descriptor, and waits for it with `wait4`.

    When it has ended, whatever is left of its process group is ended too: nobody is left to whom it matters
    what a body started. (Executors lead a group of their own; see `pydoredis.worker.engines.process`.)

    Attributes:
        pid: Its number.
        status: What it ended with as `subprocess` says it, negative for a signal; None while it runs.
        peak_bytes: Most memory that it ever had, once it has ended. Never less than what the agent had when
            it was started: the kernel counts from the fork.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], output_fd: int, pass_fds: Sequence[int]
    ) -> None:
        self._popen = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output_fd,
            stderr=output_fd,
            pass_fds=pass_fds,
        )
        self.pid = self._popen.pid
        self.status: int | None = None
        self.peak_bytes = 0
        self._out_of_memory_before = kills_for_memory()

    def ended(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                # Told to Popen too, which would wait for it once more.
                self.status = self._popen.returncode = os.waitstatus_to_exitcode(status)
                self.peak_bytes = usage.ru_maxrss * _MAXRSS_BYTES
                # Its number is not given to another process while its group has members.
                with contextlib.suppress(OSError):
                    os.killpg(self.pid, signal.SIGKILL)
        return self.status is not None

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; whether it did within the time."""
        deadline_s = time.monotonic() + timeout_s
        while not self.ended():
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_WAIT_STEP_S)
        return True

    def kill(self) -> None:
        """End it now."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Send it SIGINT; not to what it started."""
        if not self.ended():
            os.kill(self.pid, signal.SIGINT)

    def memory_bytes(self) -> int:
        """Memory that it has now (resident); 0 if that is not known."""
        if sys.platform == "linux":
            return resident_bytes(self.pid)
        with contextlib.suppress(OSError, ValueError, subprocess.CalledProcessError):
            return 1024 * int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.pid)]))
        return 0

    def cause_of_death(self) -> str:
        """Signal or exit status, and the most memory that it had."""
        status = self.status or 0
        cause = f"killed by {_signal_name(-status)}" if status < 0 else f"ended with exit status {status}"
        if status == -signal.SIGKILL and kills_for_memory() > self._out_of_memory_before:
            cause += ", probably by the kernel, which was out of memory"
        return f"{cause} (peak memory {self.peak_bytes / 1e6:.0f} MB)"


def resident_bytes(pid: int) -> int:
    """Memory that a process has now (resident); 0 where there is no /proc, or no such process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    return 0


def kills_for_memory() -> int:
    """How many processes the kernel ended so far because memory ran out; Linux, of containers too."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text("ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
