"""Packages that may be there: imported when a value calls for them, never before."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from rinterop.errors import ConversionError
from rinterop.install_hints import pip_install


@functools.cache
def has_pandas() -> bool:
    """Whether pandas is installed."""
    return importlib.util.find_spec("pandas") is not None


@functools.cache
def has_scipy() -> bool:
    """Whether scipy is installed, in a version with sparse arrays."""
    if importlib.util.find_spec("scipy") is None:
        return False
    return hasattr(scipy_sparse(), "coo_array")


def scipy_sparse() -> Any:
    """The module `scipy.sparse`; see `pandas`."""
    return _module("scipy.sparse")


def pandas() -> Any:
    """The module.

    Raises:
        ConversionError: If it is not installed.
    """
    return _module("pandas")


def polars() -> Any:
    """As `pandas`."""
    return _module("polars")


def pyarrow() -> Any:
    """As `pandas`."""
    return _module("pyarrow")


def imported(name: str) -> Any | None:
    """The module if somebody has imported it: objects of its types cannot be there otherwise."""
    return sys.modules.get(name)


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConversionError(f"this conversion needs {name}: {pip_install(name)}") from error
