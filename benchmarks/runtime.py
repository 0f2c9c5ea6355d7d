"""R called from Python: rinterop.runtime beside rpy2, in one process and one R.

    python -m benchmarks.runtime [--seconds 1]

Needs R and rpy2-rinterface; rows of rpy2.robjects (which converts, as users call it) need the package
rpy2-robjects and are left out without it. Medians; each figure is of at least 30 calls.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import report
from rinterop import values
from rinterop.runtime import RuntimeUnavailableError, start

Row = dict[str, Callable[[], Any]]

CALL = "identity, 1L"
VECTOR = "identity, 8 MB double"
STRINGS = "identity, 1e5 strings"
CALLBACK = "R calls Python, 1L"
ERROR = "stop() to exception"
TASKS = (CALL, VECTOR, STRINGS, CALLBACK, ERROR)


def median_us(function: Callable[[], Any], seconds: float) -> float:
    """Microseconds a call takes."""
    function()
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < 30 or time.perf_counter() < until:
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def caught(function: Callable[[], Any]) -> Callable[[], None]:
    """The function, which must raise."""

    def run() -> None:
        try:
            function()
        except Exception:
            return
        raise AssertionError("no error")

    return run


def of_runtime(array: np.ndarray[Any, Any], texts: tuple[str, ...], *, convert: bool) -> Row:
    """rinterop.runtime, with R values or with natural ones on Python's side."""
    r = start()
    one: Any = 1 if convert else values.integer(1)
    vector: Any = array if convert else values.Double(array)
    strings: Any = np.array(texts, dtype=object) if convert else values.Character(texts)
    same = r.function(lambda x: x, convert=convert)
    r.eval("call_it <- function(f, x) f(x)")
    fails = r.eval("function() stop('no')")
    return {
        CALL: lambda: r.call("identity", one, convert=convert),
        VECTOR: lambda: r.call("identity", vector, convert=convert),
        STRINGS: lambda: r.call("identity", strings, convert=convert),
        CALLBACK: lambda: r.call("call_it", same, one, convert=convert),
        ERROR: caught(lambda: r.call(fails)),
    }


def of_rinterface(array: np.ndarray[Any, Any], texts: tuple[str, ...]) -> Row:
    """rpy2.rinterface: vectors of R's made, and read back into an array or list."""
    rinterface: Any = importlib.import_module("rpy2.rinterface")
    rinterface.initr()
    identity, fails = rinterface.baseenv["identity"], rinterface.evalr("function() stop('no')")
    call_it = rinterface.evalr("function(f, x) f(x)")
    buffer = cast("Any", array).data
    same = rinterface.rternalize(lambda x: x, signature=False)
    return {
        CALL: lambda: list(identity(rinterface.IntSexpVector([1]))),
        VECTOR: lambda: np.array(identity(rinterface.FloatSexpVector.from_memoryview(buffer))),
        STRINGS: lambda: list(identity(rinterface.StrSexpVector(texts))),
        CALLBACK: lambda: list(call_it(same, rinterface.IntSexpVector([1]))),
        ERROR: caught(fails),
    }


def of_robjects(array: np.ndarray[Any, Any], texts: tuple[str, ...]) -> Row | None:
    """rpy2.robjects with its conversion of NumPy arrays; None if it is not installed."""
    try:
        robjects: Any = importlib.import_module("rpy2.robjects")
        numpy2ri: Any = importlib.import_module("rpy2.robjects.numpy2ri")
    except ImportError:
        return None
    identity, fails = robjects.r["identity"], robjects.r("function() stop('no')")
    converter = robjects.default_converter + numpy2ri.converter
    strings = np.array(texts)

    def converted(argument: Any) -> Any:
        with converter.context():
            return identity(argument)

    return {
        CALL: lambda: identity(1)[0],
        VECTOR: lambda: converted(array),
        STRINGS: lambda: converted(strings),
        ERROR: caught(fails),
    }


def main() -> None:
    """Print the table."""
    arguments = report.parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    options = arguments.parse_args()
    console, found = Console(), report.Figures()
    array = np.arange(1e6)
    texts = tuple(f"text {n}" for n in range(100_000))
    try:
        version = start().version
    except RuntimeUnavailableError as exc:
        console.print(f"left out: {exc}")
        found.write(options.json)
        return
    rows: dict[str, Row | None] = {
        "rinterop.runtime": of_runtime(array, texts, convert=False),
        "rinterop.runtime, convert": of_runtime(array, texts, convert=True),
        "rpy2.rinterface": of_rinterface(array, texts),
        "rpy2.robjects": of_robjects(array, texts),
    }
    table = Table(title=f"R {version} called from Python, medians in µs")
    table.add_column("through")
    for task in TASKS:
        table.add_column(task, justify="right")
    there = {name: row for name, row in rows.items() if row is not None}
    figures: dict[str, list[str]] = {name: [] for name in there}
    for task in TASKS:
        # Everybody once before anybody is measured: the heap has grown to what it takes.
        for row in there.values():
            row.get(task, str)()
        for name, row in there.items():
            if task not in row:
                figures[name].append("–")
                continue
            taken_us = median_us(row[task], options.seconds)
            figures[name].append(f"{taken_us:,.1f}")
            found.add(f"{task}: {name}", taken_us, "µs")
    for name in there:
        table.add_row(name, *figures[name])
    console.print(table)
    found.write(options.json)


if __name__ == "__main__":
    main()
