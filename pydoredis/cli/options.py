"""Options that several commands have, with one meaning: where Redis is, and how to answer.

Help texts are in Rich's markup, which takes words in brackets for itself unless they are written `\\[so]`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from pydoredis.settings.setting import Setting, settings_of

F = TypeVar("F", bound=Callable[..., None])

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Redis: redis://\\[user:password@]host:6379/0, rediss:// (TLS), unix:///path?db=0, "
        "redis+sentinel://host1,host2/name-of-the-master or redis+cluster://host1,host2. "
        "\\[env: PYDOREDIS_URL, REDIS_URL] \\[default: redis://localhost:6379/0]",
    ),
]
Host = Annotated[
    str | None, typer.Option(metavar="HOST", help="Redis server: its name or address, instead of --url.")
]
Port = Annotated[
    int | None, typer.Option(metavar="PORT", help="Its port, with --host or alone. \\[default: 6379]")
]
Password = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="The server's password. Everyone on this machine can see it here; in the variable "
        "PYDOREDIS_PASSWORD they cannot.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Queue = Annotated[
    str | None, typer.Option("--queue", "-q", metavar="NAME", help="Only this queue. \\[default: all]")
]


def takes_settings(declared: type[Any]) -> Callable[[F], F]:
    """Give a command, which takes them by name, an option for each setting that a class declares.

    They stand before the options that the command has of its own.
    """

    def decorate(command: F) -> F:
        added = [_parameter(setting) for setting in settings_of(declared)]
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        hints = get_type_hints(command, include_extras=True)
        own = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
        # Typer looks at both.
        command.__signature__ = inspect.Signature([*added, *own])  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*added, *own]}
        return command

    return decorate


def _parameter(setting: Setting) -> inspect.Parameter:
    """A setting as a parameter of a command."""
    names = [setting.option, *([setting.short] if setting.short else [])]
    found = f"\\[env: {setting.variable}]" if setting.several else f"\\[default: {setting.default}]"
    kind: Any = list[setting.kind] if setting.several else setting.kind  # type: ignore[name-defined]
    option = typer.Option(*names, metavar=setting.metavar, help=f"{setting.help} {found}")
    return inspect.Parameter(
        setting.attribute,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
