"""The model of R's values: construction, access, comparison, repr, compact forms."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import rinterop
from rinterop import NA
from rinterop import values as v
from rinterop.values.functions import pjw_hash
from rinterop.values.text import double_text
from tests.rinterop.recordings import recordings


def recorded(name: str) -> rinterop.RValue:
    return rinterop.loads(next(one for one in recordings(form="xdr") if one.name == name).read())


def test_lists_have_names() -> None:
    value = v.named_list(ID=v.character("job"), n=v.integer(1, None), x=v.double(1.5))
    assert v.names(value) == ("ID", "n", "x")
    assert value["ID"] == v.character("job")
    assert value[1] == value.get("n")
    assert value.get("absent") is v.NULL
    with pytest.raises(KeyError):
        value["absent"]
    assert v.named_list([("a", v.NULL), ("a", v.integer(1))])["a"] is v.NULL


def test_missing_values() -> None:
    assert v.integer(1, None)[1] is NA
    assert v.logical(True, None)[1] is NA
    assert v.character("NA", None).values == ("NA", NA)
    assert v.is_na_real(v.double(None, float("nan"), 1.0).values).tolist() == [True, False, False]
    with pytest.raises(TypeError):
        bool(NA)
    assert copy.deepcopy(NA) is NA
    assert pickle.loads(pickle.dumps(NA)) is NA


def test_integers_have_a_range() -> None:
    with pytest.raises(OverflowError):
        v.integer(-(2**31))
    with pytest.raises(OverflowError):
        v.integer(2**31)


def test_values_do_not_change() -> None:
    numbers = v.integer(1, 2)
    with pytest.raises(ValueError, match="read-only"):
        numbers.values[0] = 5
    with pytest.raises(AttributeError):
        numbers.values = np.zeros(2, np.int32)  # type: ignore[misc]


def test_equality_is_exact() -> None:
    assert v.double(0.0) != v.double(-0.0)
    assert v.double(float("nan")) == v.double(float("nan"))
    assert v.double(float("nan")) != v.double(None)
    assert v.integer(1) != v.logical(True)
    assert v.integer(1) != v.double(1)
    assert v.list_(v.symbol("a")) != v.list_(v.symbol("b"))
    assert v.list_(v.GLOBAL_ENV) != v.list_(v.EMPTY_ENV)
    assert v.named_list(a=v.NULL) != v.named_list(b=v.NULL)
    assert v.list_() != ()
    assert hash(v.symbol("a")) == hash(v.symbol("a"))
    with pytest.raises(TypeError):
        hash(v.integer(1))


def test_encodings_compare_as_text() -> None:
    latin1 = v.RText(b"caf\xe9", 0x04)
    assert v.character(latin1) == v.character("café")
    assert v.character(pickle.loads(pickle.dumps(latin1))) == v.character("café")
    assert v.RText(b"\xff", 0x02).encode("utf-8", "surrogateescape") == b"\xff"


def test_cycles_compare_and_show() -> None:
    one, other = recorded("env_self"), recorded("env_self")
    assert isinstance(one, v.Environment)
    assert one["self"] is one
    assert one == other
    assert repr(one) == "Environment(self)"
    assert recorded("env_mutual") == recorded("env_mutual")
    assert one != recorded("env_mutual")


def test_environments_are_mappings() -> None:
    value = recorded("env_hash_collisions")
    assert isinstance(value, v.Environment)
    assert value
    assert set(value) == set(value.names())
    for name in value:
        assert name in value
        assert value[name] is not None
    assert "absent" not in value
    with pytest.raises(KeyError):
        value["absent"]


def test_hash_of_names() -> None:
    assert pjw_hash(b"x") == 120
    assert pjw_hash("größe".encode()) == pjw_hash("größe".encode())
    assert pjw_hash(b"a_rather_long_name") < 2**28


def test_source_of_compiled_functions() -> None:
    value = recorded("bc_simple")
    assert isinstance(value, v.Closure)
    assert isinstance(value.body, v.ByteCode)
    assert value.body.source == v.call("+", v.symbol("x"), v.double(1))
    repeated = recorded("bc_calls_repeat_consts")
    assert isinstance(repeated, v.Closure)
    assert isinstance(repeated.body, v.ByteCode)
    assert isinstance(repeated.body.source, v.Call)
    assert "SharedCall" not in repr(repeated.body.source)


def test_compact_sequences() -> None:
    value = recorded("alt_compact_int")
    assert isinstance(value, v.Altrep)
    assert isinstance(v.plain(value), v.Integer)
    huge = recorded("alt_compact_real_len_huge")
    with pytest.raises(rinterop.ExpansionError, match="10000000000 elements"):
        v.plain(huge)


@pytest.mark.parametrize(
    ("number", "scipen", "text"),
    [
        (1e5, 0, "1e+05"),
        (123456.0, 0, "123456"),
        (1e5, 1, "100000"),
        (0.1, 0, "0.1"),
        (1 / 3, 0, "0.333333333333333"),
        (1e-5, 0, "1e-05"),
        (0.0001, 0, "1e-04"),
        (0.00012, 0, "0.00012"),
        (-1234.5, 0, "-1234.5"),
        (1e15, 0, "1e+15"),
        (1e300, 0, "1e+300"),
        (-0.0, 0, "0"),
        (float("inf"), 0, "Inf"),
        (float("-inf"), 0, "-Inf"),
        (float("nan"), 0, "NaN"),
        (1e20, 100, "100000000000000000000"),
        (2.0**53, 0, "9007199254740992"),
    ],
)
def test_doubles_as_text(number: float, scipen: int, text: str) -> None:
    assert double_text(number, scipen) == text


def test_attributes() -> None:
    value = recorded("factor_plain")
    assert v.class_(value) == ("factor",)
    assert list(v.attributes(value)) == ["levels", "class"]
    assert v.attribute(value, "levels") == v.attributes(value)["levels"]
    assert v.attribute(value, "none") is v.NULL
    assert v.class_(v.integer(1)) == ()


def test_conditions() -> None:
    error = v.simple_error("boom")
    assert v.class_(error) == ("simpleError", "error", "condition")
    assert error["message"] == v.character("boom")
    assert error["call"] is v.NULL


@pytest.mark.parametrize("recording", recordings(form="xdr"), ids=lambda one: one.name)
def test_repr_is_short(recording: object) -> None:
    value = rinterop.loads(recording.read(), mmap="keep")  # type: ignore[attr-defined]
    assert len(repr(value)) < 2000
