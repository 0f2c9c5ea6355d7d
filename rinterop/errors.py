"""What can go wrong between bytes and R values.

SerializeError
├── EncodeError                 a value cannot be written
├── ExpansionError(ValueError)  a compact form is too long, or of no kind we know
└── DecodeError(ValueError)     the bytes are not R's serialize() format; says where and why
    └── UnexpectedEnd(EOFError) the bytes stop in the middle of an item
"""

from __future__ import annotations


class SerializeError(Exception):
    """Base of all errors of `rinterop.serialize`."""


class EncodeError(SerializeError):
    """The value cannot be written in R's serialize() format."""


class ExpansionError(SerializeError, ValueError):
    """An ALTREP form is not expanded: too long, or of a class that must not or cannot be expanded."""


class DecodeError(SerializeError, ValueError):
    """The bytes are malformed, or hold something that is refused.

    Attributes:
        offset: Position in the input, in bytes, at which reading stopped.
        cause: What is wrong there, one phrase.
    """

    def __init__(self, offset: int, cause: str) -> None:
        super().__init__(offset, cause)
        self.offset = offset
        self.cause = cause

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.cause}"


class UnexpectedEnd(DecodeError, EOFError):  # noqa: N818  # the built-in one's name ends in Error already
    """The input ends before the item does."""
