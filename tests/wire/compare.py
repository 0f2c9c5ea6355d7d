"""Asks R whether published results are the same values as recorded ones. One R process for a session."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from tests.peers.processes import clean_environment
from tests.wire.recording import RecordedTask


class Comparer:
    """`compare.R` with a pipe to it. Not for several threads at a time."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("compare.R")
        self._process = subprocess.Popen(
            ["Rscript", "--vanilla", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
            encoding="utf-8",
        )

    def differences(
        self, expected: Iterable[RecordedTask], published: Iterable[tuple[str, bytes]], *, code: str = ""
    ) -> list[str]:
        """What is wrong with the `published` messages (job, bytes); nothing when they are as `expected`.

        With `code`, an R function of the iteration number, the expected values are what it gives.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.NamedTemporaryFile() as file:
            for task in expected:
                file.write(b"".join(map(_part, (task.job.encode(), task.result, code.encode()))))
            file.write(struct.pack(">i", -1))
            for job, payload in published:
                file.write(_part(job.encode()) + _part(payload))
            file.flush()
            self._process.stdin.write(file.name + "\n")
            self._process.stdin.flush()
            lines = []
            while (line := self._process.stdout.readline()) != "END\n":
                assert line, "the comparing R process ended"
                lines.append(line.rstrip("\n"))
        return [line for line in lines if not line.endswith("\tsame")]

    def close(self) -> None:
        """End the R process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Comparer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _part(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data
