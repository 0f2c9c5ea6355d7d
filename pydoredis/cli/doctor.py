"""`pydoredis doctor`: what is wrong with a pool, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pydoredis.cli.admin import Yes, confirm
from pydoredis.cli.exits import ExitCode, errors_end_the_command
from pydoredis.cli.options import Host, Json, Password, Port, Queue, Url
from pydoredis.cli.output import is_a_terminal, to_json
from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from pydoredis.doctor.examination import Report

_STYLES: Final = {
    "error": "bold red",
    "warning": "yellow",
    "unknown": "magenta",
    "note": "cyan",
    "ok": "green",
}


def doctor(
    queue: Queue = None,
    as_json: Json = False,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean", help="Show what jobs and agents that are gone have left, then ask, and remove it."
        ),
    ] = False,
    yes: Yes = False,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """Examine the server, this machine and the queues: what is wrong, and what to do about it.

    Looks twice at what changes, a second apart. Ends with status 1 if there is an error among the findings;
    warnings are none.
    """
    with errors_end_the_command():
        connection = ConnectionSettings.load(url=url, host=host, port=port, password=password)
        # Imported late: `pydoredis doctor --help` needs no Redis client.
        from pydoredis.doctor import examination
        from pydoredis.doctor.findings import has_errors

        report = examination.examine(connection, queue)
        if not as_json:
            _show(report)
        removed = None
        if clean:
            if report.orphans and not yes:
                for orphan in report.orphans:
                    typer.echo(f"Left over: {orphan}", err=True)
                confirm(f"Remove what is left over ({len(report.orphans)})?", yes)
            removed = examination.clean(connection, report.orphans)
        if as_json:
            document = asdict(report) | ({} if removed is None else {"removed": [*map(asdict, removed)]})
            typer.echo(to_json(document))
        elif removed is not None:
            for orphan in removed:
                typer.echo(f"Removed: {orphan}")
            if not removed:
                typer.echo("There was nothing to remove.")
        if has_errors(report.findings):
            sys.exit(ExitCode.FAILED)


def _show(report: Report) -> None:
    """Print the findings, the worst ones last, where they are seen."""
    # Imported late: a program that wants JSON does not wait for it.
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if is_a_terminal() else 10_000, soft_wrap=not is_a_terminal())
    order = [*reversed(_STYLES)]
    for finding in sorted(report.findings, key=lambda finding: order.index(finding.severity)):
        where = "" if finding.queue is None else f"queue {finding.queue}: "
        line = Text.assemble(
            (f"{finding.severity:<8}", _STYLES[finding.severity]),
            (f"{finding.check:<12}", "bold"),
            f"{where}{finding.finding}",
        )
        console.print(line)
        if finding.advice and finding.severity != "ok":
            console.print(Text(f"{'':20}{finding.advice}", style="dim"))
