"""Carries out a job in this process: what `Driver` is where there is a pool."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from pydoredis.coordinator.driver import DriverOptions
from pydoredis.coordinator.feeding import Feed
from pydoredis.coordinator.identity import new_job_id
from pydoredis.coordinator.ledger import Ledger
from pydoredis.coordinator.window import Window
from pydoredis.errors import EvaluatorError, JobTimeout, LocalProtocolError, RemoteProtocolError
from pydoredis.iteration import streams
from pydoredis.protocol import parts, python
from pydoredis.protocol.codec import Arguments, Item, JobCodec
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.parts import Message
from pydoredis.protocol.python import Outcome
from pydoredis.protocol.signatures import digest
from pydoredis.settings import ConnectionSettings, secret
from pydoredis.store.waker import Waker
from pydoredis.worker.engines.base import Ask, TaskRefused
from pydoredis.worker.engines.program import Job, open_job, read_task, reduce_outcomes


class InProcess:
    """One job, task by task; see `pydoredis.coordinator.run.Carrier`.

    The arguments are who answers what R bodies ask of their agent, and those of `Driver`.
    """

    runs_here = True

    def __init__(
        self,
        ask: Ask,
        connection: ConnectionSettings,
        keys: QueueKeys,
        codec: JobCodec,
        feed: Feed,
        sink: Callable[[Item], None],
        options: DriverOptions,
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.codec = codec
        self.sink = sink
        self.job = ""
        self.ledger = Ledger(options.max_crashes, is_python=codec.codec == "cloudpickle")
        self.waker = Waker()
        self._options = options
        self._ask = ask
        self._feed = feed
        self._window = Window(options.chunk_size)
        self._window.workers = 1
        self._deadline_s = float("inf")
        self._engine: _Engine

    @property
    def exhausted(self) -> bool:
        """Whether all iterations have begun."""
        return self._feed.exhausted

    @property
    def finished(self) -> bool:
        """Whether every iteration has its outcome."""
        return self.exhausted and not self.ledger

    def begin(self, report: Callable[[int, int], None] | None = None) -> None:
        """Pickle the body and what belongs to it, and unpickle it again."""
        try:
            environment = self.codec.encode_environment()
            if self.codec.codec == "cloudpickle":
                self._engine = _Python(environment)
            else:
                from pydoredis.loops.local_r import EmbeddedR

                self._engine = EmbeddedR(environment.value, self._ask)
            self._engine.__enter__()
        except BaseException:
            self.waker.close()
            raise
        self.job = new_job_id()
        if self._options.timeout_s is not None:
            self._deadline_s = time.monotonic() + self._options.timeout_s

    def step(self) -> None:
        """Run a task.

        Raises:
            JobTimeout: If the loop's time is over.
            Exception: Whatever the loop's iterators or the sink raise.
        """
        total = self._options.total
        if time.monotonic() > self._deadline_s:
            state = f"{self.ledger.done} of {'?' if total is None else total} iterations are done"
            raise JobTimeout(self.job, self._options.timeout_s or 0.0, state)
        begun = self.ledger.submitted
        arguments = self._feed.take(self._window.chunk(None if total is None else total - begun), 1)
        if not arguments:
            return
        try:
            payload = self.codec.encode_task(self.job, begun + 1, arguments)
        except LocalProtocolError as error:
            self._feed.refuse(error)
            return
        self.ledger.submit(len(arguments), payload, time.monotonic())
        items = self._items(payload, range(begun + 1, begun + 1 + len(arguments)))
        self.ledger.deliver([number for number, _, _ in items])
        self._window.note(len(items), time.monotonic())
        for item in items:
            self.sink(self._settled(item, payload, alone=len(items) == 1))

    def pause(self) -> None:
        """Nothing to do: nobody else is at work here."""

    def end(self) -> None:
        """Let go of the body."""
        self._feed.close()
        self._engine.__exit__()
        self.waker.close()

    def cancel(self) -> None:
        """As `end`: nothing runs any more."""
        self.end()

    def _settled(self, item: Item, payload: bytes, *, alone: bool) -> Item:
        """The outcome that counts: an iteration of this task that failed may be run again."""
        number, ok, value = item
        failures = 0
        while not ok:
            failures += 1
            pause_s = self._options.retries.pause_s(failures, value)
            if pause_s is None:
                break
            time.sleep(pause_s)
            message = payload if alone else self.codec.single(self.job, number, payload)
            ((_, ok, value),) = self._items(message, range(number, number + 1))
        return number, ok, value

    def _items(self, payload: bytes, numbers: range) -> list[Item]:
        try:
            return [*self.codec.decode_result(self.job, self._engine.run(payload)).items]
        except TaskRefused as refused:
            error = EvaluatorError("worker", f"the task cannot be run: {refused}")
            return [(number, False, error) for number in numbers]


class _Engine(Protocol):
    """Runs the tasks of one job."""

    def __enter__(self) -> object: ...
    def __exit__(self, *_: object) -> None: ...
    def run(self, payload: bytes) -> bytes:
        """The result message of a task. Raises TaskRefused if it cannot be read."""
        ...


class _Python:
    """Python bodies: unpickled, and called as in an executor, with this process's random numbers kept."""

    def __init__(self, environment: Message) -> None:
        self._job = Job(b"".join(parts.assembled(environment)))
        self._signatures = secret.signatures()
        if self._signatures is not None:
            self._job.digest = digest(
                [memoryview(self._job.data)]
            )  # before it is opened, which lets go of it

    def __enter__(self) -> _Python:
        open_job(self._job)
        # Other code of this process runs between tasks.
        self._job.globals.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, payload: bytes) -> bytes:
        try:
            numbers, pickled, sign = read_task(payload, self._job, self._signatures)
            arguments = python.load_arguments(pickled)
        except RemoteProtocolError as error:
            raise TaskRefused(str(error)) from error
        self._job.globals.__enter__()
        try:
            with streams.preserved():
                outcomes: list[Outcome | None] = [
                    self._evaluate(number, call) for number, call in zip(numbers, arguments, strict=True)
                ]
            if self._job.program is not None and self._job.program.reduce is not None:
                reduce_outcomes(self._job.program.reduce, outcomes)
        finally:
            self._job.globals.__exit__()
        return python.encode_result(numbers, outcomes, sign)

    def _evaluate(self, number: int, call: Arguments) -> Outcome:
        program = self._job.program
        if program is None:
            assert self._job.failure is not None
            return self._job.failure
        args, kwargs = call
        try:
            streams.seed_iteration(program.seed, number)
            return ("ok", program.body(*args, **kwargs))
        except KeyboardInterrupt:  # meant for this program, and not for a worker
            raise
        except BaseException as error:
            return python.failure(error)
