"""One declaration for each setting: option, environment variable, key in the file, help and documentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

PREFIX: Final = "PYDOREDIS_"
"""Of environment variables."""

Parser = Callable[[str, object, str], object]
"""Takes a setting's name, its value and where that was found; gives the value, checked."""

_METADATA: Final = "pydoredis setting"
_UNITS: Final = ("_s", "_mb")


@dataclass(frozen=True, slots=True)
class Setting:
    """What there is to say of a setting.

    Attributes:
        parse: Checks a value from anywhere.
        kind: What the command line takes: text, a whole number, a number.
        metavar: Stands for the value in the help.
        help: What it means: in the help and in the documentation.
        default: The default, in words. `settings_of` fills it in where the value says it.
        details: What the documentation says besides.
        short: A short option, as ``-n``.
        word: The name of the option and of the variable, where it is not the key in the file.
        several: Whether the option may be given again and again.
        key: The key in the file. `settings_of` fills it in.
        attribute: The attribute that holds the value, with its unit. `settings_of` fills it in.
    """

    parse: Parser
    kind: type[str] | type[int] | type[float]
    metavar: str
    help: str
    default: str = ""
    details: str = ""
    short: str = ""
    word: str = ""
    several: bool = False
    key: str = ""
    attribute: str = ""

    @property
    def option(self) -> str:
        """The option's name, as ``--max-tasks``."""
        return "--" + (self.word or self.key).replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable, as ``PYDOREDIS_MAX_TASKS``."""
        return PREFIX + (self.word or self.key).upper()


def declare(
    parse: Parser,
    kind: type[str] | type[int] | type[float],
    metavar: str,
    help: str,
    **others: Any,
) -> Mapping[str, object]:
    """The metadata of a dataclass's field that is a setting; the arguments are those of `Setting`."""
    return MappingProxyType({_METADATA: Setting(parse, kind, metavar, help, **others)})


def settings_of(cls: type[Any]) -> tuple[Setting, ...]:
    """The settings that a dataclass declares, in its order."""
    found = []
    for field in dataclasses.fields(cls):
        if isinstance(setting := field.metadata.get(_METADATA), Setting):
            key = field.name
            for unit in _UNITS:
                key = key.removesuffix(unit)
            default = setting.default or _in_words(field.default)
            found.append(dataclasses.replace(setting, key=key, attribute=field.name, default=default))
    return tuple(found)


def _in_words(default: object) -> str:
    if default is None:
        return "no limit"
    return f"{default:g}" if isinstance(default, (int, float)) else str(default)
