"""The loop of an agent.

The core decides (`pydoredis.worker.core`); this is the loop around it. The loop waits for everything at once:
what executors say and print, what Redis says, what the threads for bodies' own requests say, a signal, a
point in time. It never waits for anything else, so an executor's death is seen at once even while Redis
hangs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import secrets
import selectors
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import rinterop
from pydoredis._version import __version__
from pydoredis.hosting import Here
from pydoredis.protocol.keys import QueueKeys, format_begin, tag_host
from pydoredis.protocol.messages import Codec
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings, WorkerSettings
from pydoredis.store.agent import AgentWire
from pydoredis.worker import link_events
from pydoredis.worker.core import WorkerCore, events, instructions
from pydoredis.worker.engines import selection
from pydoredis.worker.exchange import Exchange
from pydoredis.worker.executor_pool import ExecutorPool
from pydoredis.worker.inner_jobs import InnerJobs
from pydoredis.worker.launch import Launcher
from pydoredis.worker.link import Link
from pydoredis.worker.notify import Notifier
from pydoredis.worker.report import Report
from pydoredis.worker.signals import Signals, Wakeup
from pydoredis.worker.surroundings import Outlook
from pydoredis.worker.task_output import OutputLine

log = logging.getLogger(__name__)

_REPORT_PAUSE_S = 0.05


class Loop:
    """One run of an agent.

    Args:
        connection: Which Redis.
        settings: How to behave.
        queues: The queues that are served.
        served: What can be run here.
        launcher: Starts executors.
        report: Where to say that we are ready, and what bodies print.
        stack: Closes, at the end, what is opened here.
    """

    def __init__(
        self,
        connection: ConnectionSettings,
        settings: WorkerSettings,
        queues: Sequence[QueueKeys],
        served: selection.Served,
        launcher: Launcher,
        report: Report,
        stack: contextlib.ExitStack,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._report = report
        presence = Presence(
            *(secrets.token_hex(8), tag_host(platform.node()), os.getpid(), settings.workers),
            *(served.codecs, served.python, served.r_version, __version__),
        )
        wire = AgentWire(presence.id, presence.host, selection.lists(queues, served.codecs, settings.nesting))
        self._outlook = Outlook()
        self._core = WorkerCore(
            *(settings, queues, presence, served.refusal, connection.safe_url),
            lambda: format_begin(datetime.now()),
            self._outlook,
        )
        here = _teller(connection, presence.id, served.codecs, settings.nesting)
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._wakeup = stack.enter_context(contextlib.closing(Wakeup(self._selector)))
        self._signals = stack.enter_context(Signals(self._wakeup))
        self._inner_jobs = stack.enter_context(contextlib.closing(InnerJobs(connection)))
        self._pool = stack.enter_context(
            contextlib.closing(
                ExecutorPool(
                    *(self._selector, self._wakeup.wake, connection, launcher, here, self._printed),
                )
            )
        )
        self._link = stack.enter_context(
            contextlib.closing(Link(connection, wire.scripts(), self._selector, self._wakeup.wake))
        )
        self._exchange = Exchange(wire, self._link)
        self._notifier = stack.enter_context(contextlib.closing(Notifier()))
        self._stop: instructions.Stop | None = None

    @property
    def signal(self) -> int:
        """The signal that came last; 0 if none did."""
        return self._signals.last

    def run(self, version: str, *, on_demand: bool) -> instructions.Stop:
        """Wait, tell the core, carry out what it says, until it says stop."""
        self._version = version
        todo = self._core.start(time.monotonic(), on_demand=on_demand)
        while True:
            happened = self._carry_out(todo)
            if self._stop is not None:
                return self._stop
            if not happened:
                happened = self._wait()
            todo = self._core.receive(happened, time.monotonic())

    # --- waiting ------------------------------------------------------------------------------------------

    def _wait(self) -> list[events.Event]:
        """Wait until something happens, or until something is due; returns what has happened."""
        now_s = time.monotonic()
        due_s = min(self._core.due_s(now_s), self._link.due_s, self._pool.due_s, self._notifier.due_s)
        if self._report.pending:
            due_s = min(due_s, now_s + _REPORT_PAUSE_S)
        timeout_s = None if due_s == float("inf") else max(0.0, due_s - now_s)
        happened: list[events.Event] = []
        heard: list[link_events.Event] = []
        for key, mask in self._selector.select(timeout_s):
            if key.data is self._link:
                heard += self._link.ready(mask)
            elif key.data is self._wakeup:
                self._wakeup.clear()
                self._pool.look_at_all()
            else:
                self._pool.ready(key, mask)
        happened += self._signals.collect()
        happened += self._pool.collect(time.monotonic())
        heard += self._link.tick(time.monotonic())
        happened += map(self._exchange.translated, heard)
        self._report.flush()
        self._notifier.alive(time.monotonic())
        return happened

    def _printed(self, line: OutputLine) -> None:
        line.log()
        if line.source is not None:
            self._report.printed(line.source.job, line.iteration, line.text)

    # --- carrying out -------------------------------------------------------------------------------------

    def _carry_out(self, todo: Sequence[instructions.Instruction]) -> list[events.Event]:
        """Do what the core says; returns what it is to be told of that at once."""
        happened: list[events.Event] = []
        for instruction in todo:
            if isinstance(instruction, instructions.Hand):  # most are: this takes less time than a match
                self._pool.hand(instruction.executor, instruction.lease)
                continue
            match instruction:
                case instructions.Ask(number, commands):
                    self._exchange.ask(number, commands)
                case instructions.Log(level, text):
                    log.log(level, "%s", text)
                    self._outlook.logged(level, text)
                case instructions.RemoveJob(queue, job):
                    self._inner_jobs.remove(queue, job)
                case instructions.Reconnect(reason):
                    self._link.reconnect(reason)
                case instructions.Serving():
                    self._say_up()
                case instructions.Stop():
                    self._notifier.stopping()
                    self._stop = instruction
                case _:
                    event = self._pool.carry_out(instruction)
                    if event is not None:
                        happened.append(event)
        self._pool.flush()
        return happened

    def _say_up(self) -> None:
        log.info(
            "up: %d workers (%s) on queue %s, Redis %s at %s%s",
            *(self._settings.workers, self._core.engine_text, ", ".join(self._settings.queues)),
            *(self._version, self._connection.safe_url),
            "" if rinterop.accelerated else f"; serialization {rinterop.acceleration}",
        )
        self._report.ready(self._settings.workers)
        self._notifier.ready(f"{self._settings.workers} workers on queue {', '.join(self._settings.queues)}")


def _teller(
    connection: ConnectionSettings, agent: str, codecs: Sequence[Codec], nesting: int
) -> Callable[[QueueKeys], bytes]:
    """Tells executors where tasks come from, so that their bodies can run loops there."""

    def here(keys: QueueKeys) -> bytes:
        url = connection.url if nesting else ""
        return Here(url, connection.tag, keys.queue, keys.depth, nesting, agent, codecs).encode()

    return here
