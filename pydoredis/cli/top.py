"""`pydoredis top`: how a pool is doing, live or once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pydoredis.cli.exits import errors_end_the_command, fail_without
from pydoredis.cli.options import Host, Json, Password, Port, Queue, Url
from pydoredis.cli.output import is_a_terminal, to_json
from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from pydoredis.snapshots import Snapshot
    from pydoredis.top.grids import Grid

MISSING = (
    "the live view needs Textual, which is not installed: pip install 'pydoredis[top]'. "
    "`pydoredis top --once` and `--json` do without."
)


def top(
    queue: Queue = None,
    once: Annotated[bool, typer.Option("--once", help="Print tables, once, and end.")] = False,
    as_json: Json = False,
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many rows of each table to print, at most.")
    ] = 50,
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=0.2, help="How often to look.")
    ] = 2.0,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """Show how queues, jobs, workers and Redis are: live, or once.

    The live view has keys to cancel a job and to have an agent leave. Where the output is no terminal, tables
    are printed once.
    """
    # Imported late: `pydoredis top --help` needs no Redis client.
    from pydoredis.telemetry import Telemetry

    with (
        errors_end_the_command(),
        Telemetry(ConnectionSettings.load(url=url, host=host, port=port, password=password)) as telemetry,
    ):
        telemetry.check()
        if as_json:
            typer.echo(to_json(telemetry.snapshot(queue).to_dict()))
        elif once or not is_a_terminal():
            _print(telemetry.snapshot(queue), rows)
        else:
            try:
                from pydoredis.top.app import Top
            except ImportError as error:
                fail_without({"textual"}, error, MISSING)
            Top(telemetry, queue, interval).run()


def _print(snapshot: Snapshot, most: int) -> None:
    from rich.console import Console

    from pydoredis.top.grids import grids, server_line

    # As wide as it takes: a terminal wraps what is too long for it, and a job's ID can be copied whole.
    console = Console(width=10_000)
    console.print(server_line(snapshot.server, snapshot.time), highlight=False, markup=False)
    for grid in grids(snapshot, most=most):
        console.print()
        if grid.rows:
            console.print(_table(grid))
            if grid.left_out:
                console.print(f"and {grid.left_out:,} more: --rows N, or --json")
        else:
            console.print(f"no {grid.title}")


def _table(grid: Grid) -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=grid.title if is_a_terminal() else None,
        title_justify="left",
        box=box.SIMPLE_HEAD if is_a_terminal() else None,
        pad_edge=False,
    )
    for name in grid.columns:
        table.add_column(name.lstrip(">"), justify="right" if name[0] == ">" else "left", overflow="fold")
    for row in grid.rows:
        # As text: a queue's name may look like Rich's markup.
        table.add_row(*map(Text, row))
    return table
