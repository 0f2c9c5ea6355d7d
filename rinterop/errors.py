"""What can go wrong between bytes and R values, and in R code that Python runs.

SerializeError
├── EncodeError                 a value cannot be written
│   └── ConversionError(TypeError)  a Python object has no form in R; says what to do instead
├── ExpansionError(ValueError)  a compact form is too long, or of no kind we know
└── DecodeError(ValueError)     the bytes are not R's serialize() format; says where and why
    └── UnexpectedEnd(EOFError) the bytes stop in the middle of an item

RError                          R code stopped with an error
└── RJump                       R code was left by a jump to top level
RWarning(UserWarning)           R code warned
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rinterop.values import RValue


class SerializeError(Exception):
    """Base of all errors of `rinterop.serialize`."""


class EncodeError(SerializeError):
    """The value cannot be written in R's serialize() format."""


class ConversionError(EncodeError, TypeError):
    """A Python object has no form in R, or none that keeps it whole; the message says what to do instead."""


class ExpansionError(SerializeError, ValueError):
    """An ALTREP form is not expanded: too long, or of a class that must not or cannot be expanded."""


class DecodeError(SerializeError, ValueError):
    """The bytes are malformed, or hold something that is refused.

    Attributes:
        offset: Position in the input, in bytes, at which reading stopped.
        cause: What is wrong there, one phrase.
        file: The name of the file that was read; None if it was none, or has no name.
    """

    file: str | None = None

    def __init__(self, offset: int, cause: str) -> None:
        super().__init__(offset, cause)
        self.offset = offset
        self.cause = cause

    def __str__(self) -> str:
        place = f"at byte {self.offset}: {self.cause}"
        return place if self.file is None else f"{self.file}, {place}"


class UnexpectedEnd(DecodeError, EOFError):  # noqa: N818  # the built-in one's name ends in Error already
    """The input ends before the item does."""


class _Signalled(Exception):  # noqa: N818 - no error by itself
    """What an R condition says.

    Attributes:
        message: R's message.
        call: The call it arose in, deparsed to one line; None if R names none.
        call_value: The same as a value; None if R names none.
        classes: Class of the condition, like `("simpleError", "error", "condition")`.
        condition: The condition object itself; None if there is none.
    """

    def __init__(
        self,
        message: str,
        *,
        call: str | None = None,
        call_value: RValue | None = None,
        classes: tuple[str, ...] = (),
        condition: RValue | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.call = call
        self.call_value = call_value
        self.classes = classes
        self.condition = condition

    def __str__(self) -> str:
        return self.message if self.call is None else f"in {self.call}: {self.message}"


class RError(_Signalled):
    """R code stopped with an error, or refused.

    An error that began as an exception of a Python function that R called has it as its `__cause__`.

    Attributes:
        traceback: The calls under way, deparsed to one line each, outermost first.
    """

    traceback: tuple[str, ...] = ()


class RJump(RError):  # noqa: N818 - an error only when nobody goes on
    """R left a function without a value: an error nobody caught, or a jump to top level.

    R itself is in order, and the next call works.
    """


class RWarning(_Signalled, UserWarning):
    """R code warned. The category of R's warnings for the filters of the module `warnings`."""
