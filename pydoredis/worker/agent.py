"""The agent: one process per machine that takes tasks, has them run, and publishes results.

It starts executors before it loads the rest of itself (`pydoredis.worker.loop`): on a second processor they
load what they need at the same time.
"""

from __future__ import annotations

import contextlib
import logging

from pydoredis.errors import EvaluatorError
from pydoredis.protocol.keys import QueueKeys, check_queue_name
from pydoredis.settings import ConnectionSettings, WorkerSettings, cpu_count
from pydoredis.worker.engines.selection import Selection
from pydoredis.worker.launch import Launcher
from pydoredis.worker.report import Report

log = logging.getLogger(__name__)


class Agent:
    """Serves queues until told to stop, until they are gone, or until it has done `iter` tasks per worker.

    Attributes:
        undelivered: After `run`: how many tasks and results could not be brought back to a lost Redis.

    Args:
        connection: Which Redis.
        settings: How to behave.
        on_demand: Whether executors are started when a first task comes, rather than at once.
        report: Where to say that we are ready, and what bodies print.

    Raises:
        ConfigError: If a queue's name would break R peers.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        settings: WorkerSettings,
        *,
        on_demand: bool = False,
        report: Report | None = None,
    ) -> None:
        self.undelivered = 0
        self._connection = connection
        self._settings = settings
        self._on_demand = on_demand
        self._report = report or Report()
        self._queues = [QueueKeys(check_queue_name(name)) for name in settings.queues]

    def run(self) -> int:
        """Work until there is a reason to stop.

        Returns:
            The signal that ended it, or 0.

        Raises:
            StoreUnavailable: If Redis cannot be reached at the start.
            ConfigError: If Redis does not let us in, or this machine cannot run what was asked for.
            EvaluatorError: If executors cannot be started.
        """
        settings = self._settings
        with contextlib.ExitStack() as stack:
            selection = stack.enter_context(contextlib.closing(Selection(settings.codec, settings.r_engine)))
            likely = selection.likely
            launcher = stack.enter_context(
                contextlib.closing(Launcher(likely.r_engine, settings.threads_each))
            )
            if not self._on_demand:
                # One processor is for this process.
                launcher.start_ahead(likely.codecs[0], min(settings.workers, max(1, cpu_count() - 1)))
            from pydoredis.settings import secret
            from pydoredis.store import Store
            from pydoredis.worker.loop import Loop

            with contextlib.closing(Store(self._connection)) as store:
                version = store.check()
            served = selection.result()
            if secret.signatures() is not None and "r" in served.codecs:
                log.warning(
                    "only Python jobs are signed: whoever can write to the queue can have R code run here "
                    "(--codec cloudpickle serves none)"
                )
            launcher.change_r_engine(served.r_engine)
            loop = Loop(self._connection, settings, self._queues, served, launcher, self._report, stack)
            stop = loop.run(version, on_demand=self._on_demand)
        self.undelivered = stop.undelivered
        if stop.failure:
            assert stop.codec is not None
            raise EvaluatorError(stop.codec, stop.failure, stop.status, stop.output)
        log.info("left queue %s", ", ".join(self._settings.queues))
        return loop.signal
