"""`pydoredis jobs | tasks | workers | remove-job | remove-queue`: see what is going on, and clear it away."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pydoredis.cli.exits import ExitCode, errors_end_the_command, fail
from pydoredis.cli.options import Host, Json, Password, Port, Queue, Url
from pydoredis.cli.output import is_a_terminal, to_json
from pydoredis.errors import UnknownJob
from pydoredis.settings import ConnectionSettings

if TYPE_CHECKING:
    from pydoredis.admin import Admin
    from pydoredis.tables import Removal, Row, Table

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal to ask at.")
]
_NAMES_OF_A_JOB = "its ID, the beginning of it, or its coordinator's process number."
JobName = Annotated[str, typer.Argument(metavar="JOB", help=f"Which job: {_NAMES_OF_A_JOB}")]


def jobs(
    queue: Queue = None,
    as_json: Json = False,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """List jobs: who submitted them, and what is queued, running and done.

    DONE counts tasks that pydoredis workers answered, as far as that is known.
    """
    with _admin(url, host, port, password) as admin:
        table = admin.jobs(_known(admin, queue))
    columns = "queue job state queued running lapsed results done"
    _show(table, columns, as_json, "There are no jobs.")


def tasks(
    queue: Queue = None,
    job: Annotated[str | None, typer.Option(metavar="JOB", help=f"Only this job: {_NAMES_OF_A_JOB}")] = None,
    as_json: Json = False,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """List the tasks that workers have taken: which iterations, where, since when.

    A task of state "lapsed" has lost its worker; of one that "ended", only a mark is left for some seconds.
    """
    with _admin(url, host, port, password) as admin:
        table = admin.tasks(_known(admin, queue), job)
        if job is not None and not table and not admin.jobs_named(job, queue):
            raise UnknownJob(job)
    columns = "queue id user coordinator time iter host pid state"
    _show(table, columns, as_json, "No task is running.")


def workers(
    queue: Queue = None,
    as_json: Json = False,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """List workers: those at work one by one, idle ones as a number for each machine.

    R's own idle workers are a number without a machine, and an estimate: those that were killed stay counted.
    """
    with _admin(url, host, port, password) as admin:
        table = admin.workers(_known(admin, queue))
    columns = "queue state workers host pid job iter time tasks python r"
    _show(table, columns, as_json, "There are no workers.")


def remove_job(
    job: JobName,
    queue: Queue = None,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """Remove one job with its waiting tasks and its keys; other jobs notice nothing.

    A coordinator in R would submit the tasks again: end it first.
    """
    with _admin(url, host, port, password) as admin:
        found = admin.find_job(job, queue)
        confirm(f"Remove job {found.job} of queue {found.queue} with {found.queued} waiting tasks?", yes)
        _tell(admin.remove_job(found.job, found.queue), as_json)


def remove_queue(
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="Its name, as given to registerDoRedis().")],
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
) -> None:
    """Remove a queue with all its jobs and tasks; its workers leave when they next look."""
    with _admin(url, host, port, password) as admin:
        _known(admin, queue)
        confirm(f"Remove queue {queue} with all its jobs?", yes)
        removal = admin.remove_queue(queue)
        if not removal:
            fail(f"there is no queue {queue!r}", ExitCode.FAILED)
        _tell(removal, as_json)


@contextmanager
def _admin(url: str | None, host: str | None, port: int | None, password: str | None) -> Iterator[Admin]:
    # Imported late: `pydoredis jobs --help` needs no Redis client.
    from pydoredis.admin import Admin

    with (
        errors_end_the_command(),
        Admin(ConnectionSettings.load(url=url, host=host, port=port, password=password)) as admin,
    ):
        admin.check()
        yield admin


def _known(admin: Admin, queue: str | None) -> str | None:
    """The same queue, or none; the command ends if there is nothing of that name."""
    if queue is not None and not admin.has_queue(queue):
        fail(f"there is no queue {queue!r}", ExitCode.FAILED)
    return queue


def _show(table: Table[Row], columns: str, as_json: bool, empty: str) -> None:
    """Print a table, or all of its columns as JSON."""
    if as_json:
        typer.echo(to_json(table.to_dicts()))
        return
    if not table:
        typer.echo(empty)
        return
    # Imported late: a program that wants JSON does not wait for it.
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    # Programs get one line for the names and one for each row.
    grid = Grid(box=box.SIMPLE_HEAD if is_a_terminal() else None, pad_edge=False)
    names = columns.split()
    for name in names:
        numbers = all(isinstance(getattr(row, name), (int, type(None))) for row in table)
        grid.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in table:
        # As text: a queue's name may look like Rich's markup.
        grid.add_row(*(Text(_cell(row, name)) for name in names))
    # As wide as it takes: a terminal wraps what is too long for it, and a job's ID can be copied whole.
    Console(width=10_000).print(grid)


def _cell(row: object, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return f"≥ {value}" if name == "queued" and not getattr(row, "queued_exact", True) else str(value)


def confirm(question: str, yes: bool) -> None:
    """Ask; where nobody is to be asked, it takes `--yes`."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        fail("nothing was removed: without a terminal to ask at, say --yes", ExitCode.USAGE)
    if not typer.confirm(question, err=True):
        fail("nothing was removed", ExitCode.FAILED)


def _tell(removal: Removal, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json(asdict(removal)))
        return
    what = f"queue {removal.queue}" if removal.job is None else f"job {removal.job} of queue {removal.queue}"
    typer.echo(f"Removed {what}: {removal.tasks} waiting tasks and {removal.keys} keys.")
    if removal.running:
        typer.echo(
            f"{removal.running} tasks are running; results of R workers among them will come yet, and "
            "removing once more takes them away.",
            err=True,
        )
