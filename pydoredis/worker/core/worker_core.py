"""The core of an agent: it is told what happened, and says what to do.

It knows no client, no clock, no pipe and no process. Its agent (`pydoredis.worker.loop`) waits for events,
brings them here with the time, carries out the instructions that come back, and sees to it that the core is
called again at `due_s` if nothing happens before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec
from pydoredis.protocol.presence import Presence
from pydoredis.settings import WorkerSettings
from pydoredis.worker.core import events
from pydoredis.worker.core.conversation import Conversation
from pydoredis.worker.core.crash_recovery import CrashRecovery
from pydoredis.worker.core.dispatch import Dispatch
from pydoredis.worker.core.executors import Executors
from pydoredis.worker.core.hiring import Hiring
from pydoredis.worker.core.instructions import Instruction, Serving, Todo
from pydoredis.worker.core.intake import Intake, Refusal
from pydoredis.worker.core.jobs import LoadedJobs
from pydoredis.worker.core.lease import Shelves, State
from pydoredis.worker.core.lending import Lending
from pydoredis.worker.core.membership import Membership
from pydoredis.worker.core.recycling import Limits
from pydoredis.worker.core.refusals import Refusals
from pydoredis.worker.core.replies import Replies
from pydoredis.worker.core.reports import Reports
from pydoredis.worker.core.requests import Requests
from pydoredis.worker.core.room import Room
from pydoredis.worker.core.shutdown import Shutdown
from pydoredis.worker.core.stopping import Stopping
from pydoredis.worker.core.supervision import START_TIMEOUT_S, Supervision
from pydoredis.worker.core.tallies import Look, Tallies


class WorkerCore:
    """Decides for one agent.

    Args:
        settings: How to behave.
        queues: The queues that it serves, in order of preference.
        presence: What it says of itself; process numbers of executors are put in here.
        refusal: Tells why a job cannot be run here, if it cannot.
        address: The server's, for messages.
        begin: Tells the time as it stands in tags of tasks.
        look: Tells what heartbeats say beside what the core knows; None: they say nothing of what is done.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        queues: Sequence[QueueKeys],
        presence: Presence,
        refusal: Refusal,
        address: str,
        begin: Callable[[], str],
        look: Look | None = None,
    ) -> None:
        self._settings = settings
        self._presence = presence
        self._depths = {key: depth for keys in queues for key, depth in keys.depths(settings.nesting).items()}
        self._instructions = do = Todo()
        limits = Limits.of(settings)
        self.shelves = Shelves()
        self.executors = Executors(settings.workers)
        self._codecs: Sequence[Codec] = presence.codecs
        self._jobs = LoadedJobs()
        self._tallies = Tallies(queues, self.executors, presence.pid, look)
        self._refusals = Refusals()
        self._hiring = Hiring(self.executors, self._codecs, do)
        self._lending = Lending(self.executors, self._hiring, do)
        self._crash_recovery = CrashRecovery(settings.max_crashes, settings.retry_pause_s)
        self._dispatch = Dispatch(self.shelves, self.executors, self._hiring, limits, do)
        known = (self.shelves, self._jobs, self._refusals)
        self._intake = Intake(presence.id, *known, self._codecs, refusal, do)
        self._room = Room(self.shelves, self._jobs, self.executors, self._hiring, self._refusals, settings)
        self._shutdown = Shutdown(settings.grace_s)
        self._supervision = Supervision(self.executors, self._hiring, limits, settings.timelimit_s, do)
        self._conversation = Conversation(address, do, settings.nesting)
        self._membership = Membership(
            *(queues, self.shelves, self._jobs, self._shutdown),
            *(self._present, self._tallies, settings.linger_s, do),
        )
        self._requests = Requests(
            *(self.shelves, self._jobs, self._room, self._intake, self._conversation),
            *(presence.host, self._next_pids, begin),
        )
        self._replies = Replies(
            *(self.shelves, self._jobs, self._intake, self._membership),
            *(self._crash_recovery, self._conversation, self._tallies, do),
        )
        self._reports = Reports(
            *(self.executors, self._hiring, self._lending, self._supervision, self._dispatch, self._room),
            *(self._intake, self._crash_recovery, self._refusals, self._shutdown, self._tallies, do),
        )
        self._stopping = Stopping(
            *(self._shutdown, self.shelves, self.executors, self._hiring, self._room, self._supervision),
            *(self._membership, self._conversation, settings.iter, do),
        )
        self._serving, self._gathering_until_s = False, float("inf")

    def _present(self) -> Presence:
        return dataclasses.replace(self._presence, pids=self.executors.pids)

    def _next_pids(self) -> tuple[int, ...]:
        """Process numbers of the executors that will probably run the next tasks, for R's `tasks()`."""
        return self.executors.next_pids or (self._presence.pid,)

    @property
    def engine_text(self) -> str:
        """What the executors say of themselves."""
        return self.executors.engine_text

    # --- in and out ---------------------------------------------------------------------------------------

    def start(self, now_s: float, *, on_demand: bool = False) -> list[Instruction]:
        """Begin, with executors for the codec that is served first; `on_demand`: when a first task comes."""
        if not on_demand:
            self._hiring.fill(self._codecs[0], now_s)
        self._gathering_until_s = now_s + START_TIMEOUT_S
        return self._settled(now_s)

    def receive(self, happened: Sequence[events.Event], now_s: float) -> list[Instruction]:
        """Take note of what happened, and decide what to do now.

        Args:
            happened: In the order in which it happened; empty: nothing but that time went by.
            now_s: The time (monotonic).
        """
        for event in happened:
            self._hear(event, now_s)
        return self._settled(now_s)

    def due_s(self, now_s: float) -> float:
        """When (monotonic) to call `receive` if nothing happens before; infinity for never."""
        delayed = min((lease.due_s for lease in self.shelves[State.DELAYED]), default=float("inf"))
        due = [self._shutdown.due_s, self._supervision.due_s(now_s), delayed]
        due += [self._dispatch.due_s(now_s), self._requests_due_s(now_s)]
        if not self._shutdown.begun:
            due += [self._hiring.due_s, self._lending.due_s()]
        if not self._serving:
            due.append(self._gathering_until_s)
        return min(due)

    def _requests_due_s(self, now_s: float) -> float:
        """When (monotonic) there will be something to ask of Redis; infinity for never."""
        if not self._conversation.may_ask(now_s):
            return self._conversation.due_s()
        due_s = self._membership.due_s()
        if self._serving and not self._shutdown.begun:
            due_s = min(due_s, self._requests.look(now_s)[0])
        return min(due_s, self._refusals.due_s)

    # --- what follows from all that is known --------------------------------------------------------------

    def _settled(self, now_s: float) -> list[Instruction]:
        """Decide what ends, what is tried again, what is handed out, and what is said to Redis."""
        self._stopping.begin_if_due(now_s)
        self._instructions += self._shutdown.proceed(now_s)
        self._supervision.proceed(now_s, stopping=self._shutdown.begun)
        if not self._shutdown.begun:
            self._hiring.proceed(now_s)
            self._lending.proceed(now_s)
        self._gather(now_s)
        # Retries before hand-out: a task that is due may run in this turn.
        for lease in self.shelves[State.DELAYED]:
            if now_s >= lease.due_s or lease.cancelled:
                lease.wait(first=not lease.cancelled)
        if self.shelves.some_cancelled:
            for lease in self.shelves[State.WAITING]:
                if lease.cancelled:
                    lease.drop()
            self.shelves.some_cancelled = any(lease.cancelled for lease in self.shelves)
        if self._shutdown.begun:
            self._dispatch.recall(now_s, all_=True)  # before it kills: what has not begun died of nothing
            self._stopping.let_go()
        else:
            self._dispatch.hand_out(now_s)
            self._dispatch.recall(now_s)
            if not self._conversation.away:
                self._dispatch.give_back(now_s)
        self._membership.leave_if_removed(now_s)
        self._ask(now_s)
        self._stopping.stop_if_done()
        done, self._instructions[:] = list(self._instructions), []
        return done

    def _gather(self, now_s: float) -> None:
        """Join the queues once all executors are ready."""
        if self._serving or self._shutdown.begun:
            return
        if now_s >= self._gathering_until_s:
            self._gathering_until_s = now_s + START_TIMEOUT_S
            for executor in self.executors:
                if not executor.ready and not executor.ending:
                    self._supervision.kill(executor, f"not ready after {START_TIMEOUT_S:.0f} s")
        if all(executor.ready for executor in self.executors):
            self._membership.join()

    def _ask(self, now_s: float) -> None:
        """Send one request with all that is to be said, if there is anything, and none is under way."""
        if not self._conversation.may_ask(now_s):
            return
        # Results before tasks: they make room. Counting out comes last, when nothing else is left.
        commands = [*self._membership.commands(now_s), *self._requests.endings(), *self._requests.questions()]
        if self._serving and not self._shutdown.begun:
            commands += self._requests.take(now_s)
        if not commands and self._shutdown.begun and not len(self.shelves):
            commands += self._membership.leave()
        if commands:
            self._conversation.ask(commands)

    # --- Redis and signals --------------------------------------------------------------------------------

    def _hear(self, event: events.Event, now_s: float) -> None:
        if self._reports.heard(event, now_s):
            return
        match event:
            case events.Replied():
                self._replies.heard(self._conversation.replied(event, now_s), now_s)
                if self._membership.joined and not self._serving:
                    self._serving = True
                    self._instructions.append(Serving())
            case events.Changed(keys):
                known = None if keys is None else {self._depths[key] for key in keys if key in self._depths}
                self._conversation.changed(known)
                self._membership.changed(keys)
            case events.Connected():
                if self._conversation.connected(event):
                    self._membership.server_changed()
            case events.Lost():
                self._conversation.lost(event)
            case events.Signalled():
                self._shutdown.signalled(now_s)
