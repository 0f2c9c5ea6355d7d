"""Options that several commands have, with one meaning: where Redis is, and how to answer."""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Redis: redis://\\[user:password@]host:6379/0, rediss:// (TLS) or unix:///path?db=0. "
        "\\[env: PYDOREDIS_URL, REDIS_URL] \\[default: redis://localhost:6379/0]",
    ),
]
Host = Annotated[str | None, typer.Option(metavar="HOST", help="Redis server, instead of --url.")]
Port = Annotated[int | None, typer.Option(metavar="PORT", help="Its port. \\[default: 6379]")]
Password = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Its password. Everyone on this machine can see it here: PYDOREDIS_PASSWORD hides it.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Queue = Annotated[
    str | None, typer.Option("--queue", "-q", metavar="NAME", help="Only this queue. \\[default: all]")
]
