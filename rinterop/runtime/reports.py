"""R's warnings and errors as Python's: what report() in session.R tells."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

from rinterop.errors import RError, RWarning
from rinterop.values import NULL, Character, List, RValue, class_, strings

_HERE = str(Path(__file__).parent)


def warn(report: RValue) -> None:
    """Give the warnings, as from where somebody called this package."""
    told = _element(report, "warnings")
    if isinstance(told, List) and len(told):
        level = _level_of_caller()
        for one in told:
            warnings.warn(RWarning(_message(one), **_facts(one)), stacklevel=level)


def error_of(report: RValue) -> RError | None:
    """The error, if it tells of one."""
    told = _element(report, "error")
    if told is NULL:
        return None
    error = RError(_message(told), **_facts(told))
    calls = strings(_element(report, "calls")) or ()
    error.traceback = tuple(str(text) for text in calls)
    return error


def is_interrupt(error: RError) -> bool:
    """Whether it is no error but Ctrl-C."""
    return "rinterop_interrupt" in error.classes


def exception_behind(error: RError) -> RValue | None:
    """What stands for the exception of a Python function that became this error; None if none did."""
    return _element(error.condition, "exception") if "python_error" in error.classes else None


def _element(value: RValue | None, name: str) -> RValue:
    return value.get(name) if isinstance(value, List) else NULL


def _message(told: RValue) -> str:
    return str((strings(_element(told, "message")) or ("",))[0])


def _facts(told: RValue) -> dict[str, Any]:
    condition, text = _element(told, "condition"), _element(told, "call")
    value = _element(condition, "call")
    return {
        "call": str(text.values[0]) if isinstance(text, Character) else None,
        "call_value": None if value is NULL else value,
        "classes": class_(condition),
        "condition": condition,
    }


def _level_of_caller() -> int:
    """Which frame, as `warnings.warn` counts in the caller, is the first one outside of this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    return level
