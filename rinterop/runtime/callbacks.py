"""Python functions that R calls: what ask_python() in session.R asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from rinterop.runtime.held import FUNCTION, OBJECT, Held
from rinterop.runtime.interrupts import Interrupts
from rinterop.serialize.reader import loads
from rinterop.serialize.writer import dumps
from rinterop.values import NULL, Character, List, RValue, character, list_, named_list, names


class Callbacks:
    """The functions by number, and the way into them.

    Attributes:
        held: What R holds.
        provide: The functions that session.R needs.
    """

    def __init__(self, to_value: Callable[[object], RValue], interrupts: Interrupts) -> None:
        self.held = Held()
        self.provide = {"call_python": self._call, "retain": self._retain, "release": self._release}
        self._to_value = to_value
        self._interrupts = interrupts
        self._escaping: BaseException | None = None
        self._answered: RValue = NULL

    def function(self, function: Callable[..., Any], from_value: Callable[[RValue], Any]) -> RValue:
        """A value that is a function in R; arguments are passed through `from_value`."""
        return self.held.name(FUNCTION, (function, from_value))

    def end(self) -> BaseException | None:
        """An evaluation is over: what exception left it, if R did not have its say about one."""
        self._answered = NULL
        escaping, self._escaping = self._escaping, None
        return escaping

    def _call(self, request: bytes) -> bytes:
        """Answer `list(id, arguments)` with `list(value)`, an error's facts, or `list()`: leave R.

        Must not raise: R lies between here and whoever could catch it.
        """
        was_with_r = False
        try:
            was_with_r = self._interrupts.to_python()
            answer = self._answer(request)
        except BaseException as exc:
            self._escaping = exc
            answer = dumps(list_())
        if was_with_r:
            self._interrupts.to_r()
        return answer

    def _answer(self, request: bytes) -> bytes:
        # What is answered is kept until R has read it: a name in it may be all that holds an object.
        try:
            number, arguments = cast("List", loads(request))
            function, from_value = cast("Any", self.held[str(cast("Character", number)[0])])
            plain, named = _arguments(cast("List", arguments), from_value)
            self._answered = list_(self._to_value(function(*plain, **named)))
            return dumps(self._answered, form="native")
        except Exception as exc:
            # Not in a variable: the exception's traceback has this frame, and would keep itself alive.
            self._answered = self._facts(exc)
            return dumps(self._answered, form="native")

    def _facts(self, exc: Exception) -> RValue:
        return named_list(
            message=character(_printable(exc)),
            type=character(type(exc).__name__),
            exception=self.held.name(OBJECT, exc),
        )

    def _retain(self, number: bytes) -> bytes:
        return b"\1" if self.held.retain(number.decode()) else b""

    def _release(self, number: bytes) -> bytes:
        self.held.release(number.decode())
        return b""


def _arguments(arguments: List, from_value: Callable[[RValue], Any]) -> tuple[list[Any], dict[str, Any]]:
    """Those without names, and those with."""
    plain: list[Any] = []
    named: dict[str, Any] = {}
    for tag, argument in zip(names(arguments) or ("",) * len(arguments), arguments, strict=True):
        if isinstance(tag, str) and tag:
            named[str(tag)] = from_value(argument)
        else:
            plain.append(from_value(argument))
    return plain, named


def _printable(exc: BaseException) -> str:
    """`ValueError: text`, without what R's strings cannot hold."""
    try:
        text = f"{type(exc).__name__}: {exc}"
    except Exception:  # the user's __str__
        text = type(exc).__name__
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
