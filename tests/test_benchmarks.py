"""Benchmarks: they run, hand over their figures with units, and the plots in docs show these figures."""

from __future__ import annotations

import json
import math
import multiprocessing
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import NOT_INSTALLED, plots, report, tables
from benchmarks import __main__ as program
from benchmarks.conditions import PACKAGES, conditions
from benchmarks.python_systems import OURS, PEERS, System

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_each_benchmark_can_hand_over_its_figures() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{name}", "--help"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in program.MODULES
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [
        name for name, text in zip(program.MODULES, outputs, strict=True) if "--json FILE" not in text
    ] == []


def test_figures_are_written_with_units_and_found_again(tmp_path: Path) -> None:
    figures = report.Figures()
    figures.add("tasks: ours", 12345.678, "1/s")
    figures.add("tasks: theirs", 1 / 3, "1/s")
    figures.add("tasks, lone", 2.0, "ms")
    figures.add("tasks: who knows", math.nan, "1/s")
    with pytest.raises(ValueError, match="two figures"):
        figures.add("tasks: ours", 1.0, "1/s")
    figures.write(None)
    figures.write(tmp_path / "new" / "figures.json")
    found = report.read(tmp_path / "new" / "figures.json")
    assert found == {
        "tasks: ours": {"value": 12346.0, "unit": "1/s"},
        "tasks: theirs": {"value": 0.33333, "unit": "1/s"},
        "tasks, lone": {"value": 2.0, "unit": "ms"},
    }
    assert report.series(found, "tasks") == {"ours": 12346.0, "theirs": 0.33333}
    with pytest.raises(SystemExit, match="no figure 'loops'"):
        report.series(found, "loops")


def test_conditions_name_the_machine_and_all_that_is_compared(redis_url: str) -> None:
    found = json.loads(json.dumps(conditions()))
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory, GB"] > 0
    for name in ("Python", "Redis", "pydoredis", "redis"):
        assert found["versions"][name], name
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extra = re.findall(r"^bench = \[\n(.*?)^\]", project, re.M | re.S)
    names = re.findall(r'^ *"([\w-]+)', extra[0], re.M)
    assert len(names) >= 8
    assert set(names) <= set(PACKAGES)


@pytest.mark.slow
@pytest.mark.parametrize("system", [OURS, *PEERS], ids=lambda system: system.name)
def test_each_system_runs_tasks(system: System, redis_url: str) -> None:
    if not system.is_installed():
        pytest.skip(f"{system.name} is {NOT_INSTALLED}")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        process.submit(_run_tasks, system, redis_url).result(100)


def _run_tasks(system: System, url: str) -> None:
    with system.started(url) as run:
        assert sorted(run(5)) == [0, 1, 2, 3, 4]
        assert list(run(1)) == [0]
        assert sorted(run(3, 0.001)) == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "figures"),
    [
        (
            "task_length",
            ("--no-peers", "--rounds", "1", "--share", "0.005"),
            {"a task of 1 ms: pydoredis, chunk_size=1"},
        ),
        ("speedup", ("--executors", "1", "2", "--tasks", "5"), {"speed-up: 1", "speed-up: 2"}),
        ("cost_model", ("--share", "0.01"), {"a task: agent", "an iteration: coordinator", "a MB exported"}),
    ],
)
def test_a_benchmark_runs(
    name: str, arguments: tuple[str, ...], figures: set[str], redis_url: str, tmp_path: Path
) -> None:
    if name == "cost_model" and not Path("/proc/self/schedstat").exists():
        pytest.skip("processor times of other processes need Linux")
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    found = report.read(file)
    assert figures <= set(found)
    assert all(figure["unit"] for figure in found.values())


def test_the_figures_of_several_benchmarks_are_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "benchmarks"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "good.py").write_text("import sys, pathlib; pathlib.Path(sys.argv[2]).write_text('{}')")
    (package / "bad.py").write_text("raise SystemExit('no')")
    file = tmp_path / "all.json"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "MODULES", ("bad", "good"))
    monkeypatch.setattr(program, "_title", str)
    monkeypatch.setattr(program, "conditions", lambda: {"date": "today"})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--json", str(file)])
    assert program.main() == 1
    assert report.read(file) == {"date": "today", "benchmarks": {"good": {}}}
    assert "failed: bad" in capsys.readouterr().err


def test_the_plots_in_docs_are_those_of_the_figures() -> None:
    drawn = plots.drawn(report.read(plots.RESULTS))
    assert {path.name for path in plots.IMAGES.glob("*.svg")} == set(drawn)
    for name, text in drawn.items():
        assert (plots.IMAGES / name).read_text("utf-8") == text, "python -m benchmarks.plots draws it again"


def test_the_tables_in_docs_are_those_of_the_figures() -> None:
    document = tables.DOCUMENT.read_text("utf-8")
    assert tables.filled(document, report.read(plots.RESULTS)) == document, "python -m benchmarks.tables"


@pytest.mark.parametrize("name", sorted(plots.PLOTS))
def test_plots_are_well_formed_and_can_be_read_by_all(name: str) -> None:
    run = report.read(plots.RESULTS)
    # What is not plain in XML stays text.
    of_python = run["benchmarks"]["python_jobs"]
    of_python["no-op tasks: <A & B>"] = {"value": 17.0, "unit": "1/s"}
    text = plots.drawn(run)[name]
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    for label in ("title", "desc"):
        found = root.find(f"{SVG}{label}")
        assert found is not None
        assert found.text
    assert "prefers-color-scheme: dark" in text
    assert ("<A & B>" in {element.text for element in root.iter(f"{SVG}text")}) == (
        name == "tasks-per-second.svg"
    )
