"""Batches of joblib's calls on their way: each is one call of a session that has its large arrays."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from pydoredis import pickles
from pydoredis.coordinator.session import Call, Over
from pydoredis.errors import CallNotPicklable, DoRedisError
from pydoredis.futures.jobs import AnySession, Init, begin_session, calling_codec
from pydoredis.iteration.batches import BatchCaller, Sent
from pydoredis.joblib.sharing import Digests, Sharing
from pydoredis.loops.options import JobOptions
from pydoredis.pickles import culprit
from pydoredis.registered import Place

Item: TypeAlias = "tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]"
"""One of joblib's calls: function, positional and named arguments."""


class Batches:
    """The batches of one `Parallel`. For the threads of joblib, one at a time.

    Args:
        place: Where their jobs go.
        options: How they are run.
        init: Called once per worker process, before its first batch.
        by_value: Modules whose code is sent along.
        least_bytes: From which size on arrays are large; None: none is.
        read_only: Whether large arrays cannot be written to.
        most: How many batches may be at workers at a time; None: no limit.
    """

    def __init__(
        self,
        place: Place,
        options: JobOptions,
        *,
        init: Init = None,
        by_value: Sequence[ModuleType] = (),
        least_bytes: int | None = None,
        read_only: bool = True,
        most: int | None = None,
    ) -> None:
        self._place = place
        self._options = options
        self._init = init
        self._by_value = by_value
        self._least_bytes = least_bytes
        self._read_only = read_only
        self._sharing = Sharing()
        self.new_call()
        self._session: AnySession | None = None
        self._sessions: weakref.WeakSet[AnySession] = weakref.WeakSet()
        self._gate = _Gate(most)

    def new_call(self) -> None:
        """`Parallel` is called again: arrays may have changed since."""
        self._digests = Digests()
        self._contiguous: dict[int, tuple[weakref.ref[Any], np.ndarray[Any, Any]]] = {}

    def submit(self, batch: Any, callback: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Have a batch called; its future has the values of its calls.

        Whatever is wrong with the batch is told by the future: joblib waits for that, in any thread.

        Args:
            batch: joblib's `BatchedCalls`.
            callback: Called with the future when it is done.
        """
        try:
            call, session, is_lasting = self._prepare(batch)
        except Exception as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            if callback is not None:
                callback(failed)
            return failed
        if callback is not None:
            call.future.add_done_callback(callback)
        self._gate.add(call, session)
        if not is_lasting:
            call.future.add_done_callback(lambda _: session.finish())
        return call.future

    def cancel(self) -> None:
        """Cancel batches that were not sent, and interrupt those that run."""
        self._gate.cancel()
        for session in list(self._sessions):
            session.cancel("joblib has aborted its calls")
        self._session = None
        self._sharing = Sharing()

    def finish(self) -> None:
        """Let the sessions end when all batches are done."""
        for session in list(self._sessions):
            session.finish()
        self._session = None
        self._sharing = Sharing()

    # --- details ------------------------------------------------------------------------------------------

    def _prepare(self, batch: Any) -> tuple[Call, AnySession, bool]:
        pickled, buffers = self._packed(batch)
        plan = self._sharing.plan(buffers)
        arguments = (
            pickled,
            [one if isinstance(one, int) else Sent(one) for one in plan.places],
        )
        call = Call([(arguments, {})])
        if not plan.is_lasting:
            return call, self._begin(plan.environment or ()), False
        if plan.environment is not None or self._session is None:
            if self._session is not None:
                self._session.finish()
            self._session = self._begin(self._sharing.shared)
        return call, self._session, True

    def _packed(self, batch: Any) -> tuple[bytes, list[tuple[bytes, memoryview]]]:
        """A batch, and its large buffers with what stands for them."""
        if self._least_bytes is None:
            return self._pickled(batch, None), []
        batch.items = [self._with_buffers(*item) for item in batch.items]
        owners = {_span(array): array for array in _arrays(batch.items) if array.nbytes >= self._least_bytes}
        beside = pickles.Beside(self._least_bytes)
        pickled = self._pickled(batch, beside)
        buffers = []
        for buffer in beside.buffers:
            span = _span(np.frombuffer(buffer, np.uint8))
            buffers.append((self._digests.of(span, buffer, owners.get(span, buffer.obj)), buffer))
        return pickled, buffers

    def _pickled(self, batch: Any, beside: pickles.Beside | None) -> bytes:
        try:
            with pickles.by_value(self._by_value):
                return pickles.dump(batch, beside)
        except Exception as error:
            blamed = culprit.among(_named(batch.items), error)
            raise CallNotPicklable(f"a call cannot be sent: {blamed}") from error

    def _with_buffers(self, function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Item:
        """A call whose large arrays are such that pickle gives their memory away."""
        named = {name: self._with_buffer(value) for name, value in kwargs.items()}
        return function, tuple(map(self._with_buffer, args)), named

    def _with_buffer(self, value: Any) -> Any:
        """An array in pieces as one in one piece, made once per array; a mapped file as what is in it."""
        if type(value) is np.memmap:
            return self._with_buffer(np.asarray(value))
        if type(value) is not np.ndarray or value.dtype.hasobject or value.nbytes < (self._least_bytes or 0):
            return value
        if value.flags.forc:
            return value
        known = self._contiguous
        found = known.get(id(value))
        if found is None or found[0]() is not value:
            key = id(value)
            found = weakref.ref(value, lambda _: known.pop(key, None)), np.ascontiguousarray(value)
            known[key] = found
        return found[1]

    def _begin(self, shared: Sequence[memoryview]) -> AnySession:
        caller = BatchCaller([*map(Sent, shared)], self._read_only)
        codec = calling_codec(caller, self._options, self._init, self._by_value)
        session = begin_session(self._place, self._options, codec)
        self._sessions.add(session)
        return session


class _Gate:
    """Lets so many batches out at a time. For any thread.

    Args:
        most: How many; None: all.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._out = 0
        self._waiting: deque[tuple[Call, AnySession]] = deque()

    def add(self, call: Call, session: AnySession) -> None:
        """Give a call to its session, now or when others are done."""
        if self._most is None:
            _give(call, session)
            return
        with self._lock:
            self._waiting.append((call, session))
        self._open()

    def cancel(self) -> None:
        """Cancel those that wait."""
        with self._lock:
            waiting = [*self._waiting]
            self._waiting.clear()
        for call, _ in waiting:
            call.future.cancel()

    def _open(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self._out >= (self._most or 0):
                    return
                call, session = self._waiting.popleft()
                self._out += 1
            call.future.add_done_callback(self._back)
            _give(call, session)

    def _back(self, _: Future[Any]) -> None:
        with self._lock:
            self._out -= 1
        self._open()


def _give(call: Call, session: AnySession) -> None:
    try:
        session.add(call)
    except Over:
        error = DoRedisError("the job of these calls has ended: it was removed, or Redis was lost")
        if call.future.set_running_or_notify_cancel():
            call.fail(error)


def _arrays(items: Sequence[Item]) -> Iterator[np.ndarray[Any, Any]]:
    """Arrays among the arguments of calls."""
    for _, args, kwargs in items:
        for value in (*args, *kwargs.values()):
            if isinstance(value, np.ndarray):
                yield value


def _span(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Address and size of its memory."""
    return array.__array_interface__["data"][0], array.nbytes


def _named(items: Sequence[Item]) -> dict[str, Any]:
    """All parts of calls, by names that a user knows them by."""
    parts: dict[str, Any] = {}
    for function, args, kwargs in items:
        parts.setdefault("the function", function)
        for name, value in [*enumerate(args, 1), *kwargs.items()]:
            shown = f"argument {name}" if isinstance(name, int) else str(name)
            parts.setdefault(shown, value)
    return parts
