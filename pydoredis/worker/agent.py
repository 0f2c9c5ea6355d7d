"""The agent: one process per machine that takes tasks, marks them, has them run, publishes results.

One loop waits for everything at once: answers and output of executors, a task from the waiter's thread, a
signal, a point in time. Each turn ends with at most two round trips to Redis: one that publishes all results
and takes new tasks, one that marks what was taken. When Redis is away the loop goes on without it: executors
finish what they have, and their results wait here. Whatever the agent holds stands in exactly one of the
collections of `Hands` until Redis has confirmed that it may be forgotten.
"""

from __future__ import annotations

import itertools
import logging
import os
import platform
import secrets
import time
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

import rinterop
from pydoredis._version import __version__
from pydoredis.errors import EvaluatorError, RemoteProtocolError, StoreUnavailable
from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys, TaskTag, check_queue_name, format_begin, tag_host
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings, WorkerSettings
from pydoredis.store import Claim, End, Lists, WorkerStore
from pydoredis.worker import requests, served
from pydoredis.worker.crew import START_TIMEOUT_S, Crew, Event
from pydoredis.worker.deaths import Deaths
from pydoredis.worker.executor_handle import ExecutorHandle
from pydoredis.worker.frames import (
    Failed,
    FrameError,
    FromExecutor,
    Interrupted,
    Partial,
    Ready,
    Request,
    Result,
)
from pydoredis.worker.hands import Arrived, Hands
from pydoredis.worker.jobs import Jobs
from pydoredis.worker.liveness import Heart
from pydoredis.worker.outage import Server
from pydoredis.worker.pace import Pace, Refusals
from pydoredis.worker.report import Report
from pydoredis.worker.run import Run
from pydoredis.worker.shutdown import Shutdown
from pydoredis.worker.task_output import OutputLine
from pydoredis.worker.waiter import Waiter
from pydoredis.worker.wear import Limits

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
        self._on_demand = on_demand
        self._report = report or Report()
        self._settings = settings
        self._connection = connection
        self._queues = [QueueKeys(check_queue_name(name)) for name in settings.queues]
        self._id = secrets.token_hex(8)
        self._host = tag_host(platform.node())
        self._store = WorkerStore(connection)
        self._jobs = Jobs()
        self._run_numbers = itertools.count(1)
        self._hands = Hands()
        self._pace = Pace()  # of the job that was served last
        self._tasks_left = None if settings.iter is None else settings.iter * settings.workers
        self._server = Server(self._store, self._queues, settings.workers)
        self._refusals = Refusals()
        self._refused_jobs: deque[str] = deque(maxlen=100)
        self._shutdown = Shutdown(settings.grace_s)
        self._deaths = Deaths(
            self._store, self._hands, settings.max_crashes, settings.retry_pause_s, self._let_go
        )
        self._served: served.Served
        self._lists: Lists
        self._crew: Crew
        self._heart: Heart
        self._waiter: Waiter

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
        version = self._store.check()
        self._served = served.choose(settings.codec, settings.r_engine)
        self._crew = Crew(self._served, settings.workers, Limits.of(settings), settings.threads_each)
        self._heart = Heart(self._connection, self._queues, self._presence, self._crew.wake)
        self._lists = served.lists(self._queues, self._crew.codecs)
        self._waiter = Waiter(self._connection, self._lists, settings.linger_s, self._crew.wake)
        try:
            with self._shutdown.at_signals(self._crew.wake_fd):
                self._gather()
                if not self._shutdown.begun:
                    self._server.join()
                    self._heart.announce()
                    log.info(
                        "up: %d workers (%s) on queue %s, Redis %s at %s%s",
                        *(settings.workers, self._crew.engine_text, ", ".join(settings.queues)),
                        *(version, self._connection.safe_url),
                        "" if rinterop.accelerated else f"; serialization {rinterop.acceleration}",
                    )
                    self._report.ready(settings.workers)
                    try:
                        self._serve()
                    except EvaluatorError:
                        self._shutdown.hurry()
                        self._serve()
                        raise
                    finally:
                        self._farewell()
        finally:
            self._crew.close()
            self._heart.close()
            self._waiter.close()
            self._store.close()
        return self._shutdown.signal

    def _presence(self) -> Presence:
        """What is said of this agent in Redis. Called by the liveness thread."""
        return Presence(
            *(self._id, self._host, os.getpid(), self._settings.workers, self._served.codecs),
            *(self._served.python, self._served.r_version, __version__, self._crew.pids),
        )

    # --- the loop -----------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Start the executors and wait until all are ready."""
        if self._on_demand:
            return
        self._crew.fill()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._shutdown.begun and not self._crew.all_ready():
            self._hear(self._crew.events(1.0))
            if time.monotonic() > deadline_s:
                self._crew.kill_unready(f"not ready after {START_TIMEOUT_S:.0f} s")

    def _serve(self) -> None:
        self._crew.wake()  # nothing happens by itself until the first turn has asked for a task
        while not self._finished():
            self._hear(self._crew.events(self._timeout()))
            self._forget_jobs()
            self._report.flush()
            self._enforce_limits(time.monotonic())
            self._server.use(self._turn, staying=not self._shutdown.begun)
            self._dispatch()

    def _hear(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event.what, OutputLine):
                self._printed(event.what)
            elif event.what == "died":
                self._died(event.child)
            else:
                try:
                    self._answered(event.child, event.what)
                except FrameError as error:
                    self._crew.dismiss_for(event.child, error)

    def _forget_jobs(self) -> None:
        """Let go of the environments of jobs that are over, here and in the executors."""
        for key in self._heart.jobs_over():
            job = self._jobs.forget(key)
            if job is not None:
                self._crew.forget(job.number)

    def _printed(self, line: OutputLine) -> None:
        line.log()
        if line.source is not None:
            self._report.printed(line.source.job, line.iteration, line.text)

    def _timeout(self) -> float | None:
        """Seconds until the clock, and nothing else, gives a reason to act; None for never."""
        now_s = time.monotonic()
        due = [self._server.due_s, self._shutdown.due_s]
        if not self._server.away:
            due += [self._refusals.due_s, self._hands.next_retry_s()]
            if self._hands.outbox:
                due.append(now_s)
        if self._report.pending:
            due.append(now_s + 0.05)
        if self._shutdown.begun and self._waiter.waiting:
            due.append(now_s + 0.05)
        due.append(self._crew.next_overdue_s(self._settings.timelimit_s))
        next_s = min(due)
        return None if next_s == float("inf") else max(0.0, next_s - now_s)

    def _finished(self) -> bool:
        """Whether a shutdown, for whatever reason, is complete."""
        if not self._shutdown.begun:
            return False
        if self._shutdown.cold and self._server.away:
            self.undelivered = self._in_hand()
            log.error("Redis is away: %d tasks and results could not be brought back", self.undelivered)
            return True
        return not self._waiter.waiting and not self._in_hand()

    def _in_hand(self) -> int:
        return self._crew.runs + len(self._hands)

    def _enforce_limits(self, now_s: float) -> None:
        """End what has run too long: tasks, and a shutdown's patience."""
        self._crew.kill_overdue(now_s, self._settings.timelimit_s)
        self._hands.backlog.extendleft(reversed(self._crew.stop_cancelled(now_s)))
        if not self._shutdown.begun:
            self._crew.retire_worn(now_s)
        if self._tasks_left is not None and self._tasks_left <= 0 and not self._shutdown.begun:
            log.info("done: %s tasks per worker", self._settings.iter)
            self._shutdown.begin()
        self._shutdown.proceed(now_s)
        if self._shutdown.cold:
            self._crew.kill_all("shutdown")

    # --- one turn with Redis ------------------------------------------------------------------------------

    def _turn(self, now_s: float) -> None:
        """Bring Redis up to date with what happened, and take what there is room for."""
        if self._shutdown.begun:
            self._waiter.interrupt(self._store)
        waited = self._waiter.collect()
        came = waited is not None and waited.task is not None
        if waited is not None and waited.task is not None:
            self._hands.taken.append(waited.task)
        self._accept()
        # A lone task runs before we look for more of them.
        self._dispatch()
        self._deaths.settle(now_s, stopping=self._shutdown.begun)
        self._hands.retry(now_s)
        self._drop_cancelled()
        if self._shutdown.begun:
            self._let_go(self._hands.give_up(), "head")
        resting = self._refusals.resting(now_s)
        room = 0 if self._waiter.waiting or resting else self._room()
        if self._hands.outbox or (came and room):
            refused = self._exchange(room)
            self._accept()
            if refused:
                raise StoreUnavailable(self._connection.safe_url, "it does not take results just now")
        if waited is not None and waited.error is not None and not self._server.away:
            raise waited.error
        if waited is not None and not came and not self._in_hand() and not self._shutdown.begun:
            self._look_whether_queues_live()
        if not resting and self._room() and not self._hands.backlog and self._crew.idle:
            self._waiter.ask()

    def _exchange(self, room: int) -> bool:
        """Publish what is finished and take up to `room` tasks; whether Redis refused some of the results."""
        results = self._hands.outbox
        outcomes, taken = self._store.exchange(results, self._lists, room)
        self._hands.taken.extend(taken)
        self._hands.outbox = []
        for (claim, result), outcome in zip(results, outcomes, strict=True):
            if outcome is None:
                self._hands.outbox.append((claim, result))
                continue
            self._heart.remove(claim)
            if outcome == "published":
                log.debug("published task %s of job %s", claim.block, claim.task.job)
            else:
                log.info("result of task %s of job %s dropped: %s", claim.block, claim.task.job, outcome)
        return bool(self._hands.outbox)

    def _accept(self) -> None:
        """Mark the tasks that were taken, before anything else happens to them (promise 4)."""
        claims = self._hands.unmarked
        while self._hands.taken:
            keys, payload = self._hands.taken[0]
            try:
                task = wire.decode_task(payload)
            except RemoteProtocolError as error:
                self._store.bury(keys, payload)
                log.warning("queue %s: %s; kept in %r", keys.queue, error, keys.dead)
            else:
                if task.iterations:
                    claims.append(Claim(keys, task, self._tag(task.first, task.last)))
                else:
                    # What a coordinator submits that found a start key gone: an answer would count as a
                    # result of its job (protocol 12.6).
                    log.warning("queue %s: dropped a task without iterations of job %s", keys.queue, task.job)
            self._hands.taken.popleft()
        if claims:
            marked = self._store.mark(claims, self._jobs.known())
            self._hands.unmarked = []
            for claim, crashed in zip(claims, marked.crashed, strict=True):
                self._heart.add(claim)
                self._hands.arrived.append(Arrived(claim, marked.environments[claim.env], crashed))
        while self._hands.arrived:
            self._sort(self._hands.arrived[0])
            self._hands.arrived.popleft()

    def _sort(self, arrived: Arrived) -> None:
        """Decide what is to be done with a task that was marked."""
        claim = arrived.claim
        if arrived.environment is None:
            self._store.drop([claim])
            self._heart.remove(claim)
            log.info("dropped task %s of job %s: the job is over", claim.block, claim.task.job)
            return
        if claim.task.problem:
            log.warning("queue %s, job %s: %s", claim.keys.queue, claim.task.job, claim.task.problem)
            self._fail(claim, f"the task cannot be run: {claim.task.problem}")
            return
        try:
            job = self._jobs.find(claim.env, arrived.environment)
        except RemoteProtocolError as error:
            log.warning("queue %s, job %s: %s", claim.keys.queue, claim.task.job, error)
            self._fail(claim, f"the job environment cannot be used: {error}")
            return
        claim.ours = job.environment.ours
        run = Run(next(self._run_numbers), claim, job)
        refusal = self._served.refusal(job.environment)
        if refusal:
            self._refuse(run, refusal)
        elif not (arrived.crashed and self._deaths.condemned(run)):
            self._hands.backlog.append(run)

    def _tag(self, first: int, last: int) -> str:
        """Name the executor that will probably run the task: R's `tasks()` shows its process number."""
        return str(TaskTag(first, last, self._host, self._crew.next_pid(), format_begin(datetime.now())))

    def _refuse(self, run: Run, reason: str) -> None:
        """Put back a task that cannot be run here, and leave it to others for a while."""
        if run.job.environment.codec == "cloudpickle" and "cloudpickle" not in self._served.codecs:
            self._let_go([run], "python", level=logging.DEBUG)  # whence it will not come back to us
            return
        self._let_go([run], "tail", level=logging.DEBUG)
        self._refusals.note(run.claim.task.job, run.claim.block, time.monotonic())
        job = run.claim.task.job
        if job not in self._refused_jobs:
            self._refused_jobs.append(job)
            log.warning("tasks of job %s go back: %s", job, reason)

    def _let_go(self, runs: Sequence[Run], end: End, *, level: int = logging.INFO) -> None:
        """Put tasks back on their queues; until that is done, they are kept."""
        try:
            outcomes = self._store.give_back([run.claim for run in runs], end)
        except StoreUnavailable:
            self._hands.backlog.extend(runs)
            raise
        for run, outcome in zip(runs, outcomes, strict=True):
            self._heart.remove(run.claim)
            log.log(level, "task %s of job %s: %s", run.claim.block, run.claim.task.job, outcome)

    def _fail(self, claim: Claim, message: str) -> None:
        """Answer a task with an error for each of its iterations."""
        self._hands.outbox.append((claim, wire.encode_failures(claim.task.iterations, message)))

    def _look_whether_queues_live(self) -> None:
        # A restart may fall between two waits, so that neither of them fails.
        if not self._store.any_live(self._queues) and not self._server.is_another():
            log.info("the queue was removed: leaving")
            self._shutdown.begin()

    def _drop_cancelled(self) -> None:
        """Let go of tasks whose job was cancelled."""
        self._hands.withdraw_cancelled()
        if self._hands.cancelled:
            self._store.drop(self._hands.cancelled)
            for claim in self._hands.cancelled:
                self._heart.remove(claim)
                log.info("dropped task %s of job %s: cancelled", claim.block, claim.task.job)
            self._hands.cancelled = []

    # --- executors ----------------------------------------------------------------------------------------

    def _died(self, child: ExecutorHandle) -> None:
        """An executor is gone: replace it, and see to the tasks in its pipe."""
        cause = child.obituary()
        wanted = child.runs[0].claim.cancelled if child.runs else child.retired_for
        if wanted:
            log.info("executor %d ended: %s", child.pid, cause)
        elif not self._shutdown.begun:
            log.warning("executor %d %s", child.pid, cause)
        self._deaths.note(child, cause, blame=not self._shutdown.cold)
        self._crew.replace(child, hire=not self._shutdown.begun)

    def _answered(self, child: ExecutorHandle, answer: FromExecutor) -> None:
        match answer:
            case Ready():
                self._crew.greet(child, answer)
            case Request():
                child.answer(answer.number, *requests.serve(self._store, answer))
            case Partial():
                child.keep(answer)
            case Interrupted():
                self._hands.interrupted(child.dropped(answer), answer.index)
            case Result() | Failed():
                self._finished_task(child.finish(answer.task), answer)

    def _finished_task(self, run: Run, answer: Result | Failed) -> None:
        claim = run.claim
        if isinstance(answer, Result):
            run.job.pace.note(answer.seconds)
            self._hands.outbox.append((claim, answer.message))
        else:
            log.warning("task %s of job %s cannot be run: %s", claim.block, claim.task.job, answer.reason)
            self._fail(claim, f"the task cannot be run: {answer.reason}")
        self._pace = run.job.pace
        self._refusals.served()
        if self._tasks_left is not None:
            self._tasks_left -= 1

    def _room(self) -> int:
        """How many more tasks to take: one for each free executor, and some ahead while tasks are short."""
        if self._shutdown.begun:
            return 0
        waiting = self._in_hand() - len(self._hands.outbox)
        room = self._crew.size * (self._pace.in_pipe() + self._pace.in_agent()) - waiting
        if self._tasks_left is not None:
            room = min(room, self._tasks_left - waiting)
        return max(0, room)

    def _dispatch(self) -> None:
        """Hand waiting tasks to executors; during a shutdown none is begun any more."""
        if not self._shutdown.begun and self._hands.backlog:
            self._hands.backlog = self._crew.assign(self._hands.backlog)

    # --- the end ------------------------------------------------------------------------------------------

    def _farewell(self) -> None:
        try:
            self._store.leave(self._queues, self._settings.workers)
        except StoreUnavailable as error:
            log.warning("the worker counts of the queues are too high now: %s", error)
        log.info("left queue %s", ", ".join(self._settings.queues))
