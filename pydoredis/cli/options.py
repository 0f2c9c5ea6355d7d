"""Options that several commands have, with one meaning: where Redis is, and how to answer.

Help texts are in Rich's markup, which takes words in brackets for itself unless they are written `\\[so]`.
"""

from __future__ import annotations

from typing import Annotated

import typer

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
