"""Run R on a program of ours, under a UTF-8 locale."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path


def run_r(program: Iterable[str], timeout_s: float = 100) -> str:
    """What the lines of `program` print.

    Raises:
        AssertionError: If R fails, with what it says.
    """
    with tempfile.TemporaryDirectory() as folder:
        # From a file: an argument may not be longer than some 10,000 characters.
        file = Path(folder) / "program.R"
        file.write_text("\n".join(["options(keep.source = FALSE)", *program]), encoding="utf-8")
        done = subprocess.run(
            ["Rscript", "--vanilla", str(file)],
            capture_output=True,
            check=False,
            timeout=timeout_s,
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "HOME": folder},
        )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-3000:]
    return done.stdout.decode("utf-8", "surrogateescape")
