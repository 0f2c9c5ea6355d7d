"""`foreach`: loops whose iterations run on a pool of workers.

squares = foreach(x=range(10), combine="+").dopar(lambda x: x * x)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydoredis import streams
from pydoredis.bodies import Body, binder, codec_for, takes_positional
from pydoredis.coordinator.accumulate import MISSING, CombineSpec, ErrorHandling
from pydoredis.coordinator.driver import DEFAULT_MAX_CRASHES, Driver, DriverOptions
from pydoredis.coordinator.job import Job, Stream, run_here
from pydoredis.coordinator.nesting import Loop, Nest, Plan, Source
from pydoredis.job_options import NAMES, JobOptions, resolve
from pydoredis.pool import show_output
from pydoredis.progress import reporter
from pydoredis.protocol.r import RExpression
from pydoredis.registered import Place, place_or_registered

MAX_AHEAD = 1 << 16
"""How many iterations may wait for an unfinished one before them, with `inorder`: this bounds memory."""


@dataclass(frozen=True, slots=True)
class Foreach:
    """Which iterations there are and what becomes of their values. Nothing runs before a body is given.

    Made by `foreach`; one can be used many times, as far as its iterators can.
    """

    plan: Plan
    chosen: dict[str, Any]
    place: Place | None = None

    # --- building -----------------------------------------------------------------------------------------

    def nest(self, inner: Foreach) -> Foreach:
        """This loop around another one: R's `%:%`.

        The inner loop's value is a value of this one. All iterations of the innermost loop run in parallel.
        """
        return replace(
            self,
            plan=self.plan.nest(inner.plan),
            chosen={**inner.chosen, **self.chosen},
            place=self.place or inner.place,
        )

    def when(self, predicate: Callable[..., Any]) -> Foreach:
        """Only the iterations for whose variables `predicate` is true: R's `%:% when(...)`."""
        return replace(self, plan=self.plan.when(predicate))

    # --- running ------------------------------------------------------------------------------------------

    def dopar(self, body: Body) -> Any:
        """Run the body for all iterations on the queue's workers; return the combined value.

        Ctrl-C takes back what is queued, has what runs stopped, and removes the job's keys.

        Raises:
            TaskError: If an iteration failed and `errorhandling` is "stop"; its `__cause__` is the worker's
                exception. What is left of the job is cancelled.
            LocalProtocolError: If the body cannot be called with the loop's variables, or cannot be sent.
            ConfigError: If there is no queue, or an option makes no sense.
            StoreUnavailable: If Redis cannot be reached at the start; later the job waits until it is back.
            JobCancelled: If somebody removed the job.
            JobTimeout: If it takes longer than the option `timeout` allows.
            NoWorkers: If there are workers, and none of them can ever run the body.
            Exception: Whatever the combine function raises.
        """
        options = resolve(self.chosen, place_or_registered(self.place).options)
        total = self.plan.size()
        with reporter(options.progress, total) as report:
            nest = Nest(self.plan)
            try:
                return Job(self._driver(body, nest, options), nest, total, report).run()
            finally:
                show_output()

    def submit(self, body: Body, *, keep_results: bool | None = None) -> Job:
        """Start the loop in the background; raises what `dopar` raises before the first result.

        Args:
            body: The body.
            keep_results: Whether the value of each iteration is kept, so that `Job.results` can give them. By
                default it is if the loop's value is a list of them all anyway. A loop that folds its values
                into one, say a sum, needs memory for the sum alone.
        """
        options = resolve(self.chosen, place_or_registered(self.place).options)
        nest = Nest(self.plan)
        report = options.progress if callable(options.progress) else None
        if keep_results is None:
            keep_results = all(loop.spec.combine is None for loop in self.plan.loops)
        driver = self._driver(body, nest, options)
        return Job(driver, nest, self.plan.size(), report, keep=keep_results).start()

    def stream(self, body: Body) -> Iterator[tuple[int, Any]]:
        """Index (from 0) and value of each iteration as it is there; in order, if the loop is `inorder`.

        Nothing is combined and nothing kept. A program that stops asking has the rest cancelled. Raises what
        `dopar` raises, when the value would have its turn.
        """
        options = resolve(self.chosen, place_or_registered(self.place).options)
        total = self.plan.size()
        loops = tuple(
            replace(loop, spec=CombineSpec(_forget, inorder=False, multicombine=True))
            for loop in self.plan.loops
        )
        nest = Nest(Plan(loops))
        inorder = self.plan.loops[-1].spec.inorder
        with reporter(options.progress, total) as report:
            yield from Stream(
                self._driver(body, nest, options),
                nest,
                inorder=inorder,
                keep_errors=self.plan.errorhandling == "pass",
                total=total,
                report=report,
            )

    def do(self, body: Body) -> Any:
        """Run the loop here, one iteration after the other: the same answers, without a pool (R's `%do%`).

        R bodies need R on this machine.

        Raises:
            TaskError: As `dopar`.
            EvaluatorError: If R is needed and not there.
        """
        options = resolve(self.chosen, self.place.options if self.place else {})
        total = self.plan.size()
        nest = Nest(self.plan)
        with reporter(options.progress, total) as report:
            if callable(body) and not isinstance(body, RExpression):
                return run_here(nest, _local_call(body, options), report, total)
            from pydoredis.local_r import LocalR

            with LocalR(body, options) as local:
                return run_here(nest, local.call, report, total)

    # --- details ------------------------------------------------------------------------------------------

    def _driver(self, body: Body, nest: Nest, options: JobOptions) -> Driver:
        place = place_or_registered(self.place)
        inorder = any(loop.spec.inorder for loop in self.plan.loops)
        return Driver(
            place.connection,
            place.keys,
            codec_for(body, options),
            nest,
            binder(body),
            sink=_forget,
            options=DriverOptions(
                chunk_size=None if options.chunk_size == "auto" else options.chunk_size,
                ftinterval_s=options.ftinterval,
                max_crashes=options.max_crashes or DEFAULT_MAX_CRASHES,
                total=self.plan.size(),
                max_ahead=MAX_AHEAD if inorder else None,
                timeout_s=options.timeout,
                private=place.private,
            ),
        )


def make_foreach(
    place: Place | None,
    iterators: tuple[Source, ...],
    *,
    combine: Callable[..., Any] | str | None = None,
    init: Any = MISSING,
    final: Callable[[Any], Any] | None = None,
    inorder: bool = True,
    multicombine: bool | None = None,
    maxcombine: int | None = None,
    errorhandling: ErrorHandling | None = None,
    **more: Any,
) -> Foreach:
    """What `foreach` does, for a queue or for the default one."""
    chosen = {name: more.pop(name) for name in list(more) if name in NAMES}
    spec = CombineSpec(combine, init, final, inorder, multicombine, maxcombine)
    loop = Loop(positional=iterators, named=more, spec=spec, errorhandling=errorhandling)
    JobOptions(**chosen)
    return Foreach(Plan((loop,)), chosen, place)


def foreach(*iterators: Source, **arguments: Any) -> Foreach:
    """A loop over iterables in lock-step; the shortest ends it.

    Args:
        iterators: Iterables without a name: a Python body gets their values as positional arguments.
        arguments: Iterables by name: the body gets their values as keyword arguments (R: as variables).
            And the options of R's foreach, in snake case:

            `combine`: a function, or a name: "c", "list", "rbind", "cbind", "+", "*" ...; default: a list.
            `init`, `final`, `inorder`, `multicombine`, `maxcombine`: as in R.
            `errorhandling`: "stop" (default), "remove" or "pass".

            And those of `pydoredis.job_options.JobOptions`: `chunk_size`, `ftinterval`, `progress`,
            `packages`, `export`, `noexport`, `reduce`, `timelimit`, `seed`, `worker_init` ...

    Raises:
        ConfigError: If there is nothing to iterate over, or an option makes no sense.
    """
    return make_foreach(None, iterators, **arguments)


def _forget(*_: Any) -> None:
    return None


def _local_call(body: Callable[..., Any], options: JobOptions) -> Callable[[int, Any, Any], Any]:
    """How `do` calls a Python body: seeded as a worker would."""
    positional = takes_positional(body)
    if options.worker_init is not None:
        options.worker_init()

    def call(number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with streams.preserved():
            if options.seed is not None:
                streams.seed_iteration(options.seed, number)
            return body(*(args if positional else ()), **kwargs)

    return call
