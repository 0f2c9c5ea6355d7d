"""Runs benchmarks: all of them (`python -m benchmarks`), or those named; `--list` says what there is.

With `--json FILE` their figures are written there, with the conditions under which they were measured:
`{"date": …, "machine": …, "versions": …, "benchmarks": {MODULE: {NAME: {"value": …, "unit": …}}}}`.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.conditions import conditions

MODULES = (
    "loops",
    "rjobs",
    "breakdown",
    "python_jobs",
    "executors",
    "task_length",
    "speedup",
    "cost_model",
    "runtime",
    "agent_link",
    "idle_agents",
    "scale",
    "start_up",
    "threads",
    "large_data",
    "operating",
    "rserialize",
)
"""In this order. Each is a module with a `main()` and an option `--json`.

The first line of its docstring says what it measures.
"""


def main() -> int:
    """Run what the command line asks for; 1 if any benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with the peers.")
    parser.add_argument("name", nargs="*", help="benchmarks to run; all of them by default")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    options = parser.parse_args()
    if unknown := [name for name in options.name if name not in MODULES]:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(MODULES)}")
    names = options.name or MODULES
    if options.list:
        for name in names:
            print(_title(name))
        return 0
    figures: dict[str, Any] = {}
    found = conditions() | {"benchmarks": figures} if options.json else {}
    for name in names:
        # Seen at once even in a pipe, where the tables of the children would overtake it.
        print(_title(name), flush=True)
        if (of_module := run(name)) is not None:
            figures[name] = of_module
        if options.json:
            # At once: all of them take long, and may be interrupted.
            report.write(options.json, found)
    if failed := [name for name in names if name not in figures]:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str) -> dict[str, Any] | None:
    """The figures of a benchmark; None if it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "figures.json"
        # In a process of its own, so that none measures what another left in memory.
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file)]
        return None if subprocess.run(command).returncode else report.read(file)


def _title(name: str) -> str:
    """How to run it alone, and what it measures."""
    return f"python -m benchmarks.{name}    {_summary(name)}"


def _summary(name: str) -> str:
    """The first line of a module's docstring; the module is not run for that."""
    source = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
