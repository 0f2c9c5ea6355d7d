"""foreach programs twice: as R runs them with `%do%`, and as we write them. The body is R code in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pydoredis.loops.bodies import rexpr
from pydoredis.loops.foreach import Foreach
from pydoredis.loops.iterators import icount

MakeLoop = Callable[..., Foreach[Any, Any]]


@dataclass(frozen=True, slots=True)
class Program:
    """A loop in both languages.

    Attributes:
        r: R code that gives the value, by `%do%`.
        python: Makes the loop, with the function that makes loops.
        body: The loop's body: R code.
    """

    r: str
    python: Callable[[MakeLoop], Foreach[Any, Any]]
    body: str


def _joined(*values: str) -> str:
    return "(" + ",".join(values) + ")"


PROGRAMS = [
    # values
    Program("foreach(i=1:4) %do% sqrt(i)", lambda f: f(i=range(1, 5)), "sqrt(i)"),
    Program("foreach(i=1:4) %do% i", lambda f: f(i=range(1, 5)), "i"),
    Program("foreach(i=c('a','b')) %do% toupper(i)", lambda f: f(i=["a", "b"]), "toupper(i)"),
    Program("foreach(i=1:3) %do% (i > 1)", lambda f: f(i=range(1, 4)), "i > 1"),
    Program("foreach(i=1:3) %do% NULL", lambda f: f(i=range(1, 4)), "NULL"),
    Program("foreach(i=1:2) %do% list(a=i, b='x')", lambda f: f(i=[1, 2]), "list(a=i, b='x')"),
    Program("foreach(i=1:3) %do% matrix(i, 2, 2)", lambda f: f(i=range(1, 4)), "matrix(i, 2, 2)"),
    Program("foreach(i=1:3) %do% complex(real=i)", lambda f: f(i=range(1, 4)), "complex(real=i)"),
    Program("foreach(i=1:2) %do% as.raw(i)", lambda f: f(i=[1, 2]), "as.raw(i)"),
    Program("foreach(i=1:2) %do% c(i, NA, NaN)", lambda f: f(i=[1.0, 2.0]), "c(i, NA, NaN)"),
    Program("foreach(i=1:2) %do% as.Date('2026-01-01')", lambda f: f(i=[1, 2]), "as.Date('2026-01-01')"),
    # combine
    Program("foreach(i=1:9, .combine='c') %do% (i*2)", lambda f: f(i=range(1, 10), combine="c"), "i*2"),
    Program("foreach(i=1:9, .combine='+') %do% i", lambda f: f(i=range(1, 10), combine="+"), "i"),
    Program("foreach(i=1:9, .combine='*') %do% (i/3)", lambda f: f(i=range(1, 10), combine="*"), "i/3"),
    Program("foreach(i=1:9, .combine='-') %do% i", lambda f: f(i=range(1, 10), combine="-"), "i"),
    Program("foreach(i=1:9, .combine=min) %do% (5-i)", lambda f: f(i=range(1, 10), combine="min"), "5-i"),
    Program("foreach(i=1:9, .combine=max) %do% (5-i)", lambda f: f(i=range(1, 10), combine="max"), "5-i"),
    Program(
        "foreach(i=1:3, .combine='rbind') %do% c(i, i^2)",
        lambda f: f(i=range(1, 4), combine="rbind"),
        "c(i, i^2)",
    ),
    Program(
        "foreach(i=1:3, .combine='cbind') %do% c(i, i^2)",
        lambda f: f(i=range(1, 4), combine="cbind"),
        "c(i, i^2)",
    ),
    Program("foreach(i=1:250, .combine='c') %do% i", lambda f: f(i=range(1, 251), combine="c"), "i"),
    Program(
        "foreach(i=1:5, .combine=function(a, b) paste0('(', a, ',', b, ')')) %do% as.character(i)",
        lambda f: f(i=range(1, 6), combine=_joined),
        "as.character(i)",
    ),
    Program(
        "foreach(i=1:7, .combine=function(...) paste0('(', paste(..., sep=','), ')'), .multicombine=TRUE,"
        " .maxcombine=3) %do% as.character(i)",
        lambda f: f(i=range(1, 8), combine=_joined, multicombine=True, maxcombine=3),
        "as.character(i)",
    ),
    Program(
        "foreach(i=1:230, .combine=function(...) paste0('(', paste(..., sep=','), ')'), .multicombine=TRUE)"
        " %do% as.character(i)",
        lambda f: f(i=range(1, 231), combine=_joined, multicombine=True),
        "as.character(i)",
    ),
    # init, final, order
    Program(
        "foreach(i=1:4, .combine='+', .init=100) %do% i",
        lambda f: f(i=range(1, 5), combine="+", init=100),
        "i",
    ),
    Program(
        "foreach(i=1:4, .combine='c', .init=c(9, 8)) %do% i",
        lambda f: f(i=range(1, 5), combine="c", init=np.array([9.0, 8.0])),
        "i",
    ),
    Program(
        "foreach(i=1:4, .combine='c', .final=sum) %do% i",
        lambda f: f(i=range(1, 5), combine="c", final=np.sum),
        "i",
    ),
    Program("foreach(i=1:4, .final=length) %do% i", lambda f: f(i=range(1, 5), final=len), "i"),
    Program(
        "foreach(i=1:50, .combine='+', .inorder=FALSE) %do% i",
        lambda f: f(i=range(1, 51), combine="+", inorder=False),
        "i",
    ),
    Program(
        "sort(foreach(i=1:50, .combine='c', .inorder=FALSE) %do% i)",
        lambda f: f(i=range(1, 51), combine="c", inorder=False, final=np.sort),
        "i",
    ),
    Program("foreach(i=integer(0)) %do% i", lambda f: f(i=[]), "i"),
    Program(
        "foreach(i=integer(0), .combine='+', .init=5) %do% i", lambda f: f(i=[], combine="+", init=5), "i"
    ),
    # several variables
    Program(
        "foreach(i=1:3, j=4:6, .combine='c') %do% (i*j)",
        lambda f: f(i=range(1, 4), j=range(4, 7), combine="c"),
        "i*j",
    ),
    Program(
        "foreach(i=1:9, j=1:2, .combine='c') %do% (i+j)",
        lambda f: f(i=range(1, 10), j=[1, 2], combine="c"),
        "i+j",
    ),
    Program("foreach(icount(5), .combine='+') %do% 1", lambda f: f(icount(5), combine="+"), "1"),
    Program(
        "foreach(i=icount(), j=1:3, .combine='c') %do% (i-j)",
        lambda f: f(i=icount(), j=range(1, 4), combine="c"),
        "i-j",
    ),
    Program(
        "foreach(x=list(1:3, 4:5)) %do% rev(x)", lambda f: f(x=[np.arange(1, 4), np.arange(4, 6)]), "rev(x)"
    ),
    # errors
    Program(
        "foreach(i=1:5, .errorhandling='remove') %do% { if (i == 2) stop('no'); i }",
        lambda f: f(i=range(1, 6), errorhandling="remove"),
        "{ if (i == 2) stop('no'); i }",
    ),
    Program(
        "foreach(i=1:6, .combine='+', .errorhandling='remove') %do% { if (i %% 2 == 0) stop('no'); i }",
        lambda f: f(i=range(1, 7), combine="+", errorhandling="remove"),
        "{ if (i %% 2 == 0) stop('no'); i }",
    ),
    Program(
        "sapply(foreach(i=1:3, .errorhandling='pass') %do% { if (i == 2) stop('no'); i }, inherits, 'error')",
        lambda f: f(
            i=range(1, 4), errorhandling="pass", final=lambda xs: [isinstance(x, Exception) for x in xs]
        ),
        "{ if (i == 2) stop('no'); i }",
    ),
    Program(
        "tryCatch(foreach(i=1:5) %do% { if (i == 4) stop('no four'); i }, error=conditionMessage)",
        lambda f: f(i=range(1, 6)),
        "{ if (i == 4) stop('no four'); i }",
    ),
    # nesting and conditions
    Program(
        "foreach(i=1:3, .combine='c') %:% foreach(j=1:4, .combine='+') %do% (i*10+j)",
        lambda f: f(i=range(1, 4), combine="c").nest(f(j=range(1, 5), combine="+")),
        "i*10+j",
    ),
    Program(
        "foreach(i=1:3, .combine='rbind') %:% foreach(j=1:4, .combine='c') %do% (i*10+j)",
        lambda f: f(i=range(1, 4), combine="rbind").nest(f(j=range(1, 5), combine="c")),
        "i*10+j",
    ),
    Program(
        "foreach(i=1:3) %:% foreach(j=1:2) %do% (i+j)",
        lambda f: f(i=range(1, 4)).nest(f(j=[1, 2])),
        "i+j",
    ),
    Program(
        "foreach(i=1:3, .combine='+') %:% foreach(j=1:2, .combine='*') %:%"
        " foreach(k=1:2, .combine='c') %do% (i+j+k)",
        lambda f: f(i=range(1, 4), combine="+").nest(f(j=[1, 2], combine="*").nest(f(k=[1, 2], combine="c"))),
        "i+j+k",
    ),
    Program(
        "foreach(i=1:9, .combine='c') %:% when(i %% 2 == 1) %do% i",
        lambda f: f(i=range(1, 10), combine="c").when(lambda i: i % 2 == 1),
        "i",
    ),
    Program(
        "foreach(a=1:10, .combine='c') %:% foreach(b=1:10, .combine='c') %:% when(a + b == 7) %do% (a*b)",
        lambda f: f(a=range(1, 11), combine="c").nest(
            f(b=range(1, 11), combine="c").when(lambda a, b: a + b == 7)
        ),
        "a*b",
    ),
    # packages and exports
    Program(
        "foreach(i=1:3, .combine='c', .packages='stats') %do% median(c(i, 5, 9))",
        lambda f: f(i=range(1, 4), combine="c", packages=["stats"]),
        "median(c(i, 5, 9))",
    ),
    Program(
        "{ k <- 2; foreach(j=0:4, .combine='c') %do% (sqrt(j) + k) }",
        lambda f: f(j=range(5), combine="c", export={"k": 2.0}),
        "sqrt(j) + k",
    ),
    Program(
        "{ k <- 3; g <- function(x) x^k; foreach(j=0:4, .combine='c') %do% g(j) }",
        lambda f: f(j=range(5), combine="c", export={"k": 3.0, "g": rexpr("function(x) x^k")}),
        "g(j)",
    ),
    Program(
        "foreach(d=split(1:6, c(1,1,2,2,3,3)), .combine='c') %do% sum(d)",
        lambda f: f(d=[np.array(p, dtype=np.int32) for p in ((1, 2), (3, 4), (5, 6))], combine="c"),
        "sum(d)",
    ),
]
