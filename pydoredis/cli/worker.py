"""`pydoredis worker`: serve queues."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Annotated, Any

import typer

from pydoredis import system
from pydoredis.cli.exits import ExitCode, errors_end_the_command
from pydoredis.cli.options import Host, Password, Port, Url, takes_settings
from pydoredis.errors import ConfigError
from pydoredis.protocol.keys import is_for_python_peers_only
from pydoredis.settings import ConnectionSettings, WorkerSettings

log = logging.getLogger(__name__)


@takes_settings(WorkerSettings)
def worker(
    url: Url = None,
    host: Host = None,
    port: Port = None,
    password: Password = None,
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
    **given: Any,
) -> None:
    """Serve R's doRedis jobs (and Python jobs) from queues in Redis, beside R's own redisWorker()s.

    Ends when its queues are removed (removeQueue in R), after --iter tasks, or at SIGTERM or Ctrl-C: then it
    finishes running tasks and gives waiting ones back; a second signal gives back the running ones too.

    Options may stand in the environment too (--max-tasks as PYDOREDIS_MAX_TASKS) or in pydoredis.toml.
    """
    with errors_end_the_command():
        system.check_runs("workers")
        connection = ConnectionSettings.load(url=url, host=host, port=port, password=password)
        settings = WorkerSettings.load(**given)
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
