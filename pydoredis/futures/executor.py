"""`Executor`: the standard library's interface of futures, with a queue's workers behind it.

with dr.Executor() as executor:
    future = executor.submit(pow, 2, 10)
    print(future.result())
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from pydoredis.coordinator.session import Call
from pydoredis.errors import CallNotPicklable, ConfigError
from pydoredis.futures.sessions import Sessions
from pydoredis.loops.bodies import RBody, is_python, rexpr
from pydoredis.loops.exports import Exports
from pydoredis.loops.options import JobOptions, Options, check_names, resolve
from pydoredis.queue import Queue
from pydoredis.registered import Place, place_or_registered, stand_in

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, Unpack

    P = ParamSpec("P")

T = TypeVar("T")

OF_LOOPS = {
    "chunk_size": "left out: submit sends each call by itself, map has its chunksize",
    "progress": "left out: it is for loops; as_completed tells what is done",
    "reduce": "left out: it is for loops",
    "noexport": "left out: it is for loops",
    "timeout": "left out: future.result(timeout), map(..., timeout=) and wait(..., timeout=) have one",
    "worker_init": "left out: initializer and initargs are its names here",
}
"""Options of loops that executors do not have, and what to do instead."""

_numbers = itertools.count(1)


class Executor(futures.Executor):
    """Runs calls on the workers of a queue: a `concurrent.futures.Executor` for a pool on any machines.

    Like those of the standard library: futures can be waited for, cancelled until their call is sent, and
    given to `wait`, `as_completed` and `asyncio.wrap_future`; a call that raises gives its future the
    exception, with the worker's traceback. Functions and arguments are pickled by cloudpickle when they are
    submitted, so lambdas and functions of a notebook work as well. What is large and submitted again and
    again, an array or a function, is sent once and is on each machine once; each call still gets its own
    copy of an argument.

    A worker that dies is no matter: its call runs again elsewhere. Only a call that ends its worker again and
    again fails, with `WorkerCrashed`.

    Args:
        max_workers: Start so many workers on this machine, for as long as the executor is open. Without a
            queue and address they have a queue of their own. Default: none; the queue has workers.
        queue: A `Queue`, or its name. Default: the registered one.
        url: Address of Redis, if `queue` is a name; see `Queue`.
        initializer: Called once per worker process before its first call, and once more before the first call
            that has a large function or argument of its own. If it raises, all calls there do.
        initargs: Its arguments.
        options: Options of loops, as far as they make sense: `packages` (modules to be imported), `export` (a
            list of modules whose code is sent along), `timelimit` (seconds for each call), `max_crashes`,
            `retries`, `backoff`, `ftinterval`, `seed`, `convert`.

    Attributes:
        queue: Name of the queue.

    Raises:
        ConfigError: If no queue is named or registered, or an option makes no sense here.
        StoreUnavailable: If there is no Redis.
        EvaluatorError: If workers are to be started, and do not start.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        queue: Queue | str | None = None,
        url: str | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Unpack[Options],
    ) -> None:
        check_options(options, initializer)
        self._lock = threading.Lock()
        self._is_shut = False
        with contextlib.ExitStack() as opened:
            place = open_place(opened, queue, url, max_workers)
            self.queue = place.keys.queue
            self._sessions = _sessions(place, options, initializer, initargs)
            self._resources = opened.pop_all()
        # An executor that is dropped without a word ends when its calls are done.
        self._finalizer = weakref.finalize(self, _end, self._sessions, self._resources)

    def __repr__(self) -> str:
        return f"<Executor on queue {self.queue!r}{', shut down' if self._is_shut else ''}>"

    @overload
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]: ...
    @overload
    def submit(self, fn: RBody, /, *args: Any, **kwargs: Any) -> futures.Future[Any]: ...
    def submit(self, fn: Callable[..., Any] | RBody, /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """Have a function called on a worker.

        Args:
            fn: A Python callable. Or R code: an expression sees the arguments as variables, as in
                `submit(rexpr("x^2"), x=3)`; a function is called: `submit(rexpr("function(x) x^2"), 3)`.
            args: Positional arguments.
            kwargs: Named ones.

        Raises:
            RuntimeError: After `shutdown`.
            LocalProtocolError: If arguments of R code that is no function have no names.

        The future raises CallNotPicklable if the function or an argument cannot be sent.
        """
        if is_python(fn):
            return self._submit(lambda: self._sessions.call(fn, (args, kwargs)))
        return self._submit(lambda: self._sessions.evaluate(cast("RBody", fn), (args, kwargs)))

    def rexpr(self, source: str, **variables: Any) -> futures.Future[Any]:
        """Have R code evaluated, which sees these variables: `submit(rexpr(source), **variables)`."""
        return self.submit(rexpr(source), **variables)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """The values of `fn` for the elements of iterables, in their order; as `map`, on the workers.

        Args:
            fn: A Python callable.
            iterables: As many as it has arguments. They are read at once, unless there is a `buffersize`.
            timeout: Seconds, from this call on, after which the iterator raises TimeoutError.
            chunksize: How many calls are one task. From 100 µs per call on, 1 is right.
            buffersize: How many tasks may be out or done and not yet asked for; None: no limit.

        Raises:
            ConfigError: If `chunksize` or `buffersize` is no whole number from 1 on.
            RuntimeError: After `shutdown`.
        """
        for name, size in (("chunksize", chunksize), ("buffersize", buffersize)):
            if size is not None and (not isinstance(size, int) or size < 1):
                raise ConfigError(name, size, "a whole number from 1 on")
        deadline_s = None if timeout is None else time.monotonic() + timeout
        tasks = map(partial(self._submit_together, fn), _groups(zip(*iterables), chunksize))  # noqa: B905
        pending = deque(tasks if buffersize is None else itertools.islice(tasks, buffersize))
        # A function of its own: what is above has to happen now, and not when a value is asked for.
        return _values(pending, tasks if buffersize is not None else iter(()), deadline_s)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls, and let go what belongs to the executor when all calls are done.

        Args:
            wait: Whether to wait for that.
            cancel_futures: Whether calls that were not sent yet are cancelled.
        """
        with self._lock:
            self._is_shut = True
        if cancel_futures:
            for session in self._sessions.all():
                session.cancel_waiting()
        self._sessions.finish()
        if wait:
            self._finalizer()
        elif self._finalizer.alive:
            threading.Thread(target=self._finalizer, name="executor's end", daemon=False).start()

    def cancel(self) -> None:
        """End at once: calls that were not sent are cancelled, running ones are interrupted; take no more.

        The futures of calls that were sent raise JobCancelled.
        """
        with self._lock:
            self._is_shut = True
        for session in self._sessions.all():
            session.cancel("its executor was cancelled")
        self._finalizer()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        # Who presses Ctrl-C does not want to wait for what runs.
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.cancel()
        else:
            self.shutdown(wait=True)

    # --- details ------------------------------------------------------------------------------------------

    def _submit(self, begin: Callable[[], Call]) -> futures.Future[Any]:
        with self._lock:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
        try:
            return begin().future
        except CallNotPicklable as error:
            # As in the standard library: who submits many calls learns it from the one that it concerns.
            failed: futures.Future[Any] = futures.Future()
            failed.set_running_or_notify_cancel()
            failed.set_exception(error)
            return failed

    def _submit_together(self, fn: Callable[..., Any], group: list[tuple[Any, ...]]) -> futures.Future[Any]:
        return self._submit(lambda: self._sessions.calls(fn, [(args, {}) for args in group]))


def check_options(options: Mapping[str, Any], initializer: object) -> None:
    """Refuse options that make no sense where calls are submitted.

    Raises:
        ConfigError: With what to do instead.
    """
    check_names(options)
    for name in options.keys() & OF_LOOPS.keys():
        raise ConfigError(name, options[name], OF_LOOPS[name])
    if initializer is not None and not callable(initializer):
        raise ConfigError("initializer", initializer, "a function")


def open_place(
    opened: contextlib.ExitStack,
    queue: Queue | str | None,
    url: str | None,
    max_workers: int | None = None,
) -> Place:
    """Where the jobs go; what has to be closed later is in `opened`. Raises what `Executor` raises."""
    if max_workers is not None and (not isinstance(max_workers, int) or max_workers < 1):
        raise ConfigError(
            "max_workers", max_workers, "None, or a number of workers: max_workers must be greater than 0"
        )
    if isinstance(queue, Queue):
        used: Queue | None = queue
        place = queue.place
    elif queue is not None or url is not None:
        used = opened.enter_context(Queue(queue or "RJOBS", url))
        place = used.place
    elif max_workers is not None:
        used = opened.enter_context(Queue(f"executor-{os.getpid()}-{next(_numbers)}"))
        if stand_in() is None:
            opened.callback(used.remove)
        place = used.place
    else:
        used, place = None, place_or_registered(None)
    if max_workers is not None and used is not None:
        opened.enter_context(used.start_local_workers(max_workers))
    return place


def _sessions(
    place: Place,
    options: Mapping[str, Any],
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
) -> Sessions:
    chosen, modules = chosen_options(place, options)
    init = None if initializer is None else partial(initializer, *initargs)
    return Sessions(place, chosen, init=init, by_value=modules)


def chosen_options(place: Place, options: Mapping[str, Any]) -> tuple[JobOptions, list[types.ModuleType]]:
    """How jobs are run there, and the modules whose code is sent along.

    Raises:
        ConfigError: If variables are to be exported.
    """
    exports = Exports.of(options.get("export", ()))
    if exports.variables:
        raise ConfigError(
            "export", options["export"], "a list of modules: functions take along what else they use"
        )
    return resolve(options, place.options), [*exports.modules.values()]


def _end(sessions: Sessions, resources: contextlib.ExitStack) -> None:
    """Wait for all calls, then let go what was opened for them."""
    sessions.finish()
    for session in sessions.all():
        session.join()
    resources.close()


def _groups(elements: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(elements)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _values(
    pending: deque[futures.Future[Any]], more: Iterator[futures.Future[Any]], deadline_s: float | None
) -> Iterator[Any]:
    """The values in these futures, several in each; `more` gives another future for each that is done."""
    try:
        while pending:
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            outcomes = pending.popleft().result(left_s)
            pending.extend(itertools.islice(more, 1))
            outcomes.reverse()
            while outcomes:
                # No name for the value: who asked for it may be the only one that has it.
                yield _value(*outcomes.pop())
    finally:
        for future in pending:
            future.cancel()


def _value(succeeded: bool, outcome: Any) -> Any:
    if not succeeded:
        raise outcome
    return outcome
