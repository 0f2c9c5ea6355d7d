"""`pydoredis demo`: the main job on this machine, in a few seconds."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pydoredis.cli.exits import ExitCode, errors_end_the_command, fail
from pydoredis.cli.output import to_json
from pydoredis.errors import EvaluatorError, StoreUnavailable

if TYPE_CHECKING:
    from rich.table import Table

    from pydoredis.demo.jobs import Report
    from pydoredis.demo.pool import Pool


def demo(
    workers: Annotated[
        int, typer.Option("--workers", "-n", min=1, metavar="N", help="Worker processes.")
    ] = 2,
    replay: Annotated[
        bool, typer.Option("--replay", help="Replay a recorded R coordinator, even if doRedis is installed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON object.")] = False,
) -> None:
    """Start a Redis server and workers, estimate π as an R job and as a Python job, and end all of it.

    R's doRedis coordinates the R job where it is installed; elsewhere the bytes that it once wrote are
    replayed. Without R there is only the Python job. Nothing else on this machine is touched.
    """
    # Imported late, here and below: the other commands need none of it.
    from rich.console import Console

    from pydoredis import system
    from pydoredis.coordinator.interrupts import noticed_interrupts
    from pydoredis.demo.pool import Pool
    from pydoredis.worker.engines import choose_r_engine

    told = Console(stderr=True, highlight=False)
    with errors_end_the_command():
        system.check_runs("workers")
        try:
            engine: str | None = choose_r_engine().engine
        except EvaluatorError as error:
            engine = None
            told.print(f"No R job: {error}", markup=False)
        try:
            with noticed_interrupts() as check, Pool(workers, engine) as pool:
                r = f"R through {engine}" if engine else "no R"
                told.print(f"Up: {pool.server.version}, {workers} workers ({r}).")
                reports = []
                for report in _reports(pool, workers, engine, replay):
                    check()
                    reports.append(report)
                    told.print(f"Done: the {report.language} job, submitted by {report.coordinator}.")
        except StoreUnavailable as error:
            # Not with the advice that other commands give, which is about servers of the user's own.
            fail(str(error), ExitCode.REDIS_UNREACHABLE)
        if as_json:
            typer.echo(to_json([_plain(report) for report in reports]))
        else:
            Console(highlight=False).print(_table(reports))


def _reports(pool: Pool, workers: int, engine: str | None, replay: bool) -> Iterator[Report]:
    """Run the jobs that this machine can run."""
    from pydoredis.demo import jobs
    from rinterop.runtime import locate

    if engine is not None:
        r = locate.find_r()
        rscript = r.rscript if r else None
        version = jobs.doredis_version(rscript) if rscript and not replay else None
        if rscript and version:
            yield jobs.drive_r_job(pool, rscript, version)
        else:
            yield jobs.replay_r_job(pool)
    yield jobs.run_python_job(pool, workers)


def _table(reports: list[Report]) -> Table:
    from rich.table import Table

    from pydoredis.demo.jobs import POINTS, TASKS

    table = Table(title=f"π from {TASKS} tasks of {POINTS} random points, on {platform.node()}")
    for column in ("body", "coordinator", "estimate", "tasks/s", "process: tasks"):
        table.add_column(column, justify="right" if column in ("estimate", "tasks/s") else "left")
    for report in reports:
        where = [f"{process}: {tasks}" for process, tasks in _by_process(report)]
        rate = f"{report.tasks_per_second:,.0f}"
        table.add_row(report.language, report.coordinator, f"{report.estimate:.6f}", rate, "\n".join(where))
    return table


def _plain(report: Report) -> dict[str, object]:
    return {
        "body": report.language,
        "coordinator": report.coordinator,
        "estimate": report.estimate,
        "tasks": report.tasks,
        "seconds": report.seconds,
        "tasks_per_second": report.tasks_per_second,
        "host": platform.node(),
        "tasks_by_process": dict(_by_process(report)),
    }


def _by_process(report: Report) -> list[tuple[int, int]]:
    return sorted(report.tasks_by_process.items())
