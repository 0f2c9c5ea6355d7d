"""Code for values: R's deparse() says the same, line by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rinterop
from rinterop import RValue
from rinterop import values as v
from rinterop.values import deparse, deparse1, one_line
from rinterop.values.lines import Lines
from tests.rinterop.recordings import recordings
from tests.rinterop.rscript import run_r

EXPRESSIONS = Path(__file__).parent.parent / "data" / "deparse" / "expressions.R"


@pytest.fixture(scope="module", autouse=True)
def serializer() -> str:
    """Once is enough: what is tested here is the same with the compiled helper and without."""
    return "either"


def deparsed_by_r(tmp_path: Path, program: list[str], options: str = "") -> list[tuple[RValue, list[str]]]:
    """Values handed to `p` in `program`, each with the lines of R's deparse()."""
    file = tmp_path / "deparsed.rds"
    run_r(
        [
            ".found <- list()",
            f"p <- function(x) .found[[length(.found) + 1L]] <<- list(x, deparse(x{options}))",
            *program,
            f"saveRDS(.found, '{file}', compress = FALSE)",
        ]
    )
    found = rinterop.read_rds(file)
    assert isinstance(found, v.List)
    pairs = []
    for pair in found:
        assert isinstance(pair, v.List)
        pairs.append((pair[0], [str(line) for line in v.strings(pair[1]) or ()]))
    return pairs


def disagreements(
    pairs: list[tuple[RValue, list[str]]], use_source: bool = False
) -> list[tuple[list[str], list[str]]]:
    return [
        (ours, lines) for value, lines in pairs if (ours := deparse(value, use_source=use_source)) != lines
    ]


@pytest.mark.needs_r
def test_expressions(tmp_path: Path) -> None:
    pairs = deparsed_by_r(tmp_path, [EXPRESSIONS.read_text(encoding="utf-8")])
    assert len(pairs) > 500
    assert disagreements(pairs) == []


@pytest.mark.needs_r
def test_digits_of_doubles_and_parts_of_complex_numbers(tmp_path: Path) -> None:
    numbers = """
        set.seed(3)
        n <- 4000
        halves <- (sample(1e5, n, TRUE) * 1e10 + sample(1e9, n, TRUE) * 10 + 0.5) * 10^sample(-60:60, n, TRUE)
        for (x in c(rnorm(n) * 10^runif(n, -300, 300), halves, rnorm(n) * 10^runif(n, -12, 20))) p(x)
        parts <- c(1.5, -2.5, 1/3, 0, 1e300, 1e-20, 123456.789, Inf, -Inf, NaN, NA)
        for (r in parts) for (i in parts)
            if (!is.finite(i) || is.nan(r)) p(complex(real = r, imaginary = i))
        p(c(1.5+0i, complex(real = 1, imaginary = Inf)))
        # From R 4.4 on each part has digits of its own; ours is what earlier ones print.
        if (getRversion() < "4.4.0") {
            for (i in seq_len(n)) p(complex(real = rnorm(1), imaginary = rnorm(1)))
            p(complex(real = 1e300, imaginary = 1e-5))
        }
    """
    pairs = deparsed_by_r(tmp_path, [numbers])
    assert len(pairs) > 12_000
    assert disagreements(pairs) == []


OPERATORS = r"""
operators <- c("~", "||", "&&", "==", "<", "+", "-", "*", "/", "%%", "%in%", ":", "^", "::", "<-", "=", "!",
               "$", "@", "[", "[[", "(", "{", "if", "for", "while", "repeat", "break", "f", "return", "list",
               "`a b`")
leaves <- list(quote(x), quote(`a b`), 1, -2, 3L, "s", TRUE, NULL, 1+2i, 1:3, c(a = 1), NA_integer_,
               as.name("a_rather_long_name_of_a_variable"), quote(function(x, y = 2) x), pi * 1e6)
random <- function(depth) {
    if (depth == 0 || runif(1) < .2) return(leaves[[sample(length(leaves), 1)]])
    arguments <- lapply(seq_len(sample(0:3, 1, prob = c(.05, .3, .5, .15))), function(i) random(depth - 1))
    operator <- sample(operators, 1)
    tags <- c("", "a", "b c")
    if (operator == "f" && length(arguments)) names(arguments) <- sample(tags, length(arguments), TRUE)
    as.call(c(list(if (runif(1) < .05) random(1) else as.name(operator)), arguments))
}
"""


@pytest.mark.needs_r
def test_calls_of_any_shape(tmp_path: Path) -> None:
    pairs = deparsed_by_r(tmp_path, [OPERATORS, "set.seed(1); for (i in 1:2000) p(random(sample(1:5, 1)))"])
    assert disagreements(pairs) == []


@pytest.mark.needs_r
def test_numbers(tmp_path: Path) -> None:
    program = """
    set.seed(1)
    doubles <- c(rnorm(500), 10^runif(500, -320, 308), round(rnorm(500), 3), round(10^runif(200, 0, 17)),
                 (1:200) / 8)
    for (x in doubles) p(x)
    for (i in 1:400) p(sample(doubles, 3))
    integers <- c(-3:3, NA, 100000L, .Machine$integer.max)
    for (i in 1:200) p(sample(integers, sample(1:4, 1)))
    """
    assert disagreements(deparsed_by_r(tmp_path, [program])) == []


@pytest.mark.needs_r
@pytest.mark.slow
@pytest.mark.parametrize(
    "packages",
    ["'base', 'stats', 'parallel'", "'utils', 'tools'", "'methods', 'graphics', 'grDevices', 'compiler'"],
)
def test_every_function_of_r(tmp_path: Path, packages: str) -> None:
    program = f"""
    for (package in c({packages})) {{
        namespace <- asNamespace(package)
        for (name in ls(namespace, all.names = TRUE)) {{
            f <- get(name, namespace)
            if (typeof(f) == "closure") {{ environment(f) <- globalenv(); attributes(f) <- NULL; p(f) }}
        }}
    }}
    """
    pairs = deparsed_by_r(tmp_path, [program])
    assert len(pairs) > 900
    assert disagreements(pairs) == []


@pytest.mark.needs_r
def test_functions_as_they_were_written(tmp_path: Path) -> None:
    program = r"""
    options(keep.source = TRUE)
    source <- c("f <- function(x,  # one", "    y)   {", "  'é' ;x   +y }; g <- function( ) 1",
                "h <- list(function(x)x )")
    eval(parse(text = source))
    p(f); p(g); p(h[[1]]); p(function(x) x)
    """
    pairs = deparsed_by_r(
        tmp_path, [program], ', control = c("keepNA", "keepInteger", "niceNames", "useSource")'
    )
    assert pairs[0][1][0] == "function(x,  # one"
    assert disagreements(pairs, use_source=True) == []
    without = deparse(pairs[0][0])
    assert without[0] == "function (x, y) "


@pytest.mark.needs_r
def test_widths(tmp_path: Path) -> None:
    program = "p(quote(f(aaaaaaaaaa, bbbbbbbbbbbb, cccccccccc + dddddddddd, list(eeeeeeeeeee, fffffffff))))"
    for width in (20, 40, 100):
        ((value, lines),) = deparsed_by_r(tmp_path, [program], f", width.cutoff = {width}L")
        assert deparse(value, width=width) == lines


def test_one_line_never_raises() -> None:
    for one in recordings():
        line = one_line(rinterop.loads(one.read(), mmap="keep"))
        assert line
        assert len(line) <= 240
    endless = v.Altrep(v.symbol("compact_intseq"), v.symbol("base"), 13, v.double(2**31 - 1, 1, 1))
    assert one_line(endless) == repr(endless)
    assert one_line(v.call("mean", endless)).startswith("Call(")


def test_one_line() -> None:
    error = v.call("f", v.call("+", v.symbol("x"), v.double(1)), n=v.integer(3))
    assert deparse1(error) == "f(x + 1, n = 3L)"
    block = v.call("{", v.symbol("a"), v.symbol("b"))
    assert deparse(block) == ["{", "    a", "    b", "}"]
    assert deparse1(block) == "{     a     b }"


def test_names_in_backquotes() -> None:
    assert deparse(v.symbol("a b")) == ["a b"]
    assert deparse(v.symbol("a b"), backquote=True) == ["`a b`"]
    assert deparse(v.call("f", v.symbol("if"))) == ["f(`if`)"]


def test_what_has_no_code() -> None:
    assert deparse(v.list_(v.Environment(), v.GLOBAL_ENV, v.ExternalPointer(), v.WeakReference())) == [
        "list(<environment>, <environment>, <pointer: (nil)>, <weak reference>)"
    ]
    of_s7 = v.S4(attributes=v.attributes_of(name=v.character("Rex"), **{"class": v.character("Dog")}))
    assert deparse(v.list_(of_s7)) == ["list(<object>)"]
    assert deparse(v.MISSING_ARG) == [""]
    assert deparse(v.NULL) == ["NULL"]


def test_names_that_r_would_not_have_made() -> None:
    too_many = v.attributes_of(names=v.character("a", "b"))
    vector = v.Character(("x",), attributes=too_many)
    assert deparse(vector) == ['structure("x", names = c("a", "b"))']
    assert deparse(v.List((v.NULL,), attributes=too_many)) == ['structure(list(NULL), names = c("a", "b"))']


def test_depth_costs_nothing() -> None:
    value: RValue = v.symbol("x")
    for _ in range(20_000):
        value = v.call("f", value)
    assert deparse1(value) == "f(" * 20_000 + "x" + ")" * 20_000


@pytest.mark.parametrize("recording", recordings(form="xdr"), ids=lambda one: one.path.stem)
def test_any_value_has_lines(recording: object) -> None:
    value = rinterop.loads(recording.read(), mmap="keep")  # type: ignore[attr-defined]
    if "huge" in recording.name or "mmap" in recording.name:  # type: ignore[attr-defined]
        with pytest.raises(rinterop.ExpansionError):
            deparse(value)
    else:
        assert all(isinstance(line, str) for line in deparse(value))


def test_some_lines_are_the_first_of_all() -> None:
    for recording in recordings(form="xdr"):
        if "huge" in recording.name or "mmap" in recording.name:  # refused
            continue
        value = rinterop.loads(recording.read())
        lines = deparse(value, width=20)
        for nlines in (1, 2, 5):
            assert deparse(value, width=20, nlines=nlines) == lines[:nlines], recording.name


def test_a_line_is_cut_where_there_is_more() -> None:
    assert one_line(v.call("sqrt", v.character("text"))) == 'sqrt("text")'
    sums = v.call("f", *[v.call("+", v.symbol("one"), v.symbol("another"))] * 20)
    assert one_line(sums, 30) == "f(one + another, one + another, ..."
    assert one_line(v.character("x" * 10_000), 30) == '"' + "x" * 56 + "..."


@pytest.mark.parametrize(
    "value",
    [
        v.double(*np.random.default_rng(1).random(10**6)),
        v.integer(*([1, 3] * 500_000)),
        v.character(*["word"] * 10**6),
        v.list_(*[v.integer(1)] * 10**6),
        v.raw(bytes(10**6)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_more_of_a_vector_is_looked_at_than_is_shown(
    value: v.Vector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call made by do.call() holds its arguments themselves."""
    printed: list[str] = []
    printing = Lines._print

    def count(self: Lines, text: str) -> None:
        printed.append(text)
        printing(self, text)

    monkeypatch.setattr(Lines, "_print", count)
    shown = one_line(v.call("mean", value))
    assert shown.startswith("mean(")
    assert shown.endswith(" ...")
    assert len(shown) < 240
    assert len(printed) < 500
