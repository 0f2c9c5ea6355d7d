"""Every example as a user runs it, with its Python and its R body: what it prints and what it leaves."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

EXAMPLES = Path(__file__).parent.parent / "examples"

BODIES = pytest.mark.parametrize(
    "options", [pytest.param((), id="Python"), pytest.param(("--r",), id="R", marks=pytest.mark.needs_r)]
)

pytestmark = pytest.mark.slow


@pytest.fixture
def options() -> tuple[str, ...]:
    """Of the example's command line."""
    return ()


@pytest.fixture
def run(
    redis_url: str, redis_client: redis.Redis, options: tuple[str, ...], request: pytest.FixtureRequest
) -> str:
    """What the example that the test is named for prints."""
    name = request.function.__name__.removeprefix("test_")
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *options]
    environment = {**os.environ, "PYDOREDIS_URL": redis_url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    left = {key for key in redis_client.scan_iter() if redis_client.pttl(key) == -1}
    assert left <= {b"RJOBS.live", b"RJOBS.count"}
    return done.stdout


def numbers(text: str) -> list[float]:
    """All numbers in a text."""
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", text)]


@BODIES
def test_pi(run: str) -> None:
    (estimate,) = numbers(run)
    assert abs(estimate - math.pi) < 4 * 1.642 / math.sqrt(1_000_000)  # four standard errors


@BODIES
def test_fault_tolerance(run: str) -> None:
    assert run == f"the sum is {sum(range(21))}, and 4 workers died for it\n"


@BODIES
def test_bootstrap(run: str) -> None:
    correlation, error, percent, resamples, low, high = numbers(run)
    assert (correlation, percent, resamples) == (0.776, 95, 10_000)
    assert error == pytest.approx(0.133, abs=0.006)
    assert low == pytest.approx(0.45, abs=0.03)
    assert high == pytest.approx(0.96, abs=0.01)


@BODIES
def test_redis_matrices(run: str) -> None:
    first, last = run.splitlines()
    assert first == "(400, 300) times (300, 200) is (400, 200)"
    assert numbers(last)[0] < 1e-10


@BODIES
def test_seeds(run: str, options: tuple[str, ...]) -> None:
    first, *answers = run.splitlines()
    _, *drawn = numbers(first)
    assert len(set(drawn)) == 6
    assert [answer.rpartition(": ")[2] for answer in answers] == ["True", "True", "False"]
    if options:
        assert drawn == streams_of_r()


def test_grid_search(run: str) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    assert re.fullmatch(r"\{'C': .*\} scores 0\.9\d\d; the forest 0\.9\d\d\nas in this process: True\n", run)


def test_optuna_study(run: str) -> None:
    trials, _, _ = numbers(run)
    assert trials == 40
    assert run.endswith("told right: True\n")


def test_dask_graph(run: str) -> None:
    assert run == "500 even numbers, counted elsewhere: True\n"


def streams_of_r() -> list[float]:
    """The first normal deviates of six streams, as R itself has them."""
    program = """
        RNGkind("L'Ecuyer-CMRG"); set.seed(1); state <- .Random.seed
        for (i in 1:6) {
            state <- parallel::nextRNGStream(state)
            assign(".Random.seed", state, globalenv())
            cat(sprintf("%.4f ", rnorm(1)))
        }
    """
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True)
    return numbers(done.stdout)
