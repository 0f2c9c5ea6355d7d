"""joblib's own tests with our backend, in a process of their own (`tests/doors/joblib_plugin.py`)."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEAST_PASSED = 150
"""Of joblib 1.6, 224 pass; of 1.3, 174."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_joblibs_own_tests_of_parallel(tmp_path: Path) -> None:
    if importlib.util.find_spec("joblib.test.test_parallel") is None:
        pytest.skip("this joblib is installed without its tests")
    command = [
        *(sys.executable, "-m", "pytest", "-p", "tests.doors.joblib_plugin", "-p", "no:cacheprovider"),
        *("-c", os.devnull, "--rootdir", str(tmp_path), "--timeout=100", "-q", "--tb=short"),
        *("--pyargs", "joblib.test.test_parallel"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1100)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert passed is not None
    assert int(passed[1]) >= LEAST_PASSED, done.stdout[-1000:]
