"""Tests that run in a process of their own: an R can't be started twice, nor with another state."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def in_own_process(test: Callable[[], None]) -> Callable[[], None]:
    """Run the test function in a new Python; what it prints is shown if it fails."""

    @functools.wraps(test)
    def run() -> None:
        code = f"from {test.__module__} import {test.__name__} as test; test.__wrapped__()"
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-W", "error", "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"

    return run
