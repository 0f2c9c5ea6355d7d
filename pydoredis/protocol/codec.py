"""What goes inside of the envelope, in either language: arguments out, values and failures back.

`python` and `r` are the two codecs; a coordinator's job has one of them.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from pydoredis.protocol.messages import Codec
from pydoredis.protocol.parts import Message

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""What one iteration is called with: positional and named."""

Item: TypeAlias = tuple[int, bool, Any]
"""Number of an iteration, whether it succeeded, and its value or exception."""


class Folded(enum.Enum):
    """The type of `FOLDED`."""

    FOLDED = "folded"


FOLDED: Final = Folded.FOLDED
"""Instead of the value of an iteration that a worker folded into another one's (`reduce`)."""


@dataclass(frozen=True, slots=True)
class Result:
    """A result message, decoded.

    Attributes:
        numbers: The iterations that it answers.
        items: Their outcomes, in the same order.
    """

    numbers: Sequence[int]
    items: Sequence[Item]


class Declined(Exception):  # noqa: N818  (an answer, not an error)
    """A worker could not run the task: another one has to.

    Attributes:
        numbers: The iterations of the task.
        reason: Why.
    """

    def __init__(self, numbers: Sequence[int], reason: str) -> None:
        super().__init__(numbers, reason)
        self.numbers = numbers
        self.reason = reason


class JobCodec(Protocol):
    """Writes what a job submits and reads what comes back."""

    @property
    def codec(self) -> Codec:
        """The language of the body."""
        ...

    @property
    def seed(self) -> int:
        """What the random numbers of all iterations depend on."""
        ...

    def encode_environment(self) -> Message:
        """What all tasks share, for the environment key."""
        ...

    def encode_task(self, job: str, first: int, arguments: Sequence[Arguments]) -> bytes:
        """The message for iterations `first`, `first + 1` ..., one for each of `arguments`."""
        ...

    def single(self, job: str, number: int, message: bytes) -> bytes:
        """The message for iteration `number` alone, of one of ours that has it among others.

        Raises:
            RemoteProtocolError: If the message cannot be read.
        """
        ...

    def decode_result(self, job: str, message: bytes) -> Result:
        """Read what a worker answered.

        Raises:
            Declined: If another worker has to run the task.
            RemoteProtocolError: If it is no result.
        """
        ...
