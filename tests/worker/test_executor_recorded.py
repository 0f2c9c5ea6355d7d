"""Both R engines give what R workers gave: recorded environments and tasks in, the recorded results out."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pydoredis.worker import engines
from tests.worker.executor_process import Executor

DATA = Path(__file__).parent.parent / "data" / "executor"

DELIBERATE = {"worker_init_fails"}
"""Where R workers fail by a defect (protocol, section 9) and ours don't."""

NEEDS_DOREDIS = {"redis_set_get", "export_local"}
"""The comparing R reads references to doRedis's namespace, or the body calls it; ours work without."""

pytestmark = pytest.mark.needs_r


def recordings() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))}


@pytest.fixture(scope="module", params=["rpy2", "rscript"])
def engine(request: pytest.FixtureRequest) -> engines.REngine:
    name: engines.REngine = request.param
    return name


@pytest.fixture(scope="module")
def results(engine: engines.REngine) -> Iterator[dict[str, list[list[bytes]]]]:
    """Results of all recordings, by scenario and job, from one executor that runs them one after another."""
    found: dict[str, list[list[bytes]]] = {}
    number = 0
    with Executor("r", engine) as executor:
        for name, recording in recordings().items():
            values = recording["values"]
            executor.store.values = {k.encode(): base64.b64decode(v) for k, v in values.items()}
            found[name] = []
            for job in recording["jobs"]:
                number += 1
                executor.load(number, base64.b64decode(job["environment"]))
                tasks = [base64.b64decode(task) for task in job["tasks"]]
                found[name].append([executor.run(number, task) for task in tasks])
        yield found


def test_same_values(results: dict[str, list[list[bytes]]], tmp_path: Path) -> None:
    for name, recording in recordings().items():
        for number, job in enumerate(recording["jobs"]):
            if name in DELIBERATE:
                continue
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            for index, result in enumerate(job["results"]):
                (folder / f"expected-{index:03}.bin").write_bytes(base64.b64decode(result))
            for index, data in enumerate(results[name][number]):
                (folder / f"actual-{index:03}.bin").write_bytes(data)
    compared = subprocess.run(
        ["Rscript", str(DATA / "compare.R"), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert compared.stdout == ""


def beginning(data: bytes) -> bytes:
    """The first bytes of a message, without the version of the R that wrote it."""
    return data[:6] + data[10:40]


def test_same_bytes(results: dict[str, list[list[bytes]]]) -> None:
    """Where values have one form only, not even their bytes differ but for how the names are written."""
    for name in ("err_pass", "iter_multi", "rng_kinds"):
        expected = [base64.b64decode(r) for job in recordings()[name]["jobs"] for r in job["results"]]
        actual = [data for job in results[name] for data in job]
        assert list(map(beginning, actual)) == list(map(beginning, expected)), name


def test_worker_init_runs_when_the_environment_is_complete(results: dict[str, list[list[bytes]]]) -> None:
    """The recorded R worker failed with `could not find function "assign"`."""
    [job] = results["worker_init_fails"]
    assert all(b"yes" in data and b"could not find" not in data for data in job)
