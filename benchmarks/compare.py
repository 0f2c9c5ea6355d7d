"""Another commit and this checkout in turn, and how many times as much this one takes or does.

    python -m benchmarks.compare BASE [--runs 3]

Machines are slower or faster from one minute to the next. So only ratios count, of several runs in turn.
`make bench-compare BASE=v1.0` does it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import report

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("loops.py")


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="a commit, branch or tag")
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        checkout, base = Path(scratch) / "checkout", Path(scratch) / "packages"
        _git("worktree", "add", "--quiet", "--detach", str(checkout), options.base)
        try:
            _install(checkout, base)
        finally:
            _git("worktree", "remove", "--force", str(checkout))
        pairs = measured(base, ROOT, options.runs)
    table = Table(title=f"{options.base} and this checkout, medians of {options.runs} runs in turn")
    for column in ("", options.base, "here", "ratio", "least", "greatest"):
        table.add_column(column, justify="right" if column else "left")
    for name, pair in pairs.items():
        old, new = (statistics.median(values) for values in zip(*pair, strict=True))
        ratios = [after / before for before, after in pair]
        table.add_row(name, *(f"{value:,.3f}" for value in (old, new, new / old, min(ratios), max(ratios))))
    Console(width=110).print(table)
    return 0


def measured(base: Path, here: Path, runs: int) -> dict[str, list[tuple[float, float]]]:
    """By figure: its values there and here, of each run."""
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in range(runs):
        # Who comes first has a colder machine, or a cooler one.
        order: Sequence[Path] = (base, here) if run % 2 else (here, base)
        found = {tree: _figures(tree) for tree in order}
        for name, value in found[base].items():
            pairs[name].append((value, found[here][name]))
    return pairs


def _figures(tree: Path) -> dict[str, float]:
    """What `benchmarks.loops` says of the package in a directory."""
    # The packages of that tree, and the benchmarks of this one.
    environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}"}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "figures.json"
        command = [sys.executable, str(SCRIPT), "--json", str(file)]
        subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, check=True)
        found = report.read(file)
    return {f"{name}, {figure['unit']}": figure["value"] for name, figure in found.items()}


def _install(checkout: Path, packages: Path) -> None:
    """The packages of a checkout, with the compiled helper of rinterop."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
    subprocess.run([*pip, str(checkout)], check=True)


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
