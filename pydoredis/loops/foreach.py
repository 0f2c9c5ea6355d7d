"""`foreach`: loops whose iterations run on a pool of workers.

squares = foreach(x=range(10), combine="+").dopar(lambda x: x * x)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

from pydoredis.combine.accumulate import CombineSpec
from pydoredis.coordinator import aio
from pydoredis.coordinator.driver import Driver, DriverOptions
from pydoredis.coordinator.feeding import feed_of
from pydoredis.coordinator.job import Job
from pydoredis.coordinator.ledger import DEFAULT_MAX_CRASHES
from pydoredis.coordinator.run import Carrier, without_traceback
from pydoredis.coordinator.stream import Stream
from pydoredis.errors import DoRedisError
from pydoredis.loops.bodies import Body, RBody, binder, check_variables, codec_for, is_python
from pydoredis.loops.exports import Exports
from pydoredis.loops.here import Local, run_here
from pydoredis.loops.local_python import LocalPython
from pydoredis.loops.nesting import Nest, Plan
from pydoredis.loops.options import JobOptions, resolve
from pydoredis.pool import show_output
from pydoredis.registered import Place, place_or_registered, stand_in

MAX_AHEAD = 1 << 16
"""How many iterations may wait for an unfinished one before them, with `inorder`: this bounds memory."""


T = TypeVar("T")
V = TypeVar("V")
R = TypeVar("R")
OuterV = TypeVar("OuterV")
OuterR = TypeVar("OuterR")
V_contra = TypeVar("V_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Listed:
    """For type checkers: a loop whose value is the list of the body's values."""


class Combined(Generic[R_co]):
    """For type checkers: a loop whose value is of type `R_co`."""


@dataclass(frozen=True, slots=True)
class Foreach(Generic[V_contra, R_co]):
    """Which iterations there are and what becomes of their values. Nothing runs before a body is given.

    Made by `foreach`; one can be used many times, as far as its iterators can. Its types are that of the
    values that it combines, and `Combined` with the type of what they become, or `Listed`.
    """

    plan: Plan
    chosen: tuple[Mapping[str, Any], ...]  # of this loop and those in it
    place: Place | None = None

    # --- building -----------------------------------------------------------------------------------------

    @overload
    def nest(
        self: Foreach[Any, Listed], inner: Foreach[Any, Listed]
    ) -> Foreach[Any, Combined[list[list[Any]]]]: ...
    @overload
    def nest(self: Foreach[Any, Listed], inner: Foreach[V, Combined[R]]) -> Foreach[V, Combined[list[R]]]: ...
    @overload
    def nest(
        self: Foreach[OuterV, Combined[OuterR]], inner: Foreach[Any, Listed]
    ) -> Foreach[Any, Combined[OuterR]]: ...
    @overload
    def nest(
        self: Foreach[OuterV, Combined[OuterR]], inner: Foreach[V, Combined[OuterV]]
    ) -> Foreach[V, Combined[OuterR]]: ...
    def nest(self, inner: Foreach[Any, Any]) -> Foreach[Any, Any]:
        """This loop around another one: R's `%:%`.

        The inner loop's value is a value of this one. All iterations of the innermost loop run in parallel.
        """
        return Foreach(self.plan.nest(inner.plan), (*self.chosen, *inner.chosen), self.place or inner.place)

    def when(self, predicate: Callable[..., Any]) -> Foreach[V_contra, R_co]:
        """Only the iterations for whose variables `predicate` is true: R's `%:% when(...)`."""
        return replace(self, plan=self.plan.when(predicate))

    # --- running ------------------------------------------------------------------------------------------

    @overload
    def dopar(self: Foreach[Any, Listed], body: Callable[..., T]) -> list[T]: ...
    @overload
    def dopar(self: Foreach[Any, Listed], body: RBody) -> list[Any]: ...
    @overload
    def dopar(self: Foreach[V, Combined[R]], body: Callable[..., V] | RBody) -> R: ...
    def dopar(self, body: Body) -> Any:
        """Run the body for all iterations on the queue's workers; return the combined value.

        Ctrl-C takes back what is queued, has what runs stopped, and removes the job's keys.

        Raises:
            TaskError: If an iteration failed and `errorhandling` is "stop"; its `__cause__` is the worker's
                exception. What is left of the job is cancelled.
            LocalProtocolError: If the body cannot be called with the loop's variables, or cannot be sent.
            ConfigError: If there is no queue, an option makes no sense, or R code lacks a variable's name.
            StoreUnavailable: If Redis cannot be reached at the start; later the job waits until it is back.
            JobCancelled: If somebody removed the job.
            JobTimeout: If it takes longer than the option `timeout` allows.
            NoWorkers: If there are workers, and none of them can ever run the body.
            Exception: Whatever the combine function raises.
        """
        options = self._options(body, place_or_registered(self.place))
        try:
            return self._job(body, options, keep=False).run()
        except DoRedisError as error:
            raise without_traceback(error) from error.__cause__
        finally:
            show_output()

    @overload
    def submit(
        self: Foreach[Any, Listed], body: Callable[..., T], *, keep_results: bool | None = None
    ) -> Job[T, list[T]]: ...
    @overload
    def submit(
        self: Foreach[Any, Listed], body: RBody, *, keep_results: bool | None = None
    ) -> Job[Any, list[Any]]: ...
    @overload
    def submit(
        self: Foreach[V, Combined[R]], body: Callable[..., V] | RBody, *, keep_results: bool | None = None
    ) -> Job[V, R]: ...
    def submit(self, body: Body, *, keep_results: bool | None = None) -> Job[Any, Any]:
        """Start the loop in the background; raises what `dopar` raises before the first result.

        Args:
            body: The body.
            keep_results: Whether the value of each iteration is kept, so that `Job.results` can give them. By
                default it is if the loop's value is a list of them all anyway. A loop that folds its values
                into one, say a sum, needs memory for the sum alone.
        """
        options = self._options(body, place_or_registered(self.place))
        return self._job(body, options, keep=keep_results).start()

    @overload
    def stream(self, body: Callable[..., T]) -> Iterator[tuple[int, T]]: ...
    @overload
    def stream(self, body: RBody) -> Iterator[tuple[int, Any]]: ...
    def stream(self, body: Body) -> Iterator[tuple[int, Any]]:
        """Number (from 1) and value of each iteration as it is there; in order, if the loop is `inorder`.

        Nothing is combined and nothing kept. A program that stops asking has the rest cancelled. Raises what
        `dopar` raises, when the value would have its turn.
        """
        return iter(self._stream(body, self._options(body, place_or_registered(self.place))))

    @overload
    def do(self: Foreach[Any, Listed], body: Callable[..., T]) -> list[T]: ...
    @overload
    def do(self: Foreach[Any, Listed], body: RBody) -> list[Any]: ...
    @overload
    def do(self: Foreach[V, Combined[R]], body: Callable[..., V] | RBody) -> R: ...
    def do(self, body: Body) -> Any:
        """Run the loop here, one iteration after the other: the same answers, without a pool (R's `%do%`).

        R bodies need R on this machine.

        Raises:
            TaskError: As `dopar`.
            EvaluatorError: If R is needed and not there.
        """
        options = self._options(body, self.place)
        nest = Nest(self.plan)
        try:
            with _local(body, options, self.plan) as local:
                return run_here(nest, binder(body), local, self.plan.size(), options.progress, options.retry)
        except DoRedisError as error:
            raise without_traceback(error) from error.__cause__

    # --- running, in an event loop ------------------------------------------------------------------------

    @overload
    def adopar(self: Foreach[Any, Listed], body: Callable[..., T]) -> Coroutine[Any, Any, list[T]]: ...
    @overload
    def adopar(self: Foreach[Any, Listed], body: RBody) -> Coroutine[Any, Any, list[Any]]: ...
    @overload
    def adopar(self: Foreach[V, Combined[R]], body: Callable[..., V] | RBody) -> Coroutine[Any, Any, R]: ...
    def adopar(self, body: Body) -> Coroutine[Any, Any, Any]:
        """`await loop.adopar(body)` is `dopar` in an event loop of asyncio, which goes on meanwhile.

        The job has a thread of its own: there iterators are read, and combine functions and `progress` are
        called, with the context variables of the caller. A task that is cancelled cancels the job, and goes
        on when that is done. Raises what `dopar` raises; what is wrong with options, at once.
        """
        return self._adopar(body, self._options(body, place_or_registered(self.place)))

    async def _adopar(self, body: Body, options: JobOptions) -> Any:
        return await self._job(body, options, keep=False).start_soon(show_output)

    @overload
    def asubmit(
        self: Foreach[Any, Listed], body: Callable[..., T], *, keep_results: bool | None = None
    ) -> Coroutine[Any, Any, Job[T, list[T]]]: ...
    @overload
    def asubmit(
        self: Foreach[Any, Listed], body: RBody, *, keep_results: bool | None = None
    ) -> Coroutine[Any, Any, Job[Any, list[Any]]]: ...
    @overload
    def asubmit(
        self: Foreach[V, Combined[R]], body: Callable[..., V] | RBody, *, keep_results: bool | None = None
    ) -> Coroutine[Any, Any, Job[V, R]]: ...
    def asubmit(self, body: Body, *, keep_results: bool | None = None) -> Coroutine[Any, Any, Job[Any, Any]]:
        """`job = await loop.asubmit(body)`: `submit` for event loops. Then `await job` gives its value.

        A task that is cancelled while the job is being submitted cancels it. Raises what `submit` raises.
        """
        return self._asubmit(body, self._options(body, place_or_registered(self.place)), keep_results)

    async def _asubmit(self, body: Body, options: JobOptions, keep: bool | None) -> Job[Any, Any]:
        job = self._job(body, options, keep=keep).start_soon()
        await aio.begun(job)
        return job

    @overload
    def astream(self, body: Callable[..., T]) -> AsyncGenerator[tuple[int, T], None]: ...
    @overload
    def astream(self, body: RBody) -> AsyncGenerator[tuple[int, Any], None]: ...
    def astream(self, body: Body) -> AsyncGenerator[tuple[int, Any], None]:
        """`async for number, value in loop.astream(body)`: `stream` for event loops.

        While values wait to be taken, no more is sent to workers and no more is collected. The job is
        cancelled when the generator is closed: by `aclose`, by the end of `async with
        contextlib.aclosing(...)`, when the task is cancelled, or when nothing refers to it any more. Raises
        what `stream` raises.
        """
        return self._astream(body, self._options(body, place_or_registered(self.place)))

    async def _astream(self, body: Body, options: JobOptions) -> AsyncGenerator[tuple[int, Any], None]:
        async with aclosing(aiter(self._stream(body, options))) as items:
            async for item in items:
                yield item

    # --- details ------------------------------------------------------------------------------------------

    def _job(self, body: Body, options: JobOptions, *, keep: bool | None) -> Job[Any, Any]:
        if keep is None:
            keep = all(loop.spec.combine is None for loop in self.plan.loops)
        nest = Nest(self.plan)
        return Job(self._driver(body, nest, options), nest, self.plan.size(), options.progress, keep=keep)

    def _stream(self, body: Body, options: JobOptions) -> Stream:
        loops = tuple(
            replace(loop, spec=CombineSpec(_forget, inorder=False, multicombine=True))
            for loop in self.plan.loops
        )
        nest = Nest(Plan(loops))
        return Stream(
            self._driver(body, nest, options),
            nest,
            inorder=self.plan.loops[-1].spec.inorder,
            keep_errors=self.plan.errorhandling == "pass",
            total=self.plan.size(),
            progress=options.progress,
        )

    def _options(self, body: Body, place: Place | None) -> JobOptions:
        """What this loop is run with; its exports have values."""
        options = resolve(*self.chosen, place.options if place else {})
        exports = Exports.of(options.export).resolved(body)
        check_variables(body, self.plan, exports)
        return replace(options, export=exports)

    def _driver(self, body: Body, nest: Nest, options: JobOptions) -> Carrier:
        place = place_or_registered(self.place)
        instead = stand_in()
        make = Driver if instead is None else instead.carrier
        feed = feed_of(nest, binder(body), in_place=instead is not None)
        inorder = any(loop.spec.inorder for loop in self.plan.loops)
        return make(
            place.connection,
            place.keys,
            codec_for(body, options),
            feed,
            sink=_forget,
            options=DriverOptions(
                chunk_size=None if options.chunk_size == "auto" else options.chunk_size,
                ftinterval_s=options.ftinterval,
                max_crashes=options.max_crashes or DEFAULT_MAX_CRASHES,
                total=self.plan.size(),
                max_ahead=MAX_AHEAD if inorder else None,
                timeout_s=options.timeout,
                private=place.private,
                retries=options.retry,
            ),
        )


def _forget(*_: Any) -> None:
    return None


def _local(body: Body, options: JobOptions, plan: Plan) -> AbstractContextManager[Local]:
    """What runs the body in this process."""
    if is_python(body):
        return LocalPython(body, options, alone=plan.is_at_hand() and not plan.combines_by_function())
    from pydoredis.loops.local_r import LocalR

    return LocalR(body, options)
