"""What we write: the same bytes as R's, and R agrees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from rinterop import NA, EncodeError, RValue
from rinterop import values as v
from rinterop.serialize import outline, walk

VALUES: dict[str, RValue] = {
    "NULL": v.NULL,
    '""': v.character(""),
    "0": v.double(0.0),
    "c(1.5, NA, NaN, Inf, -0)": v.double(1.5, None, float("nan"), float("inf"), -0.0),
    "c(1L, NA, -5L)": v.integer(1, None, -5),
    "c(TRUE, NA, FALSE)": v.logical(True, None, False),
    'c("a", NA, "NA", "\\u00e9\\u65e5")': v.character("a", None, "NA", "é日"),
    "as.raw(c(0, 255))": v.raw(b"\0\xff"),
    "list()": v.list_(),
    'list(message = "x", call = NULL)': v.named_list(message=v.character("x"), call=v.NULL),
    'list("1" = 1, "1" = list())': v.named_list([("1", v.double(1)), ("1", v.list_())]),
    'simpleError("boom")': v.simple_error("boom"),
    'simpleError("boom", quote(f(x)))': v.simple_error("boom", v.call("f", v.symbol("x"))),
    'structure(class = c("mine", "condition"), list(message = "m", call = NULL))': v.condition(
        "m", "mine", "condition"
    ),
    "quote(eval(x, y = 2))": v.call("eval", v.symbol("x"), y=v.double(2)),
    "quote(f(x, ))": v.call("f", v.symbol("x"), v.MISSING_ARG),
    "pairlist(1L, a = 2L)": v.pairlist(v.integer(1), a=v.integer(2)),
    "list(quote(a), quote(a), as.name('\\u00e9'))": v.list_(v.symbol("a"), v.symbol("a"), v.symbol("é")),
    "list(globalenv(), emptyenv(), baseenv(), .BaseNamespaceEnv)": v.list_(
        v.GLOBAL_ENV, v.EMPTY_ENV, v.BASE_ENV, v.BASE_NAMESPACE
    ),
    "complex(real = 1, imaginary = -2)": v.Complex(np.array([1 - 2j])),
    "expression(a, b + 1)": v.Expression(values=(v.symbol("a"), v.call("+", v.symbol("b"), v.double(1)))),
    "y ~ x + 1": v.formula(v.symbol("y"), v.call("+", v.symbol("x"), v.double(1))),
    "~x": v.formula(None, v.symbol("x")),
    "function(x, y = 2) x": v.closure({"x": None, "y": v.double(2)}, v.symbol("x")),
    "function() NULL": v.closure({}, v.NULL),
    "list(sum, `if`)": v.list_(v.Builtin("sum"), v.Builtin("if", special=True)),
}


@pytest.mark.needs_r
def test_bytes_are_those_of_r() -> None:
    program = [
        "options(keep.source = FALSE)",
        "show <- function(x) cat(as.character(serialize(x, NULL)), '\\n')",
    ]
    program += [f"show({expression})" for expression in VALUES]
    program.append("cat(as.character(getRversion()))")
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", "\n".join(program)],
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    *lines, r_version = done.stdout.splitlines()
    for (expression, value), line in zip(VALUES.items(), lines, strict=True):
        theirs = bytes.fromhex(line)
        ours = rinterop.dumps(value)
        if r_version == "4.2.2":
            assert ours == theirs, expression
        # Another R writes its own version in bytes 6 to 9, and nothing else differs.
        assert ours[10:] == theirs[10:], expression
        assert rinterop.loads(theirs) == value, expression


@pytest.mark.needs_r
def test_r_reads_environments_and_functions_of_ours(tmp_path: Path) -> None:
    environment = v.Environment(parent=v.GLOBAL_ENV)
    function = v.Closure(v.pairlist(x=v.MISSING_ARG), v.call("+", v.symbol("x"), v.symbol("y")), environment)
    environment.frame = v.pairlist(y=v.integer(2), f=function, self=environment)
    file = tmp_path / "value"
    file.write_bytes(rinterop.dumps(v.list_(environment, v.call("sqrt", v.double(16)))))
    program = (
        f"con <- file('{file}', 'rb'); x <- unserialize(con); e <- x[[1]];"
        "stopifnot(identical(e$self, e), identical(e$f(1L), 3L), identical(sort(ls(e)), c('f', 'self', 'y')),"
        "identical(eval(x[[2]]), 4)); assign('new', 1, e); stopifnot(e$new == 1); cat('fine')"
    )
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "fine", done.stderr


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("version", [2, 3])
def test_round_trip(value: RValue, version: int) -> None:
    data = rinterop.dumps(value, version=version)
    assert rinterop.loads(data) == value
    walk(data)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.lists(st.none() | st.integers(-(2**31) + 1, 2**31 - 1), max_size=5).map(lambda x: v.integer(*x)),
    st.lists(st.none() | st.floats(), max_size=5).map(lambda x: v.double(*x)),
    st.lists(st.none() | st.booleans(), max_size=5).map(lambda x: v.logical(*x)),
    st.lists(
        st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=5
    ).map(lambda x: v.character(*x)),
    st.binary(max_size=9).map(v.raw),
    st.sampled_from([v.NULL, v.GLOBAL_ENV, v.MISSING_ARG, v.symbol("x"), v.symbol("ö")]),
)
NESTED: st.SearchStrategy[RValue] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda x: v.list_(*x)),
        st.lists(st.tuples(st.sampled_from(["a", "é", "names"]), inner), max_size=4).map(v.named_list),
        st.lists(inner, max_size=3).map(lambda x: v.call("f", *x)),
        st.lists(inner, max_size=3).map(lambda x: v.pairlist(*x, tag=v.NULL)),
    ),
    max_leaves=12,
)


@given(NESTED)
def test_any_plain_data(value: RValue) -> None:
    data = rinterop.dumps(value)
    again = rinterop.loads(data)
    assert again == value
    assert rinterop.dumps(again) == data
    walk(data)
    assert outline(data).end == len(data)


def test_what_cannot_be_written() -> None:
    with pytest.raises(EncodeError, match="NUL"):
        rinterop.dumps(v.character("a\0b"))
    with pytest.raises(EncodeError, match="Unicode"):
        rinterop.dumps(v.character("\ud800"))
    with pytest.raises(EncodeError, match="cannot write int"):
        rinterop.dumps(v.list_(5))  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match="version 4"):
        rinterop.dumps(v.NULL, version=4)
    with pytest.raises(EncodeError, match="string"):
        rinterop.dumps(v.Character((5,)))  # type: ignore[arg-type]


def test_many_references_and_long_names() -> None:
    symbols = [v.symbol(f"s{i}") for i in range(300)]
    value = v.list_(*symbols, *symbols)
    assert rinterop.loads(rinterop.dumps(value)) == value
    assert NA is rinterop.loads(rinterop.dumps(v.character(None)))[0]  # type: ignore[index]
