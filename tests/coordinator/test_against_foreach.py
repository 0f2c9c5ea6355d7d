"""Accumulation and nesting against R's foreach with `%do%`: the same calls of the same combine function.

The combine function of most programs writes down how it was called, so that every difference in grouping, in
order and in the treatment of failures shows. Bodies are run in this process; what happens between a
coordinator and its workers is another matter (test_against_r).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from pydoredis.combine.accumulate import MISSING, CombineSpec, ErrorHandling
from pydoredis.loops.iterators import icount, idiv, rows
from pydoredis.loops.nesting import Loop, Plan
from tests.coordinator.loops import run

PRELUDE = """
suppressMessages(library(foreach))
library(iterators)
show <- function(x) {
  if (is.null(x)) "None"
  else if (inherits(x, "error")) conditionMessage(x)
  else if (is.list(x)) paste0("[", paste(vapply(x, show, ""), collapse = ", "), "]")
  else if (is.matrix(x)) show(apply(x, 1, as.list, simplify = FALSE))
  else if (length(x) == 1) as.character(x)
  else paste0("[", paste(x, collapse = ", "), "]")
}
P <- function(...) paste0("(", paste(vapply(list(...), show, ""), collapse = " "), ")")
bad <- function(i, where) if (i %in% where) stop("bad ", i) else i
said <- function(e) paste("stopped:", sub('.* failed - "(.*)"', "\\\\1", conditionMessage(e)))
tell <- function(program) cat(tryCatch(show(program), error = said), "\\n", sep = "")
"""


def show(value: Any) -> str:
    """As `show` in R."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(show, value))}]"
    return str(value)


def paste(*values: Any) -> str:
    """`P` in R: shows how it was called."""
    return f"({' '.join(map(show, values))})"


def bad(number: int, where: tuple[int, ...]) -> int:
    if number in where:
        raise ValueError(f"bad {number}")
    return number


class Program(NamedTuple):
    """A loop in R, and the same loop here."""

    r: str
    plan: Plan
    body: Callable[..., Any]


def r_vector(values: tuple[int, ...]) -> str:
    return f"c({', '.join(map(str, values))})" if values else "integer(0)"


def flat(
    number: int,
    errorhandling: ErrorHandling = "stop",
    where: tuple[int, ...] = (),
    multicombine: bool = False,
    maxcombine: int | None = None,
    init: Any = MISSING,
    inorder: bool = True,
    final: bool = False,
) -> Program:
    """One loop with the combine function that shows how it was called."""
    options = [
        f".errorhandling = '{errorhandling}'",
        f".multicombine = {str(multicombine).upper()}",
        f".inorder = {str(inorder).upper()}",
    ]
    if maxcombine is not None:
        options.append(f".maxcombine = {maxcombine}")
    if init is not MISSING:
        options.append(f".init = {'NULL' if init is None else init}")
    if final:
        options.append(".final = function(x) P('final', x)")
    spec = CombineSpec(
        paste,
        init=init,
        final=(lambda value: paste("final", value)) if final else None,
        inorder=inorder,
        multicombine=multicombine,
        maxcombine=maxcombine,
    )
    r = f"foreach(i = icount({number}), .combine = P, {', '.join(options)}) %do% bad(i, {r_vector(where)})"
    plan = Plan((Loop((), {"i": icount(number)}, spec, errorhandling),))
    return Program(r, plan, lambda i: bad(i, where))


def loop(combine: Any = None, errorhandling: ErrorHandling | None = None, **named: Any) -> Plan:
    return Plan((Loop((), named, CombineSpec(combine), errorhandling),))


def bad_pair(i: int, j: int) -> int:
    return bad(10 * i + j, (12, 21))


def nested(outer: ErrorHandling | None, inner: ErrorHandling | None) -> Program:
    """Two loops with failures, and what each says of them."""

    def said(handling: ErrorHandling | None) -> str:
        return "" if handling is None else f", .errorhandling = '{handling}'"

    return Program(
        f"foreach(i = 1:3, .combine = P{said(outer)}) %:%"
        f" foreach(j = 1:3, .combine = P{said(inner)}) %do% bad(10 * i + j, c(12, 21))",
        loop(paste, outer, i=range(1, 4)).nest(loop(paste, inner, j=range(1, 4))),
        bad_pair,
    )


FAILURES: tuple[tuple[int, ...], ...] = ((1,), (1, 2, 3), (3, 4), (7,), (1, 2, 3, 4, 5, 6, 7))

PROGRAMS = [
    *(flat(n, maxcombine=size) for n in (0, 1, 2, 7) for size in (None, 2, 3, 5)),
    *(flat(n, multicombine=True) for n in (1, 99, 100, 101, 199, 200, 350)),
    *(flat(n, init=init, maxcombine=size) for n in (0, 1, 6) for init in (0, None) for size in (2, 3, 4)),
    *(flat(n, final=True) for n in (0, 1, 3)),
    *(flat(7, "remove", where, maxcombine=size) for where in FAILURES for size in (2, 3, 5)),
    *(flat(7, "pass", where, maxcombine=size) for where in FAILURES for size in (2, 3, 5)),
    *(flat(7, "remove", where, init=0, maxcombine=3) for where in FAILURES),
    *(flat(7, "remove", where, inorder=False, maxcombine=3) for where in FAILURES),
    *(flat(7, "stop", where) for where in FAILURES),
    *(nested(outer, inner) for outer in (None, "stop", "remove") for inner in (None, "stop", "remove")),
    *(nested(outer, "pass") for outer in (None, "stop", "remove", "pass")),
    *(nested("pass", inner) for inner in (None, "stop", "remove")),
    Program("foreach(i = 1:3) %do% i", loop(i=range(1, 4)), lambda i: i),
    Program("foreach(i = 1:3) %do% if (i != 2) i", loop(i=range(1, 4)), lambda i: i if i != 2 else None),
    Program("foreach(i = integer(0)) %do% i", loop(i=[]), lambda i: i),
    Program(
        "foreach(i = 1:4, j = 2:3, .combine = '-') %do% (i * j)",
        loop("-", i=[1, 2, 3], j=[2, 3]),
        lambda i, j: i * j,
    ),
    Program("foreach(i = 1:250, .combine = c) %do% i", loop("c", i=range(1, 251)), lambda i: i),
    Program(
        "foreach(i = 1:4, .combine = c) %do% if (i != 2) i",
        loop("c", i=range(1, 5)),
        lambda i: i if i != 2 else None,
    ),
    Program(
        "foreach(i = 1:4, .combine = rbind) %do% c(i, i^2)", loop("rbind", i=range(1, 5)), lambda i: [i, i**2]
    ),
    Program(
        "foreach(i = 1:4, .combine = cbind) %do% c(i, i^2)", loop("cbind", i=range(1, 5)), lambda i: [i, i**2]
    ),
    Program(
        "foreach(i = 1:4, .combine = max) %do% c(i, -i)",
        loop("max", i=range(1, 5)),
        lambda i: np.array([i, -i]),
    ),
    Program(
        "foreach(n = idiv(10, chunks = 4), .combine = P) %do% n",
        loop(paste, n=idiv(10, chunks=4)),
        lambda n: n,
    ),
    Program(
        "foreach(n = idiv(10, chunkSize = 3), .combine = P) %do% n",
        loop(paste, n=idiv(10, chunk_size=3)),
        lambda n: n,
    ),
    Program(
        "foreach(r = iter(matrix(1:6, 2, byrow = TRUE), by = 'row'), .combine = P) %do% sum(r)",
        loop(paste, r=rows(np.arange(1, 7).reshape(2, 3))),
        lambda r: r.sum(),
    ),
    Program(
        "foreach(i = 0:3, .combine = P) %:% foreach(j = icount(i), .combine = P) %do% (10 * i + j)",
        loop(paste, i=range(4)).nest(loop(paste, j=lambda i: icount(i))),
        lambda i, j: 10 * i + j,
    ),
    Program(
        "foreach(i = 0:3) %:% foreach(j = icount(i)) %do% (10 * i + j)",
        loop(i=range(4)).nest(loop(j=lambda i: icount(i))),
        lambda i, j: 10 * i + j,
    ),
    Program(
        "foreach(i = 1:4, .combine = P) %:% foreach(j = 1:4, .combine = P) %:% when(i + j == 5)"
        " %do% (10 * i + j)",
        loop(paste, i=range(1, 5)).nest(loop(paste, j=range(1, 5))).when(lambda i, j: i + j == 5),
        lambda i, j: 10 * i + j,
    ),
    Program(
        "foreach(i = 1:4, .combine = P) %:% when(i %% 2 == 0) %:% foreach(j = 1:2, .combine = P)"
        " %do% (10 * i + j)",
        loop(paste, i=range(1, 5)).when(lambda i: i % 2 == 0).nest(loop(paste, j=[1, 2])),
        lambda i, j: 10 * i + j,
    ),
    Program(
        "foreach(i = 1:3) %:% foreach(j = 1:3) %:% when(j > 1) %:% when(i < j) %do% (10 * i + j)",
        loop(i=range(1, 4)).nest(loop(j=range(1, 4))).when(lambda j: j > 1).when(lambda i, j: i < j),
        lambda i, j: 10 * i + j,
    ),
    Program(
        "foreach(i = 1:2, .combine = P) %:% foreach(j = 1:2, .combine = '+') %:%"
        " foreach(k = icount(j), .combine = c) %do% (100 * i + 10 * j + k)",
        loop(paste, i=[1, 2]).nest(loop("+", j=[1, 2])).nest(loop("c", k=lambda j: icount(j))),
        lambda i, j, k: 100 * i + 10 * j + k,
    ),
]


def value(program: Program, window: int, newest_first: bool) -> str:
    try:
        return show(run(program.plan, program.body, window, newest_first))
    except ValueError as exc:
        return f"stopped: {exc}"


@pytest.fixture(scope="module")
def from_r(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What R says of each program, all in one session."""
    script: Path = tmp_path_factory.mktemp("foreach") / "programs.R"
    script.write_text(PRELUDE + "".join(f"tell({program.r})\n" for program in PROGRAMS))
    done = subprocess.run(["Rscript", "--vanilla", str(script)], capture_output=True, text=True, check=False)
    if "there is no package called" in done.stderr:
        pytest.skip("R's foreach package is not installed")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.needs_r
@pytest.mark.parametrize(("window", "newest_first"), [(1, False), (5, True), (1000, True)])
def test_loops_have_the_values_that_r_gives_them(from_r: list[str], window: int, newest_first: bool) -> None:
    assert len(from_r) == len(PROGRAMS) >= 40
    differing = []
    for program, expected in zip(PROGRAMS, from_r, strict=True):
        # In these, what comes first counts, and R's %do% goes one by one.
        as_it_comes = ".inorder = FALSE" in program.r or expected.startswith("stopped")
        if newest_first and as_it_comes:
            continue
        if (found := value(program, window, newest_first)) != expected:
            differing.append(f"{program.r}\n  R:    {expected}\n  here: {found}")
    assert not differing, "\n".join(differing)
