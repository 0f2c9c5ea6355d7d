"""Big plain vectors cross as memory: one copy each way, where bytes in R's format would take four.

Plain means: numbers, without attributes but a valid `dim`. What else there is goes in R's format, so this
knows no more of R's values than which array is which.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from rinterop.values import Complex, Double, Integer, Logical, Raw, RValue, attributes, attributes_of
from rinterop.values.vectors import S4_BIT, is_ordinary

BIG: Final = 8192
"""Elements from which on a vector is worth it (session.R has the same)."""

_INTEGER: Final = 13
_CODES: Final[dict[type[RValue], int]] = {Logical: 10, Integer: _INTEGER, Double: 14, Complex: 15, Raw: 24}
"""R's type numbers."""
_ARRAYS: Final[dict[int, tuple[type[Any], str]]] = {
    10: (Logical, "=i4"),
    _INTEGER: (Integer, "=i4"),
    14: (Double, "=f8"),
    15: (Complex, "=c16"),
}


def is_big(value: RValue) -> bool:
    """Whether `Memory.to_r` takes it."""
    if not isinstance(value, Logical | Integer | Double | Complex | Raw) or len(value) < BIG:
        return False
    if not is_ordinary(value):
        return False
    found = attributes(value)
    dim = found.pop("dim", None)
    if found or dim is None:
        return not found
    if type(dim) is not Integer or not len(dim) or dim.attributes:
        return False
    extents: list[int] = dim.values.tolist()
    return min(extents) >= 0 and math.prod(extents) == len(value)


class Memory:
    """Copies vectors to and from R's heap, through R's C interface."""

    def __init__(self, rlib: Any, ffi: Any) -> None:
        self._rlib, self._ffi = rlib, ffi

    def allocate(self, code: int, length: int) -> Any:
        """A new vector, not protected.

        Raises:
            MemoryError: If there is no room. R's own way of saying so would be a jump across Python.
        """
        rlib = self._rlib
        if length < BIG * 128:
            return rlib.Rf_allocVector(code, length)
        mode = {10: b"logical", _INTEGER: b"integer", 14: b"double", 15: b"complex", 24: b"raw"}[code]
        count = rlib.Rf_protect(rlib.Rf_ScalarReal(float(length)))
        kind = rlib.Rf_protect(rlib.Rf_mkString(mode))
        call = rlib.Rf_protect(rlib.Rf_lang3(rlib.Rf_install(b"vector"), kind, count))
        failed = self._ffi.new("int *")
        vector = rlib.R_tryEval(call, rlib.R_BaseEnv, failed)
        rlib.Rf_unprotect(3)
        if failed[0]:
            raise MemoryError(f"R has no room for {length} elements")
        return vector

    def raw(self, data: bytes) -> Any:
        """A raw vector of these bytes, not protected."""
        vector = self.allocate(24, len(data))
        self._ffi.memmove(self._rlib.RAW(vector), data, len(data))
        return vector

    def to_r(self, value: Any) -> Any:
        """The vector in R, not protected; `is_big` holds."""
        if type(value) is Raw:
            vector, values = self.raw(value.values), None
        else:
            vector, values = self.allocate(_CODES[type(value)], len(value)), value.values
        rlib, ffi = self._rlib, self._ffi
        if values is not None:
            source = np.ascontiguousarray(values)
            ffi.memmove(rlib.DATAPTR(vector), ffi.from_buffer(source), source.nbytes)
        dim = attributes(value).get("dim")
        if isinstance(dim, Integer):
            rlib.Rf_protect(vector)
            shape = rlib.Rf_protect(rlib.Rf_allocVector(_INTEGER, len(dim)))
            ffi.memmove(rlib.INTEGER(shape), ffi.from_buffer(np.ascontiguousarray(dim.values)), 4 * len(dim))
            rlib.Rf_setAttrib(vector, rlib.R_DimSymbol, shape)
            rlib.Rf_unprotect(2)
        return vector

    def from_r(self, vector: Any) -> RValue | None:
        """The value of a vector in R; None if it is not plain memory after all."""
        rlib, ffi = self._rlib, self._ffi
        info = vector.sxpinfo
        if info.alt or info.obj or info.gp & S4_BIT:
            return None
        shape = rlib.ATTRIB(vector)
        extra: dict[str, Any] = {}
        if shape != rlib.R_NilValue:
            if rlib.TAG(shape) != rlib.R_DimSymbol or rlib.CDR(shape) != rlib.R_NilValue:
                return None
            dim = self.from_r(rlib.CAR(shape))
            if dim is None:
                return None
            extra["attributes"] = attributes_of(dim=dim)
        length = rlib.Rf_xlength(vector)
        if info.type == 24:
            return Raw(values=bytes(ffi.buffer(rlib.RAW(vector), length)), **extra)
        if info.type not in _ARRAYS:
            return None
        kind, dtype = _ARRAYS[info.type]
        size = length * np.dtype(dtype).itemsize
        # `bytes` are never written to, as values promise.
        data = bytes(ffi.buffer(rlib.DATAPTR(vector), size))
        value: RValue = kind(values=np.frombuffer(data, dtype), **extra)
        return value
