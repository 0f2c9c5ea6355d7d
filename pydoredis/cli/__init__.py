"""The command line: thin commands that read settings, call one function and show what it returns."""

from __future__ import annotations

from typing import Annotated

import typer

from pydoredis._version import __version__
from pydoredis.cli import admin
from pydoredis.cli.acl import acl
from pydoredis.cli.dashboard import dashboard
from pydoredis.cli.demo import demo
from pydoredis.cli.doctor import doctor
from pydoredis.cli.flags import Command, Group
from pydoredis.cli.metrics import metrics
from pydoredis.cli.output import a_full_disk_ends_the_command, spell_out_what_cannot_be_printed
from pydoredis.cli.server import server
from pydoredis.cli.service import service
from pydoredis.cli.top import top
from pydoredis.cli.worker import worker

app = typer.Typer(
    name="pydoredis",
    help="R's doRedis work queues from Python.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 Redis cannot be reached, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    *(worker, server, demo),
    *(top, dashboard, metrics),
    *(admin.jobs, admin.tasks, admin.workers, admin.remove_job, admin.remove_queue),
    *(doctor, acl),
):
    app.command(cls=Command)(command)
app.add_typer(service)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pydoredis {__version__}")
        raise typer.Exit


@app.callback(cls=Group)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """R's doRedis work queues from Python."""


def main() -> None:
    """Entry point of the `pydoredis` command."""
    spell_out_what_cannot_be_printed()
    with a_full_disk_ends_the_command():
        app(prog_name="pydoredis")
