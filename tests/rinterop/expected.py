"""Compare a value with what R says of it.

The recordings come with a description made in R by walking the object: JSON objects with "t", the type,
"v", the elements ("head", "tail" and "len" of long vectors), "bits" of doubles, "attr" in order. An
environment is described once, with "id", "kind", "vars"; then by "ref".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rinterop import values as v
from rinterop.values import RValue
from rinterop.values.text import BYTES, LATIN1

Spec = dict[str, Any]

MARKERS = {"global": v.GLOBAL_ENV, "empty": v.EMPTY_ENV, "base": v.BASE_ENV}


class Comparison:
    """One comparison: environments are remembered by their id.

    Not `exact`: doubles agree to 15 digits. The ascii form rounds them, unless it has hex floats.
    """

    def __init__(self, *, exact: bool = True) -> None:
        self._exact = exact
        self._environments: dict[int, RValue] = {}

    def check(self, value: RValue, spec: Spec, path: str = "x") -> None:
        """Raise AssertionError where `value` is not what `spec` says."""
        value = v.plain(value)
        if isinstance(value, v.ByteCode):
            value = value.source
        elif isinstance(value, v.Promise):
            value = value.expression
        if value is v.MISSING_ARG:
            assert spec == {"t": "symbol", "name": ""}, path
            return
        getattr(self, "_" + spec["t"].lower())(value, spec, path)
        if "attr" in spec:
            pairs = value.attributes  # type: ignore[attr-defined]
            assert pairs is not None, path
            assert [cell.name for cell in pairs.cells] == [name for name, _ in spec["attr"]], path
            for cell, (name, inner) in zip(pairs.cells, spec["attr"], strict=True):
                self.check(cell.value, inner, f"{path}@{name}")
        elif spec["t"] != "environment":
            assert not v.attributes(value), path

    def _elements(self, found: list[Any], spec: Spec, path: str) -> None:
        if "v" in spec:
            assert found == spec["v"], path
        else:
            assert len(found) == spec["len"], path
            assert found[: len(spec["head"])] == spec["head"], path
            assert found[-len(spec["tail"]) :] == spec["tail"], path

    def _null(self, value: RValue, spec: Spec, path: str) -> None:
        assert value is v.NULL, path

    def _scalars(self, value: Any, spec: Spec, path: str) -> None:
        self._elements([None if x is v.NA else x for x in (value[i] for i in range(len(value)))], spec, path)

    def _logical(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Logical), path
        self._scalars(value, spec, path)

    def _integer(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Integer), path
        self._scalars(value, spec, path)

    def _character(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Character), path
        if not any(isinstance(text, dict) for text in spec.get("v", ())):
            self._scalars(value, spec, path)
            return
        for text, wanted in zip(value.values, spec["v"], strict=True):
            if isinstance(wanted, dict):
                self._odd_text(text, wanted, path)
            else:
                assert (None if text is v.NA else text) == wanted, path

    def _odd_text(self, text: object, wanted: Spec, path: str) -> None:
        assert isinstance(text, str), path
        if "hex" in wanted:
            assert isinstance(text, v.RText), path
            assert text.raw.hex() == wanted["hex"], path
            assert text.gp == {"latin1": LATIN1, "bytes": BYTES}[wanted["enc"]], path
        else:
            assert len(text.encode()) == wanted["bytes"], path
            assert text.startswith(wanted["start"]), path

    def _double(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Double), path
        if "bits" not in spec:
            self._elements(
                value.values.tolist(),
                {
                    k: x if k == "len" else [*map(float, x)]
                    for k, x in spec.items()
                    if k in ("len", "head", "tail")
                },
                path,
            )
        elif self._exact:
            assert bits(value.values) == spec["bits"], path
        else:
            wanted = np.array([int(x, 16) for x in spec["bits"]], np.uint64).view(np.float64)
            np.testing.assert_allclose(value.values, wanted, rtol=1e-15, err_msg=path)

    def _complex(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Complex), path
        assert bits(value.values.real) == spec["rebits"], path
        assert bits(value.values.imag) == spec["imbits"], path

    def _raw(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Raw), path
        assert value.values.hex() == spec["hex"], path

    def _symbol(self, value: RValue, spec: Spec, path: str) -> None:
        assert value == v.Symbol(spec["name"]), path

    def _list(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.List), path
        assert len(value) == len(spec["v"]), path
        for index, (item, inner) in enumerate(zip(value, spec["v"], strict=True)):
            self.check(item, inner, f"{path}[{index}]")

    _expression = _list

    def _pairs(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Pairs), path
        assert [cell.name or None for cell in value.cells] == [cell["tag"] for cell in spec["v"]], path
        for index, (item, inner) in enumerate(zip(value, spec["v"], strict=True)):
            self.check(item, inner["value"], f"{path}[{index}]")

    _pairlist = _language = _pairs

    def _builtin(self, value: RValue, spec: Spec, path: str) -> None:
        assert value == v.Builtin(spec["name"], spec["t"] == "special"), path

    _special = _builtin

    def _externalptr(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.ExternalPointer), path

    def _closure(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Closure), path
        assert value.environment is not None, path
        self.check(value.formals, spec["formals"], path + ".formals")
        self.check(value.body, spec["body"], path + ".body")
        self.check(value.environment, spec["env"], path + ".env")

    def _environment(self, value: RValue, spec: Spec, path: str) -> None:
        if "ref" in spec:
            known = self._environments[spec["ref"]]
            assert value is known or (isinstance(value, v.NamedReference) and value == known), path
            return
        self._environments[spec["id"]] = value
        kind = spec["kind"]
        if kind in MARKERS:
            assert value is MARKERS[kind], path
        elif kind == "namespace":
            name = "base" if value is v.BASE_NAMESPACE else value.strings[0]  # type: ignore[attr-defined]
            assert name == spec["name"], path
        elif kind == "package":
            assert isinstance(value, v.PackageEnvironment), path
        else:
            self._local(value, spec, path)

    def _local(self, value: RValue, spec: Spec, path: str) -> None:
        assert isinstance(value, v.Environment), path
        active = {cell.name for cell in value.cells() if cell.gp & 0x8000}
        locked = {cell.name for cell in value.cells() if cell.gp & 0x4000}
        assert set(value.names()) - active == set(spec["vars"]) - active, path
        assert active == set(spec.get("active", ())), path
        assert locked == set(spec.get("locked_bindings", ())), path
        assert value.locked == spec.get("locked", False), path
        for name, inner in spec["vars"].items():
            if name not in active:
                self.check(value[name], inner, f"{path}${name}")
        self.check(value.parent, spec["parent"], path + "^")


def bits(array: np.ndarray[Any, Any]) -> list[str]:
    """Doubles as the hexadecimal digits of their bits."""
    return [f"{x:016x}" for x in np.ascontiguousarray(array).view(np.uint64).tolist()]
