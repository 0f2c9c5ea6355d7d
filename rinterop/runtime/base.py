"""What it takes to run R code from Python: bytes in, bytes out.

The narrow waist is deliberate. R values cross in R's own serialization, so that nothing here has to know what
an R value looks like, and one call of one R function costs a few microseconds over what R itself needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from rinterop.errors import RError as RError
from rinterop.errors import RJump as RJump

RawFunction = Callable[..., bytes]
"""An R function as Python calls it: `f(data, *numbers) -> bytes`, where data may be any kind of buffer.

`data` arrives in R as a raw vector, `numbers` as one integer vector. The R function returns a raw vector, or
a character string to say what went wrong (`RError`).
"""


ProvidedFunction = Callable[[bytes], "bytes | bytearray"]
"""A Python function as R calls it: a raw vector in, a raw vector out."""


class RuntimeUnavailableError(Exception):
    """R can't be run in this way on this machine.

    Attributes:
        remedy: What the user can do about it; a command where there is one.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} ({remedy})" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class Runtime(Protocol):
    """An R that lives as long as the process."""

    @property
    def version(self) -> str:
        """R's version, like `4.2.2`."""
        ...

    def source(self, *paths: Path, provide: Mapping[str, ProvidedFunction] | None = None) -> None:
        """Evaluate R source files in one new environment enclosed by R's base namespace.

        `provide` adds functions of Python's to that environment beforehand, raw vector in, raw vector out.
        They must not raise: R's stack lies between them and whoever could catch it.
        """
        ...

    def function(self, name: str, numbers: int = 0) -> RawFunction:
        """The function `name(data, numbers)` of the sourced environment; `numbers` of them are passed."""
        ...

    def forget_interrupt(self) -> None:
        """Take back an interrupt that R has been asked for and has not carried out."""
        ...

    def quit(self) -> None:
        """End R and the process with status 0, as `quit()` does: finalizers, `.Last`, temporary directory."""
        ...
