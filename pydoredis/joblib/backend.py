"""joblib's backend `pydoredis`: `Parallel` on the workers of a queue.

joblib asks a backend for little: how many calls may run at once, and to take batches of them, each with a
function to be called when it is done. joblib decides how many calls are a batch, and when the next is due.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import TYPE_CHECKING, Any

from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

from pydoredis.errors import ConfigError, JobCancelled, StoreUnavailable
from pydoredis.futures.executor import check_options, chosen_options, open_place
from pydoredis.joblib.batches import Batches
from pydoredis.queue import Queue
from pydoredis.registered import stand_in
from pydoredis.store.admin import AdminStore

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pydoredis.loops.options import Options

LEAST_JOBS = 2
"""What `n_jobs=-1` is at least: with 1, joblib would make the calls in the program. And workers may come."""

RECOUNT_S = 1.0
"""How often workers are counted while calls run."""

BATCHES_PER_WORKER = 2
"""How many are out for each, as joblib has it at the start (`pre_dispatch`)."""

OF_OTHERS = frozenset({"temp_folder", "verbose", "context"})
"""What joblib tells every backend, and is for processes and files on this machine."""

WRITABLE_MODES = ("r+", "w+")


class Backend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """Runs joblib's calls on the workers of a queue.

    `with joblib.parallel_config("pydoredis", queue="RJOBS"):` makes one and hands the arguments over.

    `n_jobs=-1`, the default, means all workers of the queue, of which there may be more or fewer later;
    -2 all but one. Another number is a limit to how many batches are at workers at a time. 1 runs the calls
    here, as everywhere in joblib.

    Arrays of `max_nbytes` (1 MB) and more are large: they are sent once for each call of `Parallel`, however
    many calls have them as an argument, and are on each machine once. They cannot be written to, as with
    joblib's own workers, unless `mmap_mode` is "c" or None: then each batch has its own copy.

    `Parallel` within a call runs its calls one after the other.

    Args:
        queue: A `Queue`, or its name. Default: the registered one.
        url: Address of Redis, if `queue` is a name; see `Queue`.
        initializer: Called once per worker process before its first batch. If it raises, all batches do.
        initargs: Its arguments.
        nesting_level: See joblib.
        inner_max_num_threads: Refused: `pydoredis worker --threads` says it.
        options: As those of `pydoredis.Executor`.

    Raises:
        ConfigError: If no queue is named or registered, or an option makes no sense here.
        StoreUnavailable: If there is no Redis.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(
        self,
        queue: Queue | str | None = None,
        url: str | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self.parallel: Any = None
        self._batches: Batches | None = None
        self._counted, self._counted_s = 0, 0.0
        self._original: Backend | None = None
        self._last = threading.local()  # of the batch whose result this thread takes in
        check_options(options, initializer)
        self._given = {**options}
        self._init = None if initializer is None else partial(initializer, *initargs)
        with contextlib.ExitStack() as opened:
            self._place = open_place(opened, queue, url)
            chosen_options(self._place, options)
            self._finalizer = weakref.finalize(self, opened.pop_all().close)

    # --- what joblib asks ---------------------------------------------------------------------------------

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls may run at once; see `Backend`.

        Raises:
            ValueError: If `n_jobs` is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None or stand_in() is not None:
            return 1  # calls are made in the program
        if n_jobs > 0:
            return n_jobs
        return max(self._count_workers() + 1 + n_jobs, LEAST_JOBS)

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        prefer: object = None,
        require: object = None,
        *,
        max_nbytes: int | None = 1 << 20,
        mmap_mode: str | None = "r",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **options: Any,
    ) -> int:
        """Get ready for calls of a `Parallel`; returns how many may run at once.

        Options are those of the backend, and win over them.

        Raises:
            ConfigError: If workers were to change arrays here, or an option makes no sense.
            FallbackToBackend: To have another backend called: a single call runs here, and a `Parallel`
                beside one that still runs has a backend of its own.
        """
        jobs = self.effective_n_jobs(n_jobs)
        if jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if mmap_mode in WRITABLE_MODES:
            allowed = '"r", or "c" or None for copies: workers elsewhere cannot change arrays here'
            raise ConfigError("mmap_mode", mmap_mode, allowed)
        if self._batches is not None and self.parallel is not parallel:
            raise FallbackToBackend(self._another())
        if self._batches is not None:
            self._batches.finish()
        options = {name: value for name, value in options.items() if name not in OF_OTHERS}
        check_options(options, initializer)
        chosen, modules = chosen_options(self._place, {**self._given, **options})
        self.parallel = parallel
        self._counted, self._counted_s = jobs, time.monotonic()
        self._batches = Batches(
            self._place,
            chosen,
            init=self._init if initializer is None else partial(initializer, *initargs),
            by_value=modules,
            least_bytes=max_nbytes if mmap_mode is not None else None,
            read_only=mmap_mode == "r",
            most=jobs if 0 < n_jobs < self._count_workers() else None,
        )
        return jobs

    def start_call(self) -> None:
        """`Parallel` is called."""
        if self._batches is not None:
            self._batches.new_call()

    def submit(self, func: Any, callback: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Have a batch of calls made; see `Batches.submit`."""
        if self._batches is None:
            raise RuntimeError("this backend was not configured, or is terminated")

        def when_done(future: Future[Any]) -> None:
            if callback is not None:
                callback(future)
            self._keep_up()

        return self._batches.submit(func, when_done)

    def apply_async(self, func: Any, callback: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """What `submit` was called before joblib 1.5."""
        return self.submit(func, callback)

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """The values of a batch. Raises what a call raised, with the worker's traceback as its cause."""
        try:
            values, self._last.took_s = out.result()
        except CancelledError:
            raise JobCancelled("", "joblib has aborted its calls") from None
        return values

    def batch_completed(self, batch_size: int, duration: float) -> None:
        """A batch is done: from how long it took at the worker follows how many calls are the next one.

        joblib measures from when it was handed over: then what waits for a busy worker, or for one that
        starts, would count, and short calls would stay alone.
        """
        super().batch_completed(batch_size, self._last.took_s)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what was not sent, interrupt what runs."""
        if self._batches is not None:
            self._batches.cancel()

    def terminate(self) -> None:
        """The `Parallel` has ended, and so do its jobs."""
        if self._batches is not None:
            self._batches.finish()
            self._batches = None
        self.reset_batch_stats()

    def get_nested_backend(self) -> tuple[ParallelBackendBase, int | None]:
        """What runs calls within calls: the workers are busy with the outer ones."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    # --- details ------------------------------------------------------------------------------------------

    def _another(self) -> Backend:
        """One for the same queue."""
        other = copy.copy(self)
        other._original = self
        other._batches = other.parallel = None
        other.reset_batch_stats()
        return other

    def _count_workers(self) -> int:
        """How many workers of the queue run Python, as far as Redis tells just now."""
        store = AdminStore(self._place.connection)
        try:
            agents = store.agents(self._place.keys)
        finally:
            store.close()
        return sum(agent.workers for agent in agents if agent.fits("cloudpickle"))

    def _keep_up(self) -> None:
        """Have more calls sent if there are more workers now: joblib sends a batch for each that is done."""
        parallel = self.parallel
        now_s = time.monotonic()
        if parallel is None or parallel.n_jobs > 0 or now_s < self._counted_s + RECOUNT_S:
            return
        self._counted_s = now_s
        try:
            workers = self._count_workers()
        except StoreUnavailable:
            return
        more, self._counted = workers - self._counted, max(workers, self._counted)
        for _ in range(BATCHES_PER_WORKER * more):
            with parallel._lock:
                if parallel._aborting or parallel._original_iterator is None:
                    return
                parallel.dispatch_next()
