"""R values in Python: R's serialization format, natively.

`loads` and `dumps` turn bytes into values and back, `read_rds` and its like do so with files; `rinterop.values`
is the model of R's objects and makes new ones; `rinterop.serialize` has what works on bytes alone.
"""

from rinterop import values
from rinterop.errors import DecodeError, EncodeError, ExpansionError, SerializeError, UnexpectedEnd
from rinterop.serialize.files import read_rda, read_rds, write_rda, write_rds
from rinterop.serialize.reader import loads
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
    "DecodeError",
    "Double",
    "EncodeError",
    "Environment",
    "ExpansionError",
    "Expression",
    "Integer",
    "List",
    "Logical",
    "PairList",
    "RValue",
    "Raw",
    "SerializeError",
    "Symbol",
    "UnexpectedEnd",
    "dumps",
    "loads",
    "read_rda",
    "read_rds",
    "values",
    "write_rda",
    "write_rds",
]
