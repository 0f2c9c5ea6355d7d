"""How to write what cloudpickle leaves out: all that a program may define, and its exceptions.

A reducer gives what `object.__reduce__` gives (Python's documentation of `pickle`): what to call on the other
side, with which arguments, and what to do with the object then. Those for classes and functions get what
cloudpickle would write, and change it where that is not enough.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import cloudpickle

Reduced: TypeAlias = tuple[Any, ...] | str

_reduce_code = cloudpickle.Pickler.dispatch_table[types.CodeType]


def is_importable(obj: Any) -> bool:
    """Whether the other side finds the object where it was defined, or at least is to look for it there."""
    name, home = getattr(obj, "__module__", None), getattr(obj, "__qualname__", obj.__name__)
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None or name == "__main__" or _is_sent(module.__name__):
        return False
    found: Any = module
    for part in home.split("."):
        found = getattr(found, part, None)
    return found is obj


def _is_sent(module: str) -> bool:
    """Whether the module's code travels, or that of a package that it is in."""
    sent = cloudpickle.list_registry_pickle_by_value()
    parts = module.split(".")
    return any(".".join(parts[:length]) in sent for length in range(1, len(parts) + 1))


# --- code: with its file, so that tracebacks can show the source --------------------------------------------


def _code(code: types.CodeType) -> Reduced:
    make, arguments = _reduce_code(code)
    return _make_code, (code.co_filename, make, arguments)


def _make_code(
    filename: str, make: Callable[..., types.CodeType], arguments: tuple[Any, ...]
) -> types.CodeType:
    code: types.CodeType = make(*arguments)
    return code.replace(co_filename=filename)


# --- decorated functions ----------------------------------------------------------------------------------


def _cached(function: Any) -> Reduced:
    """A function with an `lru_cache`, which begins empty on the other side."""
    if is_importable(function):
        return str(function.__qualname__)
    parameters = function.cache_parameters()
    return _make_cached, (parameters["maxsize"], parameters["typed"], function.__wrapped__)


def _make_cached(maxsize: int | None, typed: bool, function: Callable[..., Any]) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def _cached_property(found: functools.cached_property[Any]) -> Reduced:
    return _make_cached_property, (found.func, found.attrname)


def _make_cached_property(function: Callable[[Any], Any], name: str | None) -> functools.cached_property[Any]:
    made = functools.cached_property(function)
    made.attrname = name
    return made


def _dispatching_method(found: functools.singledispatchmethod[Any]) -> Reduced:
    return _make_dispatching_method, (found.func, found.dispatcher)


def _make_dispatching_method(function: Callable[..., Any], dispatcher: Any) -> Any:
    made = functools.singledispatchmethod(function)
    made.dispatcher = dispatcher
    return made


def _is_dispatcher(function: Any) -> bool:
    """Whether it is made by `functools.singledispatch`: its caches hold weak references, which stay here."""
    return all(hasattr(function, name) for name in ("dispatch", "register", "registry", "_clear_cache"))


def _make_dispatcher(function: Callable[..., Any]) -> Any:
    return functools.singledispatch(function)


def _register(dispatcher: Any, methods: Mapping[type, Callable[..., Any]]) -> None:
    for kind, method in methods.items():
        dispatcher.register(kind, method)


def function(found: Any, reduced: Reduced) -> Reduced:
    """A function that is written by value."""
    if not _is_dispatcher(found):
        return reduced
    methods = dict(found.registry)
    return _make_dispatcher, (methods.pop(object),), methods, None, None, _register


# --- names for types --------------------------------------------------------------------------------------


def _parameters(found: Any) -> Reduced:
    """A `ParamSpec`: by reference, if there is something to refer to."""
    return found.__name__ if is_importable(found) else (type(found), (found.__name__,))


def _new_type(found: Any) -> Reduced:
    if is_importable(found):
        return str(found.__qualname__)
    return _make_new_type, (found.__name__, found.__supertype__, found.__module__)


def _make_new_type(name: str, supertype: Any, module: str) -> Any:
    make: Any = typing.NewType  # which checkers want to see in a statement of its own
    made = make(name, supertype)
    made.__module__ = module
    return made


# --- classes ----------------------------------------------------------------------------------------------


def class_(found: type, reduced: Reduced) -> Reduced:
    """A class that is written by value.

    Raises:
        TypeError: If it cannot be made on the other side, with the reason.
    """
    if isinstance(reduced, str) or len(reduced) != 6:
        return reduced  # a type that Python itself has, like that of None
    if issubclass(type(found), enum.EnumMeta):
        return _enum(found, reduced)
    _check_subclassing(found)
    make, (kind, name, bases, namespace, *more), (attributes, slot_state), *rest = reduced
    if "__slots__" not in vars(found) or typing.NamedTuple in bases:
        return reduced
    slots = vars(found)["__slots__"]
    # Made with the class, where cloudpickle would set the attribute of this name afterwards, to no effect.
    namespace = {**namespace, "__slots__": slots}
    taken = {"__slots__", "__slotnames__", *(_mangled(found, slot) for slot in _slots(found))}
    kept = {key: value for key, value in attributes.items() if key not in taken}
    return make, (kind, name, bases, namespace, *more), (kept, slot_state), *rest


def _slots(found: type) -> tuple[str, ...]:
    slots = vars(found).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _mangled(found: type, name: str) -> str:
    """What a name that begins with two underscores is in the class."""
    hidden = name.startswith("__") and not name.endswith("__")
    return f"_{found.__name__.lstrip('_')}{name}" if hidden else name


def _check_subclassing(found: type) -> None:
    hook = super(found, found).__init_subclass__  # type: ignore[arg-type]
    if not isinstance(hook, types.MethodType):
        return
    for parameter in inspect.signature(hook).parameters.values():
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not variable:
            raise TypeError(
                f"the class {found.__qualname__} cannot be made anew elsewhere: __init_subclass__ of a base "
                f"class needs {parameter.name!r}, and nobody knows what it was. Give that a default, or put "
                "the class into a module that workers can import"
            )


def _enum(found: Any, reduced: tuple[Any, ...]) -> Reduced:
    """With what `__init__` gave the members: they are made before it is there."""
    make, arguments, state, _, _, set_state = reduced
    given = {name: vars(member) for name, member in found.__members__.items()}
    return make, arguments, (set_state, state, given), None, None, _set_enum


def _set_enum(made: Any, state: tuple[Any, Any, Mapping[str, Mapping[str, Any]]]) -> None:
    set_state, class_state, given = state
    set_state(made, class_state)
    for name, attributes in given.items():
        member = made.__members__[name]
        vars(member).update({key: value for key, value in attributes.items() if key not in vars(member)})


# --- exceptions -------------------------------------------------------------------------------------------


def exception(error: BaseException) -> Any:
    """An exception, so that it can be made again whatever its `__init__` wants: that is not called.

    Python would call the class with `args`, which is wrong as soon as an `__init__` passes something else to
    the next one. One that says how it is pickled, and one whose class takes what Python gives it, are left
    alone.
    """
    kind = type(error)
    base = builtin_base(kind)
    if reduces_itself(kind) or (kind.__init__ is base.__init__ and kind.__new__ is base.__new__):
        return NotImplemented
    args, attributes = parts(error)
    return make_exception, (kind, base, args), attributes, None, None, set_attributes


def builtin_base(kind: type[BaseException]) -> type[BaseException]:
    """The class of Python's own that an exception's class is derived from."""
    return next(base for base in kind.__mro__ if base.__module__ == "builtins")


def reduces_itself(kind: type[BaseException]) -> bool:
    """Whether the class, or a base of it that is not Python's, says how it is pickled."""
    return (
        kind.__reduce__ is not builtin_base(kind).__reduce__
        or kind.__reduce_ex__ is not object.__reduce_ex__
        or kind in copyreg.dispatch_table
    )


def parts(error: BaseException) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the exception's builtin base, and all its attributes."""
    reduced: Any = builtin_base(type(error)).__reduce__(error)
    attributes = dict(reduced[2]) if len(reduced) > 2 and reduced[2] else {}
    for name in _slot_names(type(error)):
        if hasattr(error, name):
            attributes[name] = getattr(error, name)
    return tuple(reduced[1]), attributes


def _slot_names(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        yield from (_mangled(base, slot) for slot in _slots(base))


def make_exception(
    kind: type[BaseException], base: type[BaseException], args: tuple[Any, ...]
) -> BaseException:
    """An exception of this class, without its `__init__`."""
    made = base.__new__(kind, *args)
    base.__init__(made, *args)
    return made


def set_attributes(error: BaseException, attributes: Mapping[str, Any]) -> None:
    """Give an exception its attributes."""
    for name, value in attributes.items():
        object.__setattr__(error, name, value)


TABLE: dict[Any, Callable[[Any], Reduced]] = {
    types.CodeType: _code,
    functools._lru_cache_wrapper: _cached,
    functools.cached_property: _cached_property,
    functools.singledispatchmethod: _dispatching_method,
    typing.ParamSpec: _parameters,
    typing.NewType: _new_type,
}
"""Reducers by type, for what is neither a class nor a function."""
