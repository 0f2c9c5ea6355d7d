"""Parsers of single settings: (name, value from anywhere, its source) -> the value, checked."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from pydoredis.errors import ConfigError

_UNLIMITED: Final = frozenset({"inf", "none", "unlimited"})


def whole(name: str, value: object, source: str, *, minimum: int, maximum: int | None = None) -> int:
    """A whole number, from a number or from text."""
    upper = "" if maximum is None else f" to {maximum}"
    allowed = f"a whole number, {minimum}{upper or ' or more'}"
    number = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            number = int(value.strip())
    if isinstance(number, bool) or not isinstance(number, int):
        raise ConfigError(name, value, allowed, source)
    if number < minimum or (maximum is not None and number > maximum):
        raise ConfigError(name, value, allowed, source)
    return number


def count(name: str, value: object, source: str) -> int:
    return whole(name, value, source, minimum=1)


def up_to(maximum: int) -> Callable[[str, object, str], int]:
    """A parser for whole numbers from 0 to `maximum`."""

    def parse(name: str, value: object, source: str) -> int:
        return whole(name, value, source, minimum=0, maximum=maximum)

    return parse


def whole_or_none(name: str, value: object, source: str) -> int | None:
    return None if value is None else whole(name, value, source, minimum=0)


def is_unlimited(value: object) -> bool:
    """None, infinity (R's default) and their names mean no limit."""
    if isinstance(value, str):
        return value.strip().lower() in _UNLIMITED
    return value is None or value == math.inf


def count_or_unlimited(name: str, value: object, source: str) -> int | None:
    return None if is_unlimited(value) else count(name, value, source)


def duration(name: str, value: object, source: str, *, zero: bool) -> float:
    """Finite seconds; 0 only if `zero`."""
    allowed = f"a number of seconds, {'0 or more' if zero else 'more than 0'}"
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        seconds = float(value)
    except (ValueError, OverflowError):
        raise ConfigError(name, value, allowed, source) from None
    if not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not zero):
        raise ConfigError(name, value, allowed, source)
    return seconds


def positive(name: str, value: object, source: str) -> float:
    return duration(name, value, source, zero=False)


def positive_or_unlimited(name: str, value: object, source: str) -> float | None:
    return None if is_unlimited(value) else positive(name, value, source)


def not_negative(name: str, value: object, source: str) -> float:
    return duration(name, value, source, zero=True)


def one_of(*words: str) -> Callable[[str, object, str], str]:
    """A parser for one of `words`, whatever their case."""
    by_lower = {word.lower(): word for word in words}

    def parse(name: str, value: object, source: str) -> str:
        word = by_lower.get(value.strip().lower()) if isinstance(value, str) else None
        if word is None:
            raise ConfigError(name, value, f"one of {', '.join(words)}", source)
        return word

    return parse


def queue_names(name: str, value: object, source: str) -> tuple[str, ...]:
    """Names from a list, or from text with commas in between. Which characters a name may have is the
    protocol's business; here it must only be there."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(name, value, "a list of queue names", source)
    if not all(isinstance(queue, str) and queue for queue in value):
        raise ConfigError(name, value, "a list of queue names, none of them empty", source)
    # A queue named twice would be counted twice in its worker count.
    return tuple(dict.fromkeys(cast("list[str]", value)))


def file(name: str, value: object, source: str) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, (str, Path)) or not str(value):
        raise ConfigError(name, value, "the name of a file", source)
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ConfigError(name, value, f"the name of a file; {error}", source) from error
