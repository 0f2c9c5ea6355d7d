"""Requests to R's side of a session (session.R) and its answers: bytes, and big vectors as memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rinterop.errors import RJump
from rinterop.runtime import embedded
from rinterop.runtime.memory import Memory
from rinterop.serialize.reader import loads
from rinterop.values import RValue

_INTEGER, _LIST, _RAW = 13, 19, 24  # R's type numbers
_LARGE_BYTES: Final = 1 << 20


class Answer(NamedTuple):
    """What came of an evaluation.

    Attributes:
        value: None if there was an error.
        report: Warnings and the error, as report() in session.R makes them; None if there were none.
    """

    value: RValue | None
    report: RValue | None


class Channel:
    """Calls the functions of session.R. Nests: R calls Python, which calls R."""

    def __init__(self, r: embedded.EmbeddedR, provide: Mapping[str, Callable[[bytes], bytes]]) -> None:
        self._r, self._rlib = r, r.rlib
        self._ffi = embedded.openrlib().ffi
        self._memory = Memory(self._rlib, self._ffi)
        self._failed = self._ffi.new("int *")
        self._environment = r.environment_of(Path(__file__).with_name("session.R"), provide=provide)
        self._slots: list[_Slot] = []

    def evaluate(
        self, request: bytes, vectors: Sequence[tuple[int, RValue]] = (), *, text: bool = False
    ) -> Answer:
        """Have `request` evaluated by evaluate() in session.R.

        Args:
            request: `list(code, frame)`.
            vectors: Big arguments of the call `code`, each with its place there (from 1, after the function).
            text: Whether `code` is a source text.

        Raises:
            RJump: If R was left by a jump to top level.
        """
        with self._slot() as slot:
            slot.put(self._memory.raw(request), large=len(request) > _LARGE_BYTES)
            if vectors:
                slot.put_vectors(vectors)
            return self._read(self._try(slot.text if text else slot.call if vectors else slot.code))

    def pack(self, pointer: Any) -> RValue:
        """The value of an R object."""
        with self._slot() as slot:
            slot.put(pointer, large=True)
            return loads(self._bytes(self._try(slot.pack)))

    def unpack(self, data: bytes) -> Any:
        """The R object of a value's bytes, not protected."""
        with self._slot() as slot:
            slot.put(self._memory.raw(data), large=True)
            return self._try(slot.unpack)

    def take_interrupt(self) -> bool:
        """Whether an interrupt came too late for R, which would stop whatever is next."""
        pending = bool(self._rlib.R_interrupts_pending)
        if pending:
            self._rlib.R_interrupts_pending = 0
        return pending

    def _read(self, answer: Any) -> Answer:
        if answer.sxpinfo.type == _RAW:
            return Answer(loads(self._bytes(answer)), None)
        data, vector, told = (self._rlib.VECTOR_ELT(answer, index) for index in range(3))
        nil = self._rlib.R_NilValue
        report = None if told == nil else loads(self._bytes(told))
        if data != nil:
            return Answer(loads(self._bytes(data)), report)
        if vector == nil:
            return Answer(None, report)
        value = self._memory.from_r(vector)
        return Answer(self.pack(vector) if value is None else value, report)

    def _bytes(self, vector: Any) -> bytes:
        return bytes(self._ffi.buffer(self._rlib.RAW(vector), self._rlib.Rf_xlength(vector)))

    def _try(self, call: Any) -> Any:
        """Evaluate a call; the value is not protected."""
        result = self._rlib.R_tryEval(call, self._environment, self._failed)
        if self._failed[0]:
            raise RJump("R code was left by a jump to top level")
        return result

    def _slot(self) -> _Slot:
        """For one evaluation, as a context manager."""
        for slot in self._slots:
            if not slot.in_use:
                return slot
        self._slots.append(_Slot(len(self._slots), self._r, self._memory, self._environment))
        return self._slots[-1]


class _Slot:
    """Variables in session.R's environment, and the calls that use them.

    A variable, not the value itself, stands in a call: calls are what tracebacks show and conditions keep.
    """

    def __init__(self, number: int, r: embedded.EmbeddedR, memory: Memory, environment: Any) -> None:
        self._rlib, self._memory, self._environment = r.rlib, memory, environment
        data, vectors, places = (f".{name}{number}" for name in ("data", "vectors", "places"))
        self._data, self._vectors, self._places = (
            self._rlib.Rf_install(name.encode()) for name in (data, vectors, places)
        )
        self.in_use = self._filled = False
        self.code = r.call(f"evaluate({data})")
        self.text = r.call(f"evaluate({data}, text = TRUE)")
        self.call = r.call(f"evaluate({data}, {vectors}, {places})")
        self.pack = r.call(f"pack({data})")
        self.unpack = r.call(f"unpack({data})")

    def put(self, value: Any, *, large: bool) -> None:
        """What `data` is, an R object that need not be protected."""
        self._filled |= large
        rlib = self._rlib
        rlib.Rf_protect(value)
        rlib.Rf_defineVar(self._data, value, self._environment)
        rlib.Rf_unprotect(1)

    def put_vectors(self, vectors: Sequence[tuple[int, RValue]]) -> None:
        """What goes to which places of a call."""
        self._filled = True
        rlib = self._rlib
        values = rlib.Rf_protect(rlib.Rf_allocVector(_LIST, len(vectors)))
        places = rlib.Rf_protect(rlib.Rf_allocVector(_INTEGER, len(vectors)))
        try:
            for index, (place, value) in enumerate(vectors):
                rlib.SET_VECTOR_ELT(values, index, self._memory.to_r(value))
                rlib.INTEGER(places)[index] = place
            rlib.Rf_defineVar(self._vectors, values, self._environment)
            rlib.Rf_defineVar(self._places, places, self._environment)
        finally:
            rlib.Rf_unprotect(2)

    def __enter__(self) -> _Slot:
        self.in_use = True
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what is large; small things wait for the next use."""
        self.in_use = False
        if self._filled:
            for variable in (self._data, self._vectors):
                self._rlib.Rf_defineVar(variable, self._rlib.R_NilValue, self._environment)
            self._filled = False
