"""`pydoredis worker`: serve queues."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from pydoredis.cli.exits import ExitCode, errors_end_the_command
from pydoredis.cli.options import Host, Password, Port, Url
from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import is_for_python_peers_only
from pydoredis.settings import ConnectionSettings, WorkerSettings

log = logging.getLogger(__name__)


def worker(
    queue: Annotated[
        list[str] | None,
        typer.Option(
            "--queue",
            "-q",
            metavar="NAME",
            help="Queue to serve: the name given to registerDoRedis() or register(). Once for each; a later "
            "one is served while all earlier ones are empty. \\[env: PYDOREDIS_QUEUE]",
        ),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="auto|r|cloudpickle",
            help="Which jobs to serve: those in R (r), those in Python (cloudpickle), or what this machine "
            "can run. \\[default: auto]",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-n",
            metavar="N",
            help="How many tasks to run at a time, each in a process. \\[default: one per processor]",
        ),
    ] = None,
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
    iter_: Annotated[
        int | None,
        typer.Option(
            "--iter", metavar="N", help="End after N tasks per worker process. \\[default: no limit]"
        ),
    ] = None,
    linger: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to wait for a task before looking whether the queue was removed. \\[default: 30]",
        ),
    ] = None,
    timelimit: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop a task that runs longer; 0 for no limit. \\[default: 0]"),
    ] = None,
    log_file: Annotated[
        str | None,
        typer.Option("--log", metavar="FILE", help="Append the log to FILE. \\[default: standard error]"),
    ] = None,
    loglevel: Annotated[
        str | None, typer.Option(metavar="DEBUG|INFO|WARNING|ERROR", help="What to log. \\[default: INFO]")
    ] = None,
    r_engine: Annotated[
        str | None,
        typer.Option(
            metavar="auto|rpy2|rscript",
            help="How to run R: inside a Python process (rpy2, fast), as a child of its own (rscript, any R "
            "from 3.5 on), or whichever of these works here. \\[default: auto]",
        ),
    ] = None,
    max_crashes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Give up an iteration that killed N worker processes, unless its job says otherwise. "
            "\\[default: 3]",
        ),
    ] = None,
    retry_pause: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to wait before a task is tried again that killed two worker processes. "
            "\\[default: 10]",
        ),
    ] = None,
    max_tasks: Annotated[
        int | None,
        typer.Option(metavar="N", help="Replace a worker process after N tasks. \\[default: no limit]"),
    ] = None,
    max_memory: Annotated[
        int | None,
        typer.Option(
            metavar="MB",
            help="Replace a worker process that has more memory than this after a task. "
            "\\[default: no limit]",
        ),
    ] = None,
    max_age: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Replace a worker process that is older than this after a task. \\[default: no limit]",
        ),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="At SIGTERM, how long to wait for running tasks before giving them back. \\[default: 30]",
        ),
    ] = None,
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", hidden=True, help="Stop when standard input is closed.")
    ] = False,
    on_demand: Annotated[
        bool, typer.Option("--on-demand", hidden=True, help="Start processes when the first task comes.")
    ] = False,
    report: Annotated[
        int | None, typer.Option(hidden=True, metavar="FD", help="Write events to this descriptor.")
    ] = None,
    report_output: Annotated[
        bool, typer.Option("--report-output", hidden=True, help="What bodies print, too.")
    ] = False,
) -> None:
    """Serve R's doRedis jobs (and Python jobs) from queues in Redis, beside R's own redisWorker()s.

    Ends when its queues are removed (removeQueue in R), after --iter tasks, or at SIGTERM or Ctrl-C: then it
    finishes running tasks and gives waiting ones back; a second signal gives back the running ones too.

    Options may stand in the environment too (--max-tasks as PYDOREDIS_MAX_TASKS) or in pydoredis.toml.
    """
    with errors_end_the_command():
        connection = ConnectionSettings.load(url=url, host=host, port=port, password=password)
        settings = WorkerSettings.load(
            queues=queue,
            codec=codec,
            workers=workers,
            iter=iter_,
            linger_s=linger,
            timelimit_s=timelimit,
            log=log_file,
            loglevel=loglevel,
            r_engine=r_engine,
            max_crashes=max_crashes,
            retry_pause_s=retry_pause,
            max_tasks=max_tasks,
            max_memory_mb=max_memory,
            max_age_s=max_age,
            grace_s=grace,
        )
        _set_up_log(settings)
        for name in settings.queues:
            if is_for_python_peers_only(name):
                log.warning(
                    "queue %s: the braces are for Redis Cluster and Python peers; R cannot use it", name
                )
        # Imported late: `pydoredis worker --help` needs none of it.
        from pydoredis.worker.agent import Agent
        from pydoredis.worker.report import Report

        agent = Agent(
            connection.at(*settings.queues),
            settings,
            on_demand=on_demand,
            report=Report(report, output=report_output),
        )
        if stop_with_stdin:
            threading.Thread(target=_stop_with_stdin, daemon=True).start()
        ended_by = agent.run()
    if agent.undelivered:
        sys.exit(ExitCode.FAILED)
    if ended_by == signal.SIGINT:
        sys.exit(ExitCode.INTERRUPTED)


def _stop_with_stdin() -> None:
    """Wait until whoever started us closes its end of our standard input, or ends; then stop."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _set_up_log(settings: WorkerSettings) -> None:
    """Raise ConfigError if the file cannot be written."""
    try:
        logging.basicConfig(
            filename=settings.log,
            encoding=None if settings.log is None else "utf-8",
            errors=None if settings.log is None else "backslashreplace",
            level=settings.loglevel,
            format="%(asctime)s %(levelname)s %(message)s",
            force=True,
        )
    except OSError as error:
        raise ConfigError(
            "log", str(settings.log), f"a file that can be written ({error.strerror})"
        ) from error
