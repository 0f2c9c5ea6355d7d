"""`pydoredis acl`: the user of a Redis server for a role."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from pydoredis.cli.exits import errors_end_the_command
from pydoredis.errors import ConfigError
from pydoredis.settings.parsers import one_of


def acl(
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="worker|coordinator|viewer",
            help="What the user is for: agents; programs with loops; looking (jobs, tasks, workers).",
        ),
    ],
    queue: Annotated[
        list[str], typer.Option("--queue", "-q", metavar="NAME", help="Its queue; once for each.")
    ],
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="The user's name. \\[default: role and queue]")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Keys of values that users share (redisSet, redis_set), as 'shared:*'; once for each.",
        ),
    ] = None,
    r_peers: Annotated[
        bool,
        typer.Option(
            "--r-peers",
            help="R's own workers and coordinators use it, too. They know the user `default` alone: "
            "--user default.",
        ),
    ] = False,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin", help="Read the password from standard input; a terminal does not show it."
        ),
    ] = False,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Make a password up, and show it on standard error.")
    ] = False,
    file: Annotated[
        bool, typer.Option("--file", help="Print a line for redis.conf or a file of users (aclfile).")
    ] = False,
) -> None:
    """Print the ACL SETUSER line of a user who may do what a role needs on a queue, and no more.

    Paste it into redis-cli. The password stands in it as its SHA-256; without one, as a placeholder that
    Redis refuses. Nothing is sent to a server.
    """
    with errors_end_the_command():
        from pydoredis import acl as rules

        named = one_of("worker", "coordinator", "viewer")("role", role, "")
        hashed = None
        if password_stdin and new_password:
            raise ConfigError("new-password", "on", "off where --password-stdin is given")
        if password_stdin:
            hashed = rules.hash_password(_read_password())
        elif new_password:
            password = secrets.token_urlsafe(32)
            typer.echo(f"The password, for PYDOREDIS_PASSWORD: {password}", err=True)
            hashed = rules.hash_password(password)
        made = rules.acl_rules(
            named,  # type: ignore[arg-type]
            queue,
            password_hash=hashed,
            values=values or (),
            r_peers=r_peers,
        )
        name = user or "-".join((named, *queue)).replace(" ", "_")
        typer.echo((rules.acl_file_line if file else rules.acl_command)(name, made))


def _read_password() -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")
