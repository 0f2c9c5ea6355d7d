"""Examples that need packages which pydoredis does not: each is run as users run it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.slow


def printed(name: str, redis_url: str, *arguments: str, needs: tuple[str, ...]) -> list[str]:
    """The lines that an example prints."""
    missing = [package for package in needs if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    environment = {**os.environ, "PYDOREDIS_URL": redis_url}
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(autouse=True)
def no_key_is_left(redis_url: str, redis_client: redis.Redis) -> object:
    yield
    left = {key for key in redis_client.scan_iter() if redis_client.pttl(key) == -1}
    assert left <= {b"RJOBS.live", b"RJOBS.count"}


def test_web_service(redis_url: str) -> None:
    factors, hits, *lines = printed("web_service", redis_url, needs=("starlette", "httpx"))
    assert json.loads(factors) == [7, 11, 13]
    share = json.loads(hits)["hits"] / 100_000
    assert abs(share - 0.785398) < 5 * 0.41 / 100_000**0.5  # five standard errors
    assert [line.partition(": ")[0] for line in lines] == [str(number) for number in range(2, 12)]
    assert lines[10 - 2] == "10: [2, 5]"


def test_figures(redis_url: str, tmp_path: Path) -> None:
    paths = printed("figures", redis_url, str(tmp_path), needs=("matplotlib",))
    assert sorted(paths) == [str(tmp_path / f"wave-{number}.png") for number in range(1, 5)]
    images = [Path(path).read_bytes() for path in paths]
    assert all(
        image.startswith(b"\x89PNG\r\n") and image.rstrip().endswith(b"IEND\xaeB`\x82") for image in images
    )
    assert len(set(images)) == 4


@pytest.mark.needs_r
def test_models_by_group(redis_url: str, tmp_path: Path) -> None:
    """The same as from R alone."""
    head, *rows = printed("models_by_group", redis_url, needs=("pandas",))
    assert head.split() == ["school", "term", "estimate", "error"]
    found = [row.split() for row in rows]
    assert [row[:2] for row in found] == [
        [school, term] for school in ("East", "North", "West") for term in ("(Intercept)", "hours")
    ]
    data = tmp_path / "data.csv"
    write = (
        "import sys, numpy, models_by_group as m; "
        "m.exam(numpy.random.default_rng(1), 600).to_csv(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", write, str(data)], cwd=EXAMPLES, check=True, timeout=60)
    program = f"""
        data <- read.csv("{data}")
        for (group in split(data, data$school)) {{
            about <- coef(summary(glm(passed ~ hours, family = binomial, data = group)))
            cat(sprintf("%.4f", t(about[, 1:2])), "\\n")
        }}
    """
    by_r = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True, timeout=60)
    expected = [float(number) for number in by_r.stdout.split()]
    assert [float(number) for row in found for number in row[2:]] == pytest.approx(expected, abs=1.5e-4)


def test_notebook(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executed by a kernel: its values, the bar, and the plot."""
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYDOREDIS_URL", redis_url)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    nbclient.NotebookClient(notebook, timeout=90, kernel_name="python3").execute()
    cells = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    _, loop, again, plot, _ = ["".join(str(output.get("data")) for output in cell) for cell in cells]
    assert abs(float(loop.rpartition("np.float64(")[2].partition(")")[0]) - 1000**0.5) < 6
    assert "True" in again
    assert "image/png" in plot
    for cell in (loop, again):
        assert "200/200" in re.sub("<[^>]*>", "", cell)
