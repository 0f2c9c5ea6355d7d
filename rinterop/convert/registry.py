"""Conversions of users' own: R classes by name, Python classes by type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

from rinterop.values import RValue

ToPython = Callable[[RValue], Any]
ToR = Callable[[Any], Any]
_F = TypeVar("_F", bound=ToPython)
_G = TypeVar("_G", bound=ToR)

_BY_CLASS: Final[dict[str, ToPython]] = {}
_BY_TYPE: Final[dict[type, ToR]] = {}


@overload
def register_to_python(class_name: str) -> Callable[[_F], _F]: ...
@overload
def register_to_python(class_name: str, convert: _F) -> _F: ...
def register_to_python(class_name: str, convert: ToPython | None = None) -> Any:
    """Have `to_python` convert R objects of a class by a function; also usable as a decorator.

    Args:
        class_name: An S3 or S4 class, as in R's `class(x)`. The first class of an object that somebody has
            registered decides, as in method dispatch; those registered go before the built-in ones. For an
            S4 object only its own class is known here, not those that it extends.
        convert: Takes the R value, gives any object.
    """

    def register(function: _F) -> _F:
        _BY_CLASS[class_name] = function
        return function

    return register if convert is None else register(convert)


@overload
def register_to_r(python_type: type) -> Callable[[_G], _G]: ...
@overload
def register_to_r(python_type: type, convert: _G) -> _G: ...
def register_to_r(python_type: type, convert: ToR | None = None) -> Any:
    """Have `to_r` convert objects of a type and of its subclasses by a function; also usable as a decorator.

    Args:
        python_type: The first of an object's classes (`__mro__`) that somebody has registered decides; those
            registered go before the built-in ones.
        convert: Takes the object, gives an R value, or any other object that `to_r` converts.
    """

    def register(function: _G) -> _G:
        _BY_TYPE[python_type] = function
        return function

    return register if convert is None else register(convert)


def unregister(key: str | type) -> None:
    """Take back what was registered for an R class or a Python type.

    Raises:
        KeyError: If nothing was.
    """
    if isinstance(key, str):
        del _BY_CLASS[key]
    else:
        del _BY_TYPE[key]


def for_classes(classes: tuple[str, ...]) -> ToPython | None:
    """The registered conversion of an R object of these classes."""
    if not _BY_CLASS:
        return None
    return next((_BY_CLASS[name] for name in classes if name in _BY_CLASS), None)


def for_type(python_type: type) -> ToR | None:
    """The registered conversion of objects of a type."""
    if not _BY_TYPE:
        return None
    return next((_BY_TYPE[base] for base in python_type.__mro__ if base in _BY_TYPE), None)
