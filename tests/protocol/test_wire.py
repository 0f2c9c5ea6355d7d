"""Messages of peers, well-formed and not: agents read them all, and nothing but `RemoteProtocolError` comes
of it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol import wire
from rinterop import values

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
scalars = st.one_of(
    st.just(values.NULL),
    text.map(lambda t: values.character(t)),
    st.integers(-(2**31) + 1, 2**31 - 1).map(lambda n: values.integer(n)),
    st.floats(allow_nan=False).map(lambda x: values.double(x)),
    st.binary(max_size=40).map(values.raw),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(st.tuples(text, inner), max_size=4).map(values.named_list),
    max_leaves=10,
)
iterations = st.lists(st.integers(1, 2**31 - 1), max_size=8, unique=True)


def task_message(job: str, numbers: list[int], argument: values.RValue, extra: values.RValue) -> bytes:
    elements = [(str(n), values.named_list([("x", argument)])) for n in numbers]
    fields: list[tuple[str, values.RValue]] = [
        ("ID", values.character(job)),
        ("argsList", values.named_list(elements)),
        ("later", extra),
    ]
    return rinterop.dumps(values.named_list(fields))


@given(text, iterations.filter(bool), anything, anything)
def test_a_task_is_read_whatever_its_arguments_are(
    job: str, numbers: list[int], argument: values.RValue, extra: values.RValue
) -> None:
    payload = task_message(job, numbers, argument, extra)
    task = wire.decode_task(payload)
    assert (task.job, task.iterations, task.payload) == (job, tuple(numbers), payload)


@given(
    st.lists(st.tuples(st.sampled_from(["expr", "parentenv", "packages"]), anything), max_size=3), anything
)
def test_an_environment_is_read_whatever_it_holds(
    others: list[tuple[str, values.RValue]], body: values.RValue
) -> None:
    payload = rinterop.dumps(values.named_list([("expr", body), ("exportenv", values.NULL), *others]))
    environment = wire.decode_environment(payload)
    assert (environment.codec, environment.payload) == ("r", payload)
    ours = rinterop.dumps(
        values.named_list([("codec", values.character("cloudpickle")), ("expr", body), *others])
    )
    assert wire.decode_environment(ours).codec == "cloudpickle"


@pytest.mark.parametrize("decode", [wire.decode_task, wire.decode_environment])
@given(data=st.data())
def test_nothing_but_our_error_comes_of_garbage(decode: Any, data: st.DataObject) -> None:
    valid = task_message("J", [1, 2], values.integer(3), values.NULL)
    kind = data.draw(st.sampled_from(["bytes", "value", "cut", "changed", "header"]))
    if kind == "bytes":
        payload = data.draw(st.binary(max_size=200))
    elif kind == "value":
        payload = rinterop.dumps(data.draw(anything))
    elif kind == "cut":
        payload = valid[: data.draw(st.integers(0, len(valid) - 1))]
    elif kind == "header":
        payload = valid[:14] + data.draw(st.binary(max_size=100))
    else:
        place = data.draw(st.integers(0, len(valid) - 1))
        payload = valid[:place] + data.draw(st.binary(min_size=1, max_size=4)) + valid[place + 1 :]
    with contextlib.suppress(RemoteProtocolError):
        decode(payload)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([], "not a task"),
        ([("ID", values.character("J"))], "no argsList"),
        ([("argsList", values.list_())], "no job ID"),
        ([("ID", values.integer(1)), ("argsList", values.list_())], "no job ID"),
        ([("ID", values.character("J")), ("argsList", values.list_(values.NULL))], "iterations"),
        ([("ID", values.character("J")), ("argsList", values.named_list(a=values.NULL))], "iterations named"),
    ],
)
def test_what_is_wrong_with_a_task_is_told(fields: list[tuple[str, values.RValue]], reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        wire.decode_task(rinterop.dumps(values.named_list(fields)))


def test_what_is_wrong_with_an_environment_is_told() -> None:
    with pytest.raises(RemoteProtocolError, match="codec 'perl'"):
        wire.decode_environment(rinterop.dumps(values.named_list(codec=values.character("perl"))))
    with pytest.raises(RemoteProtocolError, match="expr"):
        wire.decode_environment(rinterop.dumps(values.named_list(expr=values.NULL)))


EVAL = values.call("eval", values.symbol("expr"))
SQRT = values.call("sqrt", values.character("text"))
HUGE = values.call(
    "sum",
    values.Altrep(values.symbol("compact_realseq"), values.symbol("base"), 14, values.double(1e10, 1.0, 1.0)),
)


@pytest.mark.parametrize(
    ("call", "shown"), [(SQRT, 'sqrt("text")'), (EVAL, None), (values.NULL, None), (HUGE, repr(HUGE))]
)
def test_the_call_of_an_error_is_shown_unless_it_is_the_workers(
    call: values.RValue, shown: str | None
) -> None:
    condition = values.simple_error("no", call)
    assert wire.condition_call(condition) == shown
    assert wire.condition_call(values.double(1.0)) is None
