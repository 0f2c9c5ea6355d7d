"""`pydoredis server`: an embedded Redis in the foreground."""

from __future__ import annotations

import contextlib
import queue
import shlex
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from pydoredis.cli.exits import ExitCode, errors_end_the_command, fail
from pydoredis.cli.output import to_json
from pydoredis.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from pydoredis.server import EmbeddedServer


def server(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0 for any free one.")
    ] = 6379,
    directory: Annotated[
        str | None,
        typer.Option(
            "--dir", metavar="DIRECTORY", help="Keep the data here. Without it, data is gone at the end."
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="PYDOREDIS_PASSWORD",
            metavar="TEXT",
            help="Password for clients. \\[default: a random one]",
        ),
    ] = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Let everyone on this machine in, to run code as you.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as one JSON object.")] = False,
) -> None:
    """Run a Redis server for this machine until Ctrl-C, and print its address.

    The address goes to standard output, how to use it to standard error. Other machines cannot connect.
    """
    from pydoredis.server import EmbeddedServer

    with errors_end_the_command():
        if directory == "":
            raise ConfigError("dir", directory, "the name of a directory")
        try:
            _serve(
                EmbeddedServer(port=port, directory=directory, password="" if no_password else password),
                as_json,
            )
        except StoreUnavailable as error:
            # Not with the advice that other commands give, which is to run this one.
            fail(str(error), ExitCode.REDIS_UNREACHABLE)


def _serve(embedded: EmbeddedServer, as_json: bool) -> None:
    """Run the server until SIGINT or SIGTERM.

    Raises:
        StoreUnavailable: If it does not start, or ends by itself.
    """
    # Not an Event: a handler that sets it waits for ever if it came while the main thread held its lock.
    came: queue.SimpleQueue[int] = queue.SimpleQueue()
    with embedded:
        previous = {
            number: signal.signal(number, lambda number, _: came.put(number))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            _announce(embedded, as_json)
            while True:
                with contextlib.suppress(queue.Empty):
                    came.get(timeout=0.5)
                    return
                if not embedded.running:
                    raise StoreUnavailable(embedded.safe_url, f"the server ended: {embedded.log(3)}")
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _announce(embedded: EmbeddedServer, as_json: bool) -> None:
    if as_json:
        about = {
            "url": embedded.url,
            "host": embedded.host,
            "port": embedded.port,
            "password": embedded.password,
            "version": embedded.version,
        }
        typer.echo(to_json(about))
        return
    typer.echo(embedded.url)
    secret = f', password = "{_escaped(embedded.password)}"' if embedded.password else ""
    hints = (
        f"{embedded.version} is up; Ctrl-C stops it. In other terminals:",
        f"  shell  export PYDOREDIS_URL={shlex.quote(embedded.url)}",
        f'  R      registerDoRedis("RJOBS", host = "{embedded.host}", port = {embedded.port}{secret})',
    )
    for line in hints:
        typer.echo(line, err=True)


def _escaped(text: str) -> str:
    """`text` as it stands between the quotes of an R string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
