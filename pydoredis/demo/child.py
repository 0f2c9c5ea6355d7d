"""Processes that end when we do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final

# The child's parent is this shell. Its standard input is a pipe from us: when we end, even if we are killed,
# the kernel closes our end of it, `read` returns and the child is told to stop. The child's own end stops the
# watcher, so that a number that belongs to some other process by then is never signalled. Temporary files are
# in a directory of their own, for R leaves some when it is killed.
_KEEPER: Final = r"""
exec 3<&0
TMPDIR=$(mktemp -d "$TMPDIR/pydoredis-demo-XXXXXX") || exit
export TMPDIR
"$@" </dev/null 3<&- &
child=$!
{ read -r _; kill "$child"; } <&3 >/dev/null 2>&1 &
watcher=$!
wait "$child"; status=$?
kill "$watcher" 2>/dev/null
rm -rf -- "$TMPDIR"
exit "$status"
"""


class Child:
    """A process whose output, both streams, is kept for us, and which never outlives us.

    Use it as a context manager, or call `stop`. Ctrl-C in a terminal does not reach it.

    Args:
        name: What it is, for messages.
        command: The program and its arguments.
        environ: Its environment, but for the directory of temporary files.
    """

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self.name = name
        # Without a name in the file system there is nothing to clean up.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "pydoredis-demo", *command],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            # Where TMPDIR names what cannot be written to, Python goes on with another; the shell would not.
            env={**environ, "TMPDIR": tempfile.gettempdir()},
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status; None if it is still running after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def output(self) -> str:
        """What it printed so far."""
        # The child writes at the offset that we share with it: reading must not move it.
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def obituary(self) -> str:
        """That it ended, how, and its last words."""
        last = "\n".join(self.output().splitlines()[-8:])
        return f"{self.name} ended with status {self._process.poll()}. Its last words:\n{last or '(none)'}"

    def stop(self, timeout_s: float = 15.0) -> None:
        """SIGTERM, and if that is not enough, SIGKILL for all of its session."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
