"""Exceptions on their way from a worker: in pieces, so that what cannot travel costs nothing but itself.

The class, each argument and each attribute are pickled apart. Where the class is known to the reader, the
exception is made again, with its causes, its notes and its attributes; else a `RemoteError` tells all of it.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydoredis import pickles
from pydoredis.errors import RemoteError, RemoteProtocolError, shown
from pydoredis.pickles import reducers

MAX_CHAIN = 20
"""How many causes of causes are taken along."""

Error = TypeVar("Error", bound=BaseException)

_HERE = str(Path(__file__).parent.parent)

_BECAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_WHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"


class RemoteTraceback(Exception):  # noqa: N818  (shown as a cause, never raised)
    """Where an exception was raised on the worker: the traceback as text, as a cause of the exception."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\n{self.text}"


@dataclass(frozen=True, slots=True)
class NotSent:
    """In place of an attribute of an exception that could not be sent.

    Attributes:
        text: What it was.
    """

    text: str

    def __repr__(self) -> str:
        return f"<not sent: {self.text}>"


@dataclass(frozen=True, slots=True)
class Parcel:
    """An argument or attribute of an exception.

    Attributes:
        pickled: Its bytes; None if it cannot be pickled.
        shown: Its text, in that case.
    """

    pickled: bytes | None
    shown: str = ""

    @classmethod
    def of(cls, value: Any) -> Parcel:
        """The value, or what is to be said of it."""
        try:
            return cls(pickles.dump(value))
        except Exception:
            return cls(None, shown(value))

    def open(self) -> Any:
        """The value; a `NotSent` if it could not be pickled, or cannot be read here."""
        if self.pickled is None:
            return NotSent(self.shown)
        try:
            return pickles.load(self.pickled)
        except RemoteProtocolError as error:
            return NotSent(f"it {error}")


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a traceback.

    Attributes:
        place: File, line number and name of the function.
        line: The source line; None if the code came from the coordinator, where the source is.
        span: Last line, first and last column, where Python knows them.
    """

    place: tuple[str, int, str]
    line: str | None
    span: tuple[int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception, in pieces.

    Attributes:
        kinds: Names of its class and of all its bases, with their modules.
        kind: The class, pickled; None if that is impossible.
        whole: All of it, pickled as its class says; empty if the class says nothing about that.
        args: Arguments of its builtin base.
        attributes: What else it has.
        text: What `str` says.
        last_lines: How a traceback ends: class, text and notes.
        frames: The traceback.
        cause: Its `__cause__`.
        context: Its `__context__`, if that is shown.
        members: Those of an exception group.
    """

    kinds: tuple[str, ...]
    kind: bytes | None
    whole: bytes
    args: tuple[Parcel, ...]
    attributes: Mapping[str, Parcel]
    text: str
    last_lines: Sequence[str]
    frames: Sequence[Frame]
    cause: Raised | None
    context: Raised | None
    members: Sequence[Raised]

    @classmethod
    def of(cls, error: BaseException, seen: frozenset[int] = frozenset()) -> Raised:
        """Take an exception to pieces. Never fails, whatever its class does."""
        seen |= {id(error)}

        def follow(other: BaseException | None) -> Raised | None:
            return (
                None if other is None or id(other) in seen or len(seen) > MAX_CHAIN else cls.of(other, seen)
            )

        kind = type(error)
        try:
            args, attributes = reducers.parts(error)
        except Exception:
            args, attributes = error.args, {}
        members = tuple(getattr(error, "exceptions", ())) if is_group(error) else ()
        return cls(
            kinds=tuple(f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__),
            kind=Parcel.of(kind).pickled,
            whole=_whole(error),
            args=tuple(map(Parcel.of, args[: 1 if members else None])),
            attributes={name: Parcel.of(value) for name, value in attributes.items()},
            text=shown(error, str),
            last_lines=traceback.format_exception_only(kind, error),
            frames=[*_frames(error.__traceback__)],
            cause=follow(error.__cause__),
            context=None if error.__suppress_context__ else follow(error.__context__),
            members=[told for member in members if (told := follow(member)) is not None],
        )

    def without(self, is_unfit: Callable[[bytes], bool]) -> Raised:
        """With nothing in it that is pickled in an unfit way: it will be told, and not made again."""

        def fit(parcel: Parcel) -> Parcel:
            if parcel.pickled is None or not is_unfit(parcel.pickled):
                return parcel
            return Parcel(None, "something that this version of Python cannot read")

        def follow(other: Raised | None) -> Raised | None:
            return other and other.without(is_unfit)

        return replace(
            self,
            kind=None if is_unfit(self.kind or b"") else self.kind,
            whole=b"" if is_unfit(self.whole) else self.whole,
            args=tuple(map(fit, self.args)),
            attributes={name: fit(parcel) for name, parcel in self.attributes.items()},
            cause=follow(self.cause),
            context=follow(self.context),
            members=[member.without(is_unfit) for member in self.members],
        )

    # --- where it is read ---------------------------------------------------------------------------------

    def again(self) -> BaseException:
        """The exception, or a `RemoteError` if its class cannot be had here.

        The first of its causes has the worker's traceback as its cause, so that Python shows it.
        """
        error = first = self._with_causes()
        while (cause := first.__cause__ or first.__context__) is not None:
            first = cause
        if self.frames:
            first.__cause__ = RemoteTraceback("".join(self.lines()))
        return error

    def _with_causes(self) -> BaseException:
        error = self._alone()
        error.__cause__ = self.cause._with_causes() if self.cause is not None else None
        error.__context__ = self.context._with_causes() if self.context is not None else None
        error.__suppress_context__ = self.context is None
        return error

    def _alone(self) -> BaseException:
        try:
            if self.whole:
                found = pickles.load(self.whole)
            else:
                kind = pickles.load(self.kind or b"")
                found = reducers.make_exception(kind, reducers.builtin_base(kind), self._args())
                reducers.set_attributes(
                    found, {name: value.open() for name, value in self.attributes.items()}
                )
        except Exception:
            return self._stand_in()
        return found if isinstance(found, BaseException) else self._stand_in()

    def _attributes(self) -> dict[str, Any]:
        return {name: value.open() for name, value in self.attributes.items()}

    def _args(self) -> tuple[Any, ...]:
        args = tuple(argument.open() for argument in self.args)
        return (*args, [member._with_causes() for member in self.members]) if self.members else args

    def _stand_in(self) -> RemoteError:
        attributes = self._attributes()
        if self.members:
            attributes["exceptions"] = tuple(member._with_causes() for member in self.members)
        notes = attributes.pop("__notes__", None)
        made = RemoteError(self.kinds, self.text, attributes)
        if notes is not None:
            reducers.set_attributes(made, {"__notes__": notes})
        return made

    def lines(self) -> Iterator[str]:
        """The whole traceback as Python prints it, with the source lines of both sides."""
        before, link = (self.cause, _BECAUSE) if self.cause is not None else (self.context, _WHILE)
        if before is not None:
            yield from before.lines()
            yield link
        if self.frames:
            yield "Traceback (most recent call last):\n"
            yield from traceback.StackSummary.from_list(map(_summary, self.frames)).format()
        yield from self.last_lines
        for number, member in enumerate(self.members, 1):
            yield f"  +---------------- {number} ----------------\n"
            for text in member.lines():
                yield from (f"  | {line}" for line in text.splitlines(keepends=True))


def _whole(error: BaseException) -> bytes:
    """What a class that says how it is pickled makes of its exception; empty if that cannot be read."""
    if not reducers.reduces_itself(type(error)):
        return b""
    try:
        pickled = pickles.dump(error)
        return pickled if type(pickles.load(pickled)) is type(error) else b""
    except Exception:
        return b""


def is_group(error: BaseException) -> bool:
    """Whether it is an exception group, which Python has from 3.11 on."""
    return sys.version_info >= (3, 11) and isinstance(error, BaseExceptionGroup)  # noqa: F821


def without_our_frames(error: Error) -> Error:
    """The exception, whose traceback begins in the program's own code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _frames(trace: TracebackType | None) -> Iterator[Frame]:
    """The lines of a traceback, from the first that is not ours."""
    ours = True
    for (frame, _), summary in zip(traceback.walk_tb(trace), traceback.extract_tb(trace), strict=True):
        ours = ours and summary.filename.startswith(_HERE)
        if ours:
            continue
        module = sys.modules.get(frame.f_globals.get("__name__", ""))
        is_here = module is not None and vars(module) is frame.f_globals
        yield Frame(
            (summary.filename, summary.lineno or 0, summary.name),
            summary.line if is_here else None,
            tuple(getattr(summary, name, None) for name in ("end_lineno", "colno", "end_colno")),  # type: ignore[arg-type]
        )


def _summary(frame: Frame) -> traceback.FrameSummary:
    filename, number, name = frame.place
    linecache.checkcache(filename)
    if sys.version_info < (3, 11) or frame.line is not None:
        return traceback.FrameSummary(filename, number, name, lookup_line=False, line=frame.line)
    end, first, last = frame.span
    return traceback.FrameSummary(
        filename, number, name, lookup_line=False, end_lineno=end, colno=first, end_colno=last
    )
