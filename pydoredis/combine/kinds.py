"""What is said of values that cannot be bound together."""

from __future__ import annotations

from collections.abc import Iterable


def full_name(value: object) -> str:
    """The type of a value, with the package it is from."""
    package = type(value).__module__.partition(".")[0]
    name = type(value).__qualname__
    return name if package == "builtins" else f"{package}.{name}"


def of_one_length(name: str, lengths: Iterable[int]) -> None:
    """Check what `rbind` or `cbind` is to put together.

    Raises:
        ValueError: If lengths differ.
    """
    if len(found := sorted(set(lengths))) > 1:
        what = "rows" if name == "rbind" else "columns"
        raise ValueError(f'combine="{name}": {what} have different lengths: {", ".join(map(str, found))}')
