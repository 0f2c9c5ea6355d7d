"""R values in Python: R's serialization format, natively.

`loads` and `dumps` turn bytes into values and back, `read_rds` and its like do so with files;
`rinterop.values` is the model of R's objects and makes new ones; `rinterop.serialize` has what works on bytes
alone; `rinterop.runtime` runs R code, where there is an R.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rinterop import runtime, values
    from rinterop.convert import (
        Factor,
        NA_character_,
        NA_complex_,
        NA_integer_,
        NA_real_,
        RArray,
        Table,
        integer64,
        is_na,
        register_to_python,
        register_to_r,
        to_python,
        to_r,
        unregister,
    )
    from rinterop.errors import (
        ConversionError,
        DecodeError,
        EncodeError,
        ExpansionError,
        RError,
        RJump,
        RWarning,
        SerializeError,
        UnexpectedEnd,
    )
    from rinterop.serialize.files import read_rda, read_rds, write_rda, write_rds
    from rinterop.serialize.reader import loads
    from rinterop.serialize.speed import accelerated, acceleration
    from rinterop.serialize.writer import dumps
    from rinterop.values import (
        NA,
        NULL,
        Altrep,
        Call,
        Character,
        Closure,
        Complex,
        Double,
        Environment,
        Expression,
        Integer,
        List,
        Logical,
        PairList,
        Raw,
        RValue,
        Symbol,
    )

__all__ = [
    "NA",
    "NULL",
    "Altrep",
    "Call",
    "Character",
    "Closure",
    "Complex",
    "ConversionError",
    "DecodeError",
    "Double",
    "EncodeError",
    "Environment",
    "ExpansionError",
    "Expression",
    "Factor",
    "Integer",
    "List",
    "Logical",
    "NA_character_",
    "NA_complex_",
    "NA_integer_",
    "NA_real_",
    "PairList",
    "RArray",
    "RError",
    "RJump",
    "RValue",
    "RWarning",
    "Raw",
    "SerializeError",
    "Symbol",
    "Table",
    "UnexpectedEnd",
    "accelerated",
    "acceleration",
    "dumps",
    "integer64",
    "is_na",
    "loads",
    "read_rda",
    "read_rds",
    "register_to_python",
    "register_to_r",
    "runtime",
    "to_python",
    "to_r",
    "unregister",
    "values",
    "write_rda",
    "write_rds",
]

# Imported when they are first used. Who looks for R needs no NumPy, and who reads messages no conversion.
_ROOMS = ("errors", "runtime", "serialize", "values")
_MODULES = {
    "convert": (
        *(
            "Factor",
            "NA_character_",
            "NA_complex_",
            "NA_integer_",
            "NA_real_",
            "RArray",
            "Table",
            "integer64",
        ),
        *("is_na", "register_to_python", "register_to_r", "to_python", "to_r", "unregister"),
    ),
    "errors": (
        *("ConversionError", "DecodeError", "EncodeError", "ExpansionError", "RError", "RJump", "RWarning"),
        *("SerializeError", "UnexpectedEnd"),
    ),
    "serialize.files": ("read_rda", "read_rds", "write_rda", "write_rds"),
    "serialize.reader": ("loads",),
    "serialize.speed": ("accelerated", "acceleration"),
    "serialize.writer": ("dumps",),
    "values": (
        *("NA", "NULL", "Altrep", "Call", "Character", "Closure", "Complex", "Double", "Environment"),
        *("Expression", "Integer", "List", "Logical", "PairList", "Raw", "RValue", "Symbol"),
    ),
}
_LATER = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"rinterop.{name}")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rinterop.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
