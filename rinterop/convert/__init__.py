"""R values to natural Python objects and back: NumPy arrays, dicts, dates, data frames.

`docs/r-values.md` has the table of what becomes what.
"""

from rinterop.convert import labelled, types
from rinterop.convert.missing import NA_character_, NA_complex_, NA_integer_, NA_real_, is_na
from rinterop.convert.registry import register_to_python, register_to_r, unregister
from rinterop.convert.to_python import to_python
from rinterop.convert.to_r import to_r
from rinterop.convert.types import Factor, RArray, Table
from rinterop.convert.vectors import integer64

# RArray and Table use these, which need their classes.
types.labelled.bind(labelled.labelled)
types.to_r.bind(to_r)

__all__ = [
    "Factor",
    "NA_character_",
    "NA_complex_",
    "NA_integer_",
    "NA_real_",
    "RArray",
    "Table",
    "integer64",
    "is_na",
    "register_to_python",
    "register_to_r",
    "to_python",
    "to_r",
    "unregister",
]
