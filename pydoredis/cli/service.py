"""`pydoredis service install | uninstall | status | run`: workers as a service of this machine."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pydoredis import system
from pydoredis.cli.exits import ExitCode, errors_end_the_command
from pydoredis.cli.flags import Command, Group
from pydoredis.cli.options import Json
from pydoredis.cli.output import to_json

if TYPE_CHECKING:
    from pydoredis.service.unit import Service

service = typer.Typer(
    name="service",
    help="Run workers as a service of this machine, as doRedis's own service does.",
    cls=Group,
    no_args_is_help=True,
)

Config = Annotated[
    str,
    typer.Option(
        metavar="FILE", help="doRedis's own file, or a pydoredis.toml. \\[default: /etc/doRedis.conf]"
    ),
]
Name = Annotated[str, typer.Option(metavar="NAME", help="The unit's name. \\[default: pydoredis-worker]")]
Folder = Annotated[
    str, typer.Option("--directory", metavar="DIRECTORY", help="Where units are, if not where systemd looks.")
]
_CONFIG = "/etc/doRedis.conf"
_NAME = "pydoredis-worker"
_FOLDER = "/etc/systemd/system"


@service.command(cls=Command)
def install(
    config: Config = _CONFIG,
    name: Name = _NAME,
    user: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Whom the workers run as. \\[default: the user in the file]"),
    ] = None,
    directory: Folder = _FOLDER,
    show: Annotated[bool, typer.Option("--show", help="Print the unit, and change nothing.")] = False,
) -> None:
    """Write a systemd unit, and start it; a configuration file too, if there is none.

    The service starts with the machine, restarts what ends, and is restarted if it hangs.
    """
    with errors_end_the_command():
        unit = _unit(name, directory)
        if show:
            from pydoredis.service.conf import DEFAULT_USER, ServiceConfig

            path = Path(config)
            read = path.exists() and path.suffix != ".toml"
            chosen = user or (ServiceConfig.read(path).user if read else DEFAULT_USER)
            typer.echo(unit.text(path.absolute(), chosen), nl=False)
            return
        for line in unit.install(Path(config), user):
            typer.echo(line)


@service.command(cls=Command)
def uninstall(name: Name = _NAME, directory: Folder = _FOLDER) -> None:
    """Stop the service, and remove its unit; the configuration file stays."""
    with errors_end_the_command():
        for line in _unit(name, directory).uninstall():
            typer.echo(line)


@service.command(cls=Command)
def status(name: Name = _NAME, directory: Folder = _FOLDER, as_json: Json = False) -> None:
    """Show how the service is; ends with status 1 unless it is active."""
    with errors_end_the_command():
        said = _unit(name, directory).status()
        if as_json:
            typer.echo(to_json(said))
        else:
            for key, value in said.items():
                if value:
                    typer.echo(f"{key + ':':<10}{value}")
        if said["state"] != "active":
            sys.exit(ExitCode.FAILED)


@service.command(cls=Command)
def run(config: Config = _CONFIG) -> None:
    """Run the workers that the file asks for, until SIGTERM or Ctrl-C; what systemd calls.

    An agent for each queue; one that ends is started again. At SIGTERM running tasks finish, at a second one
    they go back to their queue.
    """
    with errors_end_the_command():
        system.check_runs("workers")
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True, stream=sys.stderr
        )
        from pydoredis.service.commands import commands_of
        from pydoredis.service.supervisor import Supervisor

        with Supervisor(commands_of(Path(config))) as supervisor:
            ended_by = supervisor.run()
    if ended_by == signal.SIGINT:
        sys.exit(ExitCode.INTERRUPTED)


def _unit(name: str, directory: str) -> Service:
    # Imported late: `pydoredis service --help` needs none of it.
    from pydoredis.service.unit import Service

    return Service(name, Path(directory))
