"""R's serialization format: reading and writing it with rinterop, R itself, rpy2, rdata and rds2py.

    python -m benchmarks.rserialize [--repeat 7] [--only double,message]

Needs R; rdata and rds2py (`pip install -e '.[bench]'`) and rpy2 are left out, with a note, where they are not
installed. Medians of one run on one machine, each figure in a process of its own. A result is dropped after
the clock has stopped; the input is in memory, but for rds2py and "rinterop, file", which read an uncompressed
.rds file. Reading means: up to the library's own values (rinterop: RValue; rdata: Python's; rds2py: dicts; R
and rpy2: R's objects).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks import NOT_INSTALLED, report

VALUES = {
    "double": "80 MB double",
    "int": "40 MB int",
    "strings": "1e6 strings",
    "frame": "frame 1e6 x 10",
    "lists": "1e5 lists",
    "message": "1.3 KB message",
}
LIBRARIES = {
    "r": "R",
    "rinterop": "rinterop",
    "file": "rinterop, file",
    "pure": "rinterop, no C",
    "rpy2": "rpy2",
    "rdata": "rdata",
    "rds2py": "rds2py",
}
SLOW = {"strings", "frame", "lists"}
"""What takes rdata minutes: measured on a hundredth of the elements, times 100, and marked with ~."""

_VERSIONS = 14
"""Bytes of a stream that say which R wrote it, and for which."""

Figures: TypeAlias = "dict[str, list[float | None]]"
"""Milliseconds to read and to write, by value; None where the library cannot."""
Action: TypeAlias = Callable[[], object]


def milliseconds(action: Action, repeat: int) -> float:
    """The median of `repeat` runs; a run of less than a millisecond is a loop of 1000."""

    def once(times: int) -> float:
        result: object = None
        start = time.perf_counter()
        for _ in range(times):
            result = action()
        took = time.perf_counter() - start
        del result
        return took * 1000 / times

    times = 1000 if once(1) < 1 and once(1) < 1 else 1
    return statistics.median(once(times) for _ in range(repeat))


# -- one library each: a file in, what reads it and what writes it again out


def use_rinterop(file: Path) -> tuple[Action, Action | None]:
    import rinterop

    data = file.read_bytes()
    value = rinterop.loads(data)
    assert rinterop.dumps(value)[_VERSIONS:] == data[_VERSIONS:]
    return lambda: rinterop.loads(data), lambda: rinterop.dumps(value)


def use_file(file: Path) -> tuple[Action, Action | None]:
    import rinterop

    value = rinterop.read_rds(file)
    target = file.with_suffix(".ours")
    return lambda: rinterop.read_rds(file), lambda: rinterop.write_rds(value, target, compress=None)


def use_rpy2(file: Path) -> tuple[Action, Action | None]:
    from rpy2.rinterface_lib import openrlib

    rinterface: Any = importlib.import_module("rpy2.rinterface")
    rinterface.initr()
    data = file.read_bytes()
    serialize, unserialize = rinterface.globalenv.find("serialize"), rinterface.globalenv.find("unserialize")

    def read() -> object:
        return unserialize(rinterface.ByteSexpVector.from_memoryview(memoryview(data)))

    value = read()

    def write() -> bytes:
        found = serialize(value, rinterface.NULL)
        # bytes(found) goes element by element.
        return bytes(openrlib.ffi.buffer(openrlib.rlib.RAW(found.__sexp__._cdata), len(found)))

    return read, write


def use_rdata(file: Path) -> tuple[Action, Action | None]:
    parser, conversion, unparser = (
        importlib.import_module(f"rdata.{part}") for part in ("parser", "conversion", "unparser")
    )
    data = file.read_bytes()

    def read() -> Any:
        return conversion.convert(parser.parse_data(data, extension=".rds"))

    value = read()
    return read, lambda: unparser.unparse_data(conversion.convert_python_to_r_data(value))


def use_rds2py(file: Path) -> tuple[Action, Action | None]:
    rds2py: Any = importlib.import_module("rds2py")
    return lambda: rds2py.parse_rds(str(file)), None


USES: dict[str, Callable[[Path], tuple[Action, Action | None]]] = {
    "rinterop": use_rinterop,
    "pure": use_rinterop,
    "file": use_file,
    "rpy2": use_rpy2,
    "rdata": use_rdata,
    "rds2py": use_rds2py,
}


def measure(library: str, folder: Path, name: str, repeat: int) -> list[float | None]:
    """Milliseconds to read and to write one value, in this process; None for what cannot be done."""
    slow = library == "rdata" and name in SLOW
    actions = USES[library](folder / (f"{name}.small.rds" if slow else f"{name}.rds"))
    figures: list[float | None] = []
    for action in actions:
        try:
            figure = None if action is None else milliseconds(action, 1 if slow else repeat)
        except Exception as error:  # whatever goes wrong in a library: the others' figures are wanted
            print(f"{LIBRARIES[library]}, {VALUES[name]}: {error!r}", file=sys.stderr)
            figure = None
        figures.append(figure and figure * (100 if slow else 1))
    return figures


# -- all of them


def measure_apart(library: str, folder: Path, name: str, repeat: int) -> list[float | None]:
    """The same in a process of its own, which finds no leavings of others in its memory."""
    command = [sys.executable, "-m", "benchmarks.rserialize", "--library", library, "--folder", str(folder)]
    command += ["--only", name, "--repeat", str(repeat)]
    environment = {**os.environ, "RINTEROP_PURE": "1" if library == "pure" else ""}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: list[float | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def is_here(library: str) -> bool:
    """Whether it can be imported."""
    return library not in ("rpy2", "rdata", "rds2py") or importlib.util.find_spec(library) is not None


def measure_r(folder: Path) -> Figures:
    """R's own figures; it makes the files, too."""
    script = Path(__file__).with_suffix(".R")
    done = subprocess.run(["Rscript", str(script), str(folder)], capture_output=True, text=True, check=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def show(figures: dict[str, Figures], names: list[str]) -> None:
    """Two tables: milliseconds, and in brackets how many times as fast as R that is."""
    for place, direction in enumerate(("read", "write")):
        table = Table(title=f"{direction}, ms (in brackets: times R's speed)", box=None, header_style="bold")
        table.add_column("")
        for name in names:
            table.add_column(VALUES[name], justify="right", no_wrap=True)
        for library, by_value in figures.items():
            cells = []
            for name in names:
                took, r = by_value[name][place], figures["r"][name][place]
                guessed = "~" if library == "rdata" and name in SLOW else ""
                digits = 0 if took and took >= 100 else 1 if took and took >= 1 else 4
                ratio = f" ({r / took:.2g}x)" if took and r and library != "r" else ""
                cells.append(f"{guessed}{took:,.{digits}f}{ratio}" if took else "-")
            table.add_row(LIBRARIES[library], *cells)
        Console(width=150).print(table)


def report_of(figures: dict[str, Figures]) -> report.Figures:
    """The same as data."""
    found = report.Figures()
    for library, by_value in figures.items():
        for name, both in by_value.items():
            for direction, took in zip(("read", "write"), both, strict=True):
                if took:
                    found.add(f"{direction} {VALUES[name]}: {LIBRARIES[library]}", took, "ms")
    return found


def main() -> None:
    """Measure all libraries and print the tables."""
    parser = report.parser(__doc__)
    parser.add_argument("--repeat", type=int, default=7, help="runs of which the median is taken")
    parser.add_argument("--only", default=",".join(VALUES), help="values to measure, with commas")
    parser.add_argument("--library", choices=USES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.only.split(",")
    if options.library:
        print(json.dumps(measure(options.library, options.folder, names[0], options.repeat)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        figures = {"r": measure_r(folder)}
        for library in USES:
            if not is_here(library):
                left_out = "not installed: pip install -e '.[r]'" if library == "rpy2" else NOT_INSTALLED
                print(f"{LIBRARIES[library]}: {left_out}", file=sys.stderr)
                continue
            figures[library] = {name: measure_apart(library, folder, name, options.repeat) for name in names}
        print(f"message: {(folder / 'message.rds').stat().st_size} bytes")
    show(figures, names)
    report_of(figures).write(options.json)


if __name__ == "__main__":
    main()
