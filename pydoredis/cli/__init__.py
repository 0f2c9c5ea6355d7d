"""The command line: thin commands that read settings, call one function and show what it returns."""

from __future__ import annotations

from typing import Annotated

import typer

from pydoredis._version import __version__
from pydoredis.cli import admin
from pydoredis.cli.demo import demo
from pydoredis.cli.server import server
from pydoredis.cli.worker import worker

app = typer.Typer(
    name="pydoredis",
    help="R's doRedis work queues from Python.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Redis cannot be reached, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(worker)
app.command()(server)
app.command()(demo)
for command in (admin.jobs, admin.tasks, admin.workers, admin.remove_job, admin.remove_queue):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pydoredis {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """R's doRedis work queues from Python."""


def main() -> None:
    """Entry point of the `pydoredis` command."""
    app()
