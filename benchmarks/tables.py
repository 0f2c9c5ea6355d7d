"""Tables of docs/performance.md, filled in from the figures of a run of all benchmarks.

    python -m benchmarks.tables [FILE]

FILE is what `python -m benchmarks --json FILE` wrote; benchmarks/results/latest.json by default. A table
stands between the lines `<!-- figures: NAME -->` and `<!-- end -->`. The same file always gives the same
tables: a test compares those in the document with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import report
from benchmarks.cost_model import PROCESSES
from benchmarks.plots import RESULTS, ROOT
from benchmarks.python_systems import OURS, PEERS, WORKERS
from benchmarks.task_length import AUTOMATIC, LENGTHS_S, ONE_BY_ONE
from tests.documents import with_table

DOCUMENT = ROOT / "docs" / "performance.md"

AUTOMATIC_TASK_US = 20_000
"""How long a task of chunk size "auto" is meant to take (`pydoredis.coordinator.window`)."""

Run: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Iterable[Sequence[str]]


def python_jobs(run: Run) -> Rows:
    """No-op tasks, ours and the peers'."""
    figures = run["benchmarks"]["python_jobs"]
    rates, lone = report.series(figures, "no-op tasks"), report.series(figures, "a lone task")
    yield "", "tasks/s", "we: times as many", "a lone task, ms"
    for system in (OURS, *PEERS):
        if rate := rates.get(system.name):
            version = run["versions"].get(system.module) if system in PEERS else None
            name = f"{system.name} {version}" if version and version not in system.name else system.name
            told = f"{name}: {system.settings}" if system in PEERS else name
            ratio = rates[OURS.name] / rate
            yield told, f"{rate:,.0f}", f"{ratio:.1f}" if ratio != 1 else "1", f"{lone[system.name]:.2f}"


def cost_model(run: Run) -> Rows:
    """The constants of the formula that are processor times."""
    figures = run["benchmarks"]["cost_model"]
    tasks, iterations = report.series(figures, "a task"), report.series(figures, "an iteration")
    yield "µs of processor", "a task", "each iteration of it"
    for process in PROCESSES:
        yield process, f"{tasks[process]:.1f}", f"{iterations[process]:.1f}"
    yield "**sum**", f"**{sum(tasks.values()):.1f}**", f"**{sum(iterations.values()):.1f}**"


def task_length(run: Run) -> Rows:
    """What tasks take of a worker's time, measured and as the formula has it."""
    figures, constants = run["benchmarks"]["task_length"], run["benchmarks"]["cost_model"]
    task = sum(report.series(constants, "a task").values())
    iteration = sum(report.series(constants, "an iteration").values())
    # As many workers as cores, which all processes share: a worker's time is the processor time of all.
    cores = run["machine"]["cores"]
    lengths_us = [1e6 * seconds for seconds in LENGTHS_S.values()]
    formula = {
        ONE_BY_ONE.name: [(body + iteration + task) * WORKERS / cores for body in lengths_us],
        AUTOMATIC.name: [
            (body + iteration) * (1 + task / max(AUTOMATIC_TASK_US, body)) * WORKERS / cores
            for body in lengths_us
        ],
    }
    yield "µs of a worker for each task", *LENGTHS_S
    measured = {length: report.series(figures, f"a task of {length}") for length in LENGTHS_S}
    for name in measured["0 µs"]:
        yield name, *(f"{by_system[name]:,.0f}" for by_system in measured.values())
        if name in formula:
            yield "(the formula)", *(f"{value:,.0f}" for value in formula[name])


TABLES: dict[str, Callable[[Run], Rows]] = {
    "python_jobs": python_jobs,
    "cost_model": cost_model,
    "task_length": task_length,
}


def filled(document: str, run: Run) -> str:
    """The document with all its tables made anew."""
    for name, table in TABLES.items():
        document = with_table(document, f"figures: {name}", table(run))
    return document


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=RESULTS)
    run = report.read(parser.parse_args().file)
    DOCUMENT.write_text(filled(DOCUMENT.read_text("utf-8"), run), "utf-8")
    print(DOCUMENT)


if __name__ == "__main__":
    main()
