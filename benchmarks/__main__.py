"""Runs benchmarks: all of them (`python -m benchmarks`), or those named; `--list` says what there is."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

MODULES = (
    "loops",
    "rjobs",
    "breakdown",
    "python_jobs",
    "runtime",
    "agent_link",
    "idle_agents",
    "start_up",
    "threads",
    "large_data",
    "rserialize",
)
"""In this order. Each is a module with a `main()`, whose docstring's first line says what it measures."""


def main() -> int:
    """Run what the command line asks for; 1 if any benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side with the peers.")
    parser.add_argument("name", nargs="*", help="benchmarks to run; all of them by default")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.name if name not in MODULES]:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(MODULES)}")
    failed = []
    for name in options.name or MODULES:
        # Seen at once even in a pipe, where the tables of the children would overtake it.
        print(f"python -m benchmarks.{name}    {_summary(name)}", flush=True)
        # In a process of its own, so that none measures what another left in memory.
        if not options.list and subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _summary(name: str) -> str:
    """The first line of a module's docstring; the module is not run for that."""
    source = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
