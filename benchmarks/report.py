"""Figures of benchmarks as data: what `--json FILE` writes, and what plots read.

A benchmark prints its tables and hands the same figures to `Figures`, each with a name and a unit. Those
that belong together have names `what: of whom`. `python -m benchmarks --json FILE` collects the figures of
all modules in one file, with the conditions under which they were measured.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Figures:
    """What one benchmark has found, by name."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, str]] = {}

    def add(self, name: str, value: float, unit: str) -> None:
        """Keep a figure."""
        if name in self._found:
            raise ValueError(f"two figures named {name!r}")
        self._found[name] = value, unit

    def __iter__(self) -> Iterator[tuple[str, float, str]]:
        """Names, values and units."""
        return ((name, value, unit) for name, (value, unit) in self._found.items())

    def write(self, path: Path | None) -> None:
        """Write a JSON object to the file that the command line names, if it names one.

        What is not a number (the machine cannot tell) is left out, for JSON has no such values.
        """
        if path is not None:
            numbers = [figure for figure in self if math.isfinite(figure[1])]
            content = {name: {"value": float(f"{value:.5g}"), "unit": unit} for name, value, unit in numbers}
            write(path, content)


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark: its documentation, and `--json`."""
    made = argparse.ArgumentParser(description=(documentation or "").partition("\n")[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there, with units")
    return made


def parser_beside_peers(documentation: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark that has the peers' systems beside ours."""
    made = parser(documentation)
    made.add_argument("--rounds", type=int, default=3, help="runs of each system; the best counts")
    made.add_argument("--share", type=float, default=1.0, help="do so much of everything, 0 to 1")
    made.add_argument("--no-peers", action="store_true", help="measure ours only")
    return made


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object. Its lines are the same for the same content, so that commits show what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(path: Path) -> dict[str, Any]:
    """What was written."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def series(figures: dict[str, Any], what: str) -> dict[str, float]:
    """The figures of a benchmark that are named `what: of whom`, by whose they are."""
    start = f"{what}: "
    found = {
        name.removeprefix(start): float(figure["value"])
        for name, figure in figures.items()
        if name.startswith(start)
    }
    if not found:
        raise SystemExit(f"there is no figure '{what}'; measure again")
    return found
