"""The plots of README and docs/performance.md, drawn from the figures of a run of all benchmarks.

    python -m benchmarks.plots [FILE] [--folder docs/images]

FILE is what `python -m benchmarks --json FILE` wrote; benchmarks/results/latest.json by default. The same
file always gives the same plots: a test compares those in docs/images with it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.svg import WIDTH, Chart

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
IMAGES = ROOT / "docs" / "images"

BAR, GAP = 20, 10
DECADES = {10**power: f"{10**power:,}" for power in range(9)}

LENGTHS_US = {"100 µs": 1e2, "1 ms": 1e3, "10 ms": 1e4, "100 ms": 1e5}
"""Those of `benchmarks.task_length` that have a body."""


def systems(run: Mapping[str, Any]) -> Chart:
    """Tasks per second by system, on a scale of powers of ten."""
    benchmarks = run["benchmarks"]
    rates = report.series(benchmarks["python_jobs"], "no-op tasks")
    if "rjobs" in benchmarks:  # there may have been no R
        of_r = report.series(benchmarks["rjobs"], "tasks")
        rates |= {f"{name} (R)": rate for name, rate in of_r.items()}
    ranked = sorted(rates.items(), key=lambda item: -item[1])
    quickest, rate = ranked[0]
    chart = Chart(
        "Tasks per second",
        f"Bars by system, on a logarithmic scale. The longest is {quickest} with {rate:,.0f} tasks a second.",
        (BAR + GAP) * len(ranked) + GAP,
        (
            "No-op tasks, one at a time (chunk size 1), on two workers, results awaited. Logarithmic scale.",
            "(R): the loop is of an R session with doRedis, on R's workers or on ours. All else is Python.",
            conditions(run),
        ),
    )
    low = math.floor(math.log10(ranked[-1][1]))
    high = math.log10(rate) + 0.35  # the value of the longest bar stands behind it
    place = _scale(low, high, chart.left, chart.right)
    chart.ticks_below(
        {text: place(math.log10(n)) for n, text in DECADES.items() if low <= math.log10(n) <= high}, "tasks/s"
    )
    for number, (name, rate) in enumerate(ranked):
        y = chart.top + GAP + (BAR + GAP) * number
        end = place(math.log10(rate))
        chart.bar(y, BAR, end, 0 if name.startswith("pydoredis") else 5)
        chart.text(chart.left - 8, y + BAR - 5, name, anchor="end")
        chart.text(end + 6, y + BAR - 5, f"{rate:,.0f}")
    return chart


def task_length(run: Mapping[str, Any]) -> Chart:
    """The share of the workers' time that bodies have, by their length."""
    figures = run["benchmarks"]["task_length"]
    empty = report.series(figures, "a task of 0 µs")
    shares = {
        name: [
            length / report.series(figures, f"a task of {text}")[name] for text, length in LENGTHS_US.items()
        ]
        for name in empty
    }
    chart = Chart(
        "What a task costs, against its length",
        "Lines by system, for tasks of 100 µs to 100 ms: the share of two workers' time that bodies have. "
        + "; ".join(f"{name}: {', '.join(f'{y:.0%}' for y in line)}" for name, line in shares.items()),
        300,
        (
            "Bodies use the processor for so long; coordinator, agent and server run on the same cores.",
            "The rest is cost. In brackets: what an empty task takes of a worker's time.",
            conditions(run),
        ),
        left=64,
        right=WIDTH - 320,
    )
    across = _scale(-0.25, len(LENGTHS_US) - 0.75, chart.left, chart.right)
    up = _scale(0, 1, chart.bottom, chart.top)
    chart.ticks_left(
        {f"{n} %": up(n / 100) for n in range(0, 101, 20)}, "of the workers' time is the bodies'"
    )
    chart.ticks_below({text: across(n) for n, text in enumerate(LENGTHS_US)}, "length of the body")
    for color, line in enumerate(shares.values()):
        chart.curve([(across(n), up(share)) for n, share in enumerate(line)], color)
    lines = {f"{name} ({empty[name]:,.0f} µs)": f"line{color}" for color, name in enumerate(shares)}
    chart.legend(chart.right + 10, chart.top + 8, lines)
    return chart


def speedup(run: Mapping[str, Any]) -> Chart:
    """Speed-up by executors, beside the ideal."""
    found = report.series(run["benchmarks"]["speedup"], "speed-up")
    times = {int(executors): value for executors, value in found.items()}
    most, cores = max(times), run["machine"]["cores"]
    chart = Chart(
        "Speed-up by executors",
        "A line beside the ideal: "
        + ", ".join(f"{n} executors {value:.2f}" for n, value in times.items())
        + ".",
        300,
        (
            "Tasks that sleep for 20 ms, chunk size 1, executors of one agent; 1: one by one without a pool.",
            f"They sleep because bodies that compute cannot be quicker than the {cores} cores here.",
            conditions(run),
        ),
        left=64,
    )
    across = _scale(0, most * 1.06, chart.left, chart.right)
    up = _scale(0, most * 1.06, chart.bottom, chart.top)
    chart.ticks_left({str(n): up(n) for n in (0, *times)}, "times as fast")
    chart.ticks_below({str(n): across(n) for n in times}, "executors")
    chart.curve([(across(0), up(0)), (across(most), up(most))], 5, dashed=True)
    chart.curve([(across(n), up(value)) for n, value in times.items()], 0)
    for n, value in times.items():
        chart.text(across(n) + 8, up(value) + 16, f"{value:.1f}")
    chart.legend(chart.right - 120, chart.bottom - 56, {"pydoredis": "line0", "ideal": "line5 dashed"})
    return chart


PLOTS: dict[str, Callable[[Mapping[str, Any]], Chart]] = {
    "tasks-per-second.svg": systems,
    "task-length.svg": task_length,
    "speed-up.svg": speedup,
}


def conditions(run: Mapping[str, Any]) -> str:
    """Machine, versions and date, in a line."""
    machine, versions = run["machine"], run["versions"]
    told = [f"{machine['cores']} cores ({machine['processor']})"]
    told += [f"{name} {versions[name]}" for name in ("Python", "R", "Redis") if versions[name]]
    return ", ".join((*told, run["date"].partition(" ")[0]))


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Where a value stands."""
    return lambda value: start + (value - low) / (high - low) * (end - start)


def drawn(run: Mapping[str, Any]) -> dict[str, str]:
    """The files, by name."""
    return {name: plot(run).render() for name, plot in PLOTS.items()}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in drawn(report.read(options.file)).items():
        (options.folder / name).write_text(text, "utf-8")
        print(options.folder / name)


if __name__ == "__main__":
    main()
