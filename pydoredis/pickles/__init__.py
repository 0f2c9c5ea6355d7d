"""Python objects as bytes: by reference where both sides have the module, by value where only one has it.

`reducers` writes what cloudpickle leaves out, `culprit` finds what cannot be written, `raised` takes
exceptions along.
"""

from __future__ import annotations

import io
import pickle
import threading
from collections import ChainMap, Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

import cloudpickle

from pydoredis.errors import RemoteProtocolError, shown
from pydoredis.pickles import reducers


class _ByReference(pickle.Pickler):
    """What C's pickler writes by itself, and exceptions that can be read again."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, BaseException):
            return reducers.exception(obj)
        return NotImplemented


class _ByValue(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's, with what it leaves out."""

    dispatch_table: ClassVar[Any] = ChainMap(reducers.TABLE, cloudpickle.Pickler.dispatch_table)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, BaseException):
            return reducers.exception(obj)
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented:
            return reduced
        if isinstance(obj, type):
            return reducers.class_(obj, reduced)
        return reducers.function(obj, reduced)


class Beside:
    """Large buffers, of arrays and the like, that are kept out of a pickle and not copied.

    Attributes:
        buffers: Those of the pickle that was written last, in their order.

    Args:
        least_bytes: From which size on they are large.
    """

    def __init__(self, least_bytes: int) -> None:
        self.buffers: list[memoryview] = []
        self._least_bytes = least_bytes

    def __call__(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer; returns whether it has to be in the pickle."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True  # in pieces
        if raw.nbytes >= self._least_bytes:
            self.buffers.append(raw)
        return raw.nbytes < self._least_bytes


def dump(data: Any, beside: Beside | None = None) -> bytes:
    """Pickle in C where that is enough; by value, slowly, what only this process has.

    What is in `__main__` would be pickled by reference to a `__main__` that is another one there.

    Args:
        data: What is pickled.
        beside: Takes large buffers; None: they are in the pickle.

    Raises:
        Exception: Whatever the objects raise; see `culprit.find`.
    """
    file = io.BytesIO()
    try:
        _ByReference(file, pickle.HIGHEST_PROTOCOL, buffer_callback=beside).dump(data)
    except Exception:
        return dump_by_value(data, beside)
    pickled = file.getvalue()
    if b"__main__" in pickled:
        return dump_by_value(data, beside)
    for name in cloudpickle.list_registry_pickle_by_value():
        if name.encode() in pickled:
            return dump_by_value(data, beside)
    return pickled


def dump_by_value(data: Any, beside: Beside | None = None) -> bytes:
    """Pickle with the code of what only this process has. As `dump` otherwise."""
    file = io.BytesIO()
    if beside is not None:
        beside.buffers.clear()
    _ByValue(file, buffer_callback=beside).dump(data)
    return file.getvalue()


def load(data: bytes) -> Any:
    """What was pickled.

    Raises:
        RemoteProtocolError: If it cannot be read here, whatever the objects do when they are made.
    """
    try:
        return pickle.loads(data)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = f"cannot be unpickled here: {type(error).__name__}: {shown(error, str)}"
        raise RemoteProtocolError(reason) from error


def advice(error: BaseException | None) -> str:
    """What can be done about a module that workers do not have; empty if the error is another one."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    package = error.name.partition(".")[0]
    return (
        f". Send it along with export=[{package}], install it where the workers are, or start them where "
        "Python finds it (PYTHONPATH)"
    )


@contextmanager
def by_value(modules: Sequence[ModuleType]) -> Iterator[None]:
    """Inside, functions and classes of these modules are pickled with their code. For any threads."""
    added: list[ModuleType] = []
    if modules:
        with _registering:
            registered = cloudpickle.list_registry_pickle_by_value()
            # What the program itself has registered stays so.
            added += [one for one in modules if _by_value[one.__name__] or one.__name__ not in registered]
            for module in added:
                cloudpickle.register_pickle_by_value(module)
                _by_value[module.__name__] += 1
    try:
        yield
    finally:
        if added:
            with _registering:
                for module in added:
                    _by_value[module.__name__] -= 1
                    if not _by_value[module.__name__]:
                        cloudpickle.unregister_pickle_by_value(module)


_registering = threading.Lock()
_by_value: Counter[str] = Counter()
"""How many blocks want each module by value; cloudpickle's registry is one for all threads."""
