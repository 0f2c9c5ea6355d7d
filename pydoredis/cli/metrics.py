"""`pydoredis metrics`: tells Prometheus how a pool is doing."""

from __future__ import annotations

import logging
import queue as queues
import signal
from typing import Annotated

import typer

from pydoredis.cli.exits import errors_end_the_command, fail_without
from pydoredis.cli.options import Password, Queue, Url
from pydoredis.cli.serving import look_once, say_address
from pydoredis.errors import ConfigError
from pydoredis.settings import ConnectionSettings

MISSING = "metrics need prometheus_client, which is not installed: pip install 'pydoredis[metrics]'"


def metrics(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Where to listen; 0 for any free port.")
    ] = 9480,
    bind: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="On which of this machine's addresses. Whoever reaches it can read all metrics.",
        ),
    ] = "127.0.0.1",
    queue: Queue = None,
    url: Url = None,
    password: Password = None,
) -> None:
    """Tell Prometheus how queues, workers and Redis are, until Ctrl-C.

    It looks at Redis whenever it is asked. deploy/ has a dashboard for Grafana and rules for alerts.
    """
    # Imported late: `pydoredis metrics --help` needs no Redis client.
    try:
        from pydoredis.metrics import PoolCollector, serve
    except ImportError as error:
        fail_without({"prometheus_client"}, error, MISSING)
    from pydoredis.telemetry import Telemetry

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    with (
        errors_end_the_command(),
        Telemetry(ConnectionSettings.load(url=url, password=password)) as telemetry,
    ):
        look_once(telemetry, queue)
        try:
            server, thread = serve(PoolCollector(telemetry, queue), port, bind)
        except OSError as error:
            what = f"an address and a port on which nobody listens ({error.strerror or error})"
            raise ConfigError("port", f"{bind}:{port}", what) from error
        say_address(bind, server.server_port, "/metrics")
        try:
            _wait()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _wait() -> None:
    """Until SIGINT or SIGTERM."""
    # Not an Event: a handler that sets it waits for ever if it came while the main thread held its lock.
    came: queues.SimpleQueue[int] = queues.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: came.put(number))
    came.get()
