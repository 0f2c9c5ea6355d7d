"""`pydoredis dashboard`: what `pydoredis top` shows, as a web page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from pydoredis.cli.exits import errors_end_the_command, fail_without
from pydoredis.cli.options import Password, Queue, Url
from pydoredis.cli.serving import look_once, say_address
from pydoredis.errors import ConfigError
from pydoredis.settings import ConnectionSettings

MISSING = (
    "the dashboard needs Starlette and uvicorn, which are not installed: pip install 'pydoredis[dashboard]'. "
    "`pydoredis top --once` and `--json` do without."
)


def dashboard(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Where to listen; 0 for any free port.")
    ] = 8780,
    bind: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="On which of this machine's addresses. Where others reach it, a token is needed.",
        ),
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds the token that browsers have to give. \\[env: PYDOREDIS_DASHBOARD_TOKEN, which is "
            "the token itself]",
        ),
    ] = None,
    allow_actions: Annotated[
        bool,
        typer.Option("--allow-actions", help="Let who may look cancel jobs and have agents leave, too."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which browsers call it, beside localhost, addresses and this machine's name, as "
            "that of a proxy. May be given more than once.",
        ),
    ] = None,
    queue: Queue = None,
    url: Url = None,
    password: Password = None,
) -> None:
    """Show how queues, jobs, workers and Redis are in a web page, until Ctrl-C.

    It looks at Redis once a second at most, and only while a browser shows the page.
    """
    # Imported late: `pydoredis dashboard --help` needs neither a Redis client nor a web server.
    try:
        from pydoredis.dashboard.access import (
            TOKEN_VARIABLE,
            Access,
            is_loopback,
            names_of_this_machine,
            read_token,
        )
        from pydoredis.dashboard.serve import listen, serve
    except ImportError as error:
        fail_without({"starlette", "uvicorn", "anyio", "h11"}, error, MISSING)
    from pydoredis.telemetry import Telemetry

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    with (
        errors_end_the_command(),
        Telemetry(ConnectionSettings.load(url=url, password=password)) as telemetry,
    ):
        token = read_token(token_file)
        with listen(bind, port) as listener:
            alone = is_loopback(listener.getsockname()[0])
            if token is None and not alone:
                wanted = f"one that others do not reach, or have a token: --token-file, or {TOKEN_VARIABLE}"
                raise ConfigError("bind", bind, wanted)
            look_once(telemetry, queue)
            # Who comes over loopback says localhost; to find out how others call us may take long.
            names = {"localhost", bind, *(allow_host or ()), *(() if alone else names_of_this_machine())}
            access = Access(token, actions=allow_actions, hosts=names)
            port = listener.getsockname()[1]
            serve(telemetry, queue, access, listener, lambda: say_address(bind, port, "/"))
