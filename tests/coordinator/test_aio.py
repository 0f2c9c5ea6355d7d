"""Loops in event loops: the same values and errors, nothing that blocks, nothing that is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import importlib
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import cloudpickle
import pytest
import redis
import uvloop

import pydoredis as dr
from pydoredis.errors import ConfigError, JobCancelled, LocalProtocolError, StoreUnavailable, TaskError
from pydoredis.queue import Queue
from tests.conftest import wait_until
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.usefixtures("clean")

T = TypeVar("T")
Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]

TURNS = 1000
"""Of an event loop that nothing blocks, while it waits for something that the test holds back."""


def run_uvloop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture(params=["asyncio", "uvloop", "anyio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine function in an event loop of its own."""
    runners: dict[str, Run] = {
        "asyncio": lambda main: asyncio.run(main()),
        "uvloop": run_uvloop,
        "anyio": anyio.run,
    }
    return runners[request.param]


@pytest.fixture
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    with server.client() as made:
        yield made


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    wait_until(lambda: not job_threads(), "the threads of jobs have ended")


def job_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("job")]


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Poll for a condition in an event loop."""
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, f"still not: {what}"
        await asyncio.sleep(0.005)


class Gate:
    """Holds bodies back."""

    def __init__(self, directory: Path) -> None:
        self.begun, self.opened = directory / "begun", directory / "opened"

    def body(self) -> Callable[[Any], Any]:
        begun, opened = str(self.begun), str(self.opened)

        def held(x: Any) -> Any:
            Path(begun).touch()
            while not Path(opened).exists():
                time.sleep(0.01)
            return x

        return held


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def square(x: int) -> int:
    return x * x


def odd_fails(x: int) -> int:
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


def described(value: Any) -> Any:
    """Something that can be compared, of an exception, too."""
    if isinstance(value, Exception):
        return type(value), str(value), type(value.__cause__), str(value.__cause__)
    return [described(one) for one in value] if isinstance(value, list) else value


LOOPS: dict[str, tuple[Callable[[Queue], Any], Callable[..., Any]]] = {
    "list": (lambda q: q.foreach(x=range(20)), square),
    "combine": (lambda q: q.foreach(x=range(20), combine="+", init=100, final=str), square),
    "unordered": (lambda q: q.foreach(x=range(20), combine="+", inorder=False, chunk_size=3), square),
    "generator": (lambda q: q.foreach(x=(n for n in range(50)), combine="c", final=list), square),
    "auto": (lambda q: q.foreach(x=range(300), chunk_size="auto"), square),
    "reduce": (lambda q: q.foreach(x=range(20), chunk_size=5, reduce=sum, combine="+"), square),
    "remove": (lambda q: q.foreach(x=range(9), errorhandling="remove"), odd_fails),
    "pass": (lambda q: q.foreach(x=range(9), errorhandling="pass"), odd_fails),
    "empty": (lambda q: q.foreach(x=[]), square),
    "nested": (
        lambda q: q.foreach(i=range(3), combine="c", final=list).nest(
            dr.foreach(j=range(4), combine="+").when(lambda i, j: i != j)
        ),
        lambda i, j: 10 * i + j,
    ),
    "seed": (lambda q: q.foreach(range(4), seed=3), lambda _: float(dr.rng().random())),
}


class TestTheSame:
    """As without an event loop."""

    @pytest.mark.parametrize("name", LOOPS)
    def test_values(self, queue: Queue, name: str) -> None:
        make, body = LOOPS[name]

        async def main() -> list[Any]:
            job = await make(queue).asubmit(body, keep_results=True)
            results = [item async for item in job.aresults()]
            assert sorted(map(repr, results)) == sorted(map(repr, job.results()))
            streamed = [item async for item in make(queue).astream(body)]
            return [await make(queue).adopar(body), await job, sorted(streamed, key=lambda item: item[0])]

        expected = described(make(queue).dopar(body))
        streamed = sorted(make(queue).stream(body), key=lambda item: item[0])
        values = asyncio.run(main())
        assert [described(value) for value in values[:2]] == [expected, expected]
        assert [(n, described(v)) for n, v in values[2]] == [(n, described(v)) for n, v in streamed]

    def test_errors(self, queue: Queue, run: Run) -> None:
        loop = queue.foreach(x=range(9))

        async def main() -> list[Any]:
            raised: list[Any] = []
            for ask in (loop.adopar(odd_fails), loop.asubmit(odd_fails), anext_all(loop.astream(odd_fails))):
                try:
                    value: Any = await ask
                    await value
                except TaskError as error:
                    raised.append((error.iterations, type(error.__cause__), str(error.__cause__), error.job))
            return raised

        raised = run(main)
        assert len(raised) == 3
        for iterations, cause, text, job in raised:
            assert cause is ValueError
            assert text == f"{iterations[0] - 1} is odd"
            assert job

    def test_what_is_wrong_is_said(self, queue: Queue) -> None:
        lock = threading.Lock()

        async def body(x: int) -> int:
            return x

        async def main() -> None:
            with pytest.raises(ConfigError, match="chunk_size"):
                queue.foreach(x=[1], chunk_size=0)
            with pytest.raises(ConfigError, match="workers run no event loop"):
                await queue.foreach(x=[1]).adopar(body)
            with pytest.raises(LocalProtocolError, match="lock"):
                await queue.foreach(x=[1]).adopar(lambda x: lock)
            with pytest.raises(LocalProtocolError, match="lock"):
                await queue.foreach(x=[1]).asubmit(lambda x: lock)
            with pytest.raises(LocalProtocolError, match="cannot be called"):
                await queue.foreach(y=[1]).adopar(square)
            with pytest.raises(ConfigError, match="unknown_name"):
                await queue.foreach(x=[1], export=["unknown_name"]).adopar(square)
            folds = await queue.foreach(x=[1], combine="+").asubmit(square)
            with pytest.raises(LocalProtocolError, match="keep_results=True"):
                folds.aresults()
            assert await folds == 1

        asyncio.run(main())

    def test_a_source_that_fails(self, queue: Queue) -> None:
        def source() -> Iterator[int]:
            yield 1
            raise ConnectionError("the database is gone")

        with pytest.raises(ConnectionError, match="the database is gone"):
            asyncio.run(queue.foreach(x=source()).adopar(square))

    def test_exports_by_name_and_options_are_those_of_the_caller(self, queue: Queue) -> None:
        async def main() -> list[Any]:
            secret = 7
            with dr.options(export=["secret"], chunk_size=2):
                tasks = [
                    asyncio.create_task(queue.foreach(x=range(2)).adopar(use_secret)),
                    asyncio.create_task(anext_all(queue.foreach(x=range(2)).astream(use_secret))),
                ]
            assert secret
            return [await task for task in tasks]

        assert asyncio.run(main()) == [[0, 7], [(1, 0), (2, 7)]]

    def test_context_variables_reach_combine_functions_and_sources(self, queue: Queue) -> None:
        user = contextvars.ContextVar("user", default="nobody")

        def source() -> Iterator[str]:
            yield user.get()

        def combine(a: str, b: str) -> str:
            return f"{a}, {b} for {user.get()}"

        async def as_user(name: str) -> str:
            user.set(name)
            return str(await queue.foreach(x=source(), combine=combine, init="made").adopar(lambda x: x))

        async def main() -> list[str]:
            return [*await asyncio.gather(as_user("ann"), as_user("ben"))]

        assert asyncio.run(main()) == ["made, ann for ann", "made, ben for ben"]
        job = queue.foreach(x=[1], combine=combine, init="made").submit(lambda x: x)
        assert job.result(60) == "made, 1 for nobody"

    def test_many_loops_that_send_the_code_of_one_module(
        self, server: RedisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Workers do not have it; which modules travel is known to the whole process."""
        other = Queue("other", server.url)
        with other.start_local_workers(2, codec="cloudpickle"):
            (tmp_path / "only_here.py").write_text("def triple(x): return 3 * x\n")
            monkeypatch.syspath_prepend(tmp_path)
            only_here = importlib.import_module("only_here")

            async def main() -> list[Any]:
                loops = [
                    other.foreach(x=range(20), export=[only_here]).adopar(only_here.triple) for _ in range(20)
                ]
                return [*await asyncio.gather(*loops)]

            try:
                assert asyncio.run(main()) == [[3 * x for x in range(20)]] * 20
            finally:
                del sys.modules["only_here"]
            assert "only_here" not in cloudpickle.list_registry_pickle_by_value()
        other.remove()

    def test_progress(self, queue: Queue) -> None:
        told: list[tuple[int, int | None]] = []
        loop = queue.foreach(x=range(5), progress=lambda done, total: told.append((done, total)))
        asyncio.run(loop.adopar(square))
        assert told[-1] == (5, 5)

    def test_one_call(self, queue: Queue, run: Run) -> None:
        with_export = Queue("Q", queue.connection.url, export={"secret": 5})

        def default(n: int = 3) -> int:
            return n

        async def main() -> list[Any]:
            return [
                await queue.arun(default),
                await queue.arun(pow, 2, 10),
                await queue.arun(default, n=4),
                await queue.arun(functools.partial(pow, 2), 3),
                await with_export.arun(use_secret, 3),
            ]

        assert run(main) == [3, 1024, 4, 8, 15]
        with pytest.raises(TaskError, match="3 is odd") as caught:
            asyncio.run(queue.arun(odd_fails, 3))
        assert isinstance(caught.value.__cause__, ValueError)
        with pytest.raises(LocalProtocolError, match="variables, which have names"):
            queue.arun(dr.rexpr("x + 1"), 2)  # type: ignore[call-overload]


secret = 0


def use_secret(x: int) -> int:
    return x * secret


async def anext_all(items: Any) -> list[Any]:
    return [item async for item in items]


async def together(*functions: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    async with anyio.create_task_group() as group:
        for function in functions:
            group.start_soon(function)


async def turns(until: Callable[[], object]) -> int:
    """Let the event loop turn until something is so, and often then; how often it did."""
    count = 0
    while count < TURNS or not until():
        await asyncio.sleep(0)
        count += 1
    return count


class TestNothingBlocks:
    def test_while_a_body_is_held(self, queue: Queue, gate: Gate, run: Run) -> None:
        async def main() -> Any:
            loop = queue.foreach(x=range(2))
            asks = [
                asyncio.ensure_future(loop.adopar(gate.body())),
                asyncio.ensure_future(anext_all(loop.astream(gate.body()))),
            ]
            assert await turns(gate.begun.exists) >= TURNS
            assert not any(ask.done() for ask in asks)
            gate.opened.touch()
            return [await ask for ask in asks]

        assert run(main) == [[0, 1], [(1, 0), (2, 1)]]

    def test_while_redis_hangs(self, run: Run) -> None:
        """As a job begins, as it runs, and as it is cancelled."""
        with RedisProcess() as server:
            queue = Queue("Q", server.url)

            async def main() -> None:
                job = await queue.foreach(x=range(2)).asubmit(square)
                server.signal(signal.SIGSTOP)
                try:
                    beginning = asyncio.ensure_future(queue.foreach(x=range(2)).adopar(square))
                    await turns(lambda: len(job_threads()) == 2)
                    beginning.cancel()
                    ending = asyncio.ensure_future(job.acancel())
                    await turns(lambda: True)
                    assert not beginning.done()
                    assert not ending.done()
                finally:
                    server.signal(signal.SIGCONT)
                await ending
                with pytest.raises(asyncio.CancelledError):
                    await beginning
                with pytest.raises(JobCancelled):
                    await job

            run(main)
            with server.client() as client:
                assert not list(client.scan_iter("Q.env.*"))
                assert client.llen("Q") == 0

    def test_many_at_once(self, queue: Queue, gate: Gate, server: RedisProcess) -> None:
        """A thread and two connections each; nothing waits for its turn."""
        at_once = 100

        async def main() -> list[int]:
            jobs = [queue.foreach(x=[n]).adopar(gate.body()) for n in range(at_once)]
            asks = [asyncio.ensure_future(job) for job in jobs]
            with server.client() as client:
                await eventually(lambda: len(list(client.scan_iter("Q.env.*"))) == at_once, "all have begun")
            assert len(job_threads()) == at_once
            gate.opened.touch()
            return [value for (value,) in await asyncio.gather(*asks)]

        assert asyncio.run(main()) == list(range(at_once))

    def test_with_a_thousand_open_files(self, queue: Queue) -> None:
        """Which is more than `select` takes."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 2048:
            pytest.skip("so many cannot be opened here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
        with contextlib.ExitStack() as stack:
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            while (number := os.open(os.devnull, os.O_RDONLY)) < 1100:
                stack.callback(os.close, number)
            stack.callback(os.close, number)
            other = Queue("Q", f"{queue.connection.url}?client_name=other")  # connections of its own
            assert asyncio.run(other.foreach(x=range(9)).adopar(square)) == [x * x for x in range(9)]

    def test_values_that_nobody_takes_hold_up_their_source(self, queue: Queue, client: redis.Redis) -> None:
        read = 0

        def source() -> Iterator[int]:
            nonlocal read
            while True:
                read += 1
                yield read

        async def main() -> int:
            async with contextlib.aclosing(queue.foreach(x=source()).astream(square)) as items:
                assert await anext(items) == (1, 1)
                before = -1
                while before != read or client.llen("Q") or list(client.scan_iter("Q.start.*")):
                    before = read
                    await asyncio.sleep(0.2)
                held = read
                for n in range(2, held + 200):  # it goes on
                    assert await anext(items) == (n, n * n)
                return held

        assert asyncio.run(main()) < 20_000  # two seconds of work of the pool, and never all of it


class TestCancelled:
    def ask(self, how: str, loop: Any, body: Callable[..., Any]) -> Awaitable[Any]:
        async def awaited() -> Any:
            return await (await loop.asubmit(body))

        async def results() -> Any:
            return await anext_all((await loop.asubmit(body)).aresults())

        asks: dict[str, Callable[[], Awaitable[Any]]] = {
            "adopar": lambda: loop.adopar(body),
            "asubmit": awaited,
            "aresults": results,
            "astream": lambda: anext_all(loop.astream(body)),
        }
        return asks[how]()

    @pytest.mark.parametrize("how", ["adopar", "asubmit", "aresults", "astream"])
    def test_a_task(self, queue: Queue, client: redis.Redis, gate: Gate, run: Run, how: str) -> None:
        async def main() -> None:
            task = asyncio.ensure_future(self.ask(how, queue.foreach(x=range(30)), gate.body()))
            await eventually(gate.begun.exists, "a body has begun")
            (environment,) = client.scan_iter("Q.env.*")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # When the task goes on, it is all done.
            assert not job_threads()
            assert not client.exists(environment)
            assert client.llen("Q") == 0
            job = environment.decode().removeprefix("Q.env.")
            assert client.exists(queue.keys.cancelled(job))

        run(main)

    def test_by_a_timeout(self, queue: Queue, client: redis.Redis, gate: Gate) -> None:
        async def main() -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(queue.foreach(x=range(3)).adopar(gate.body()), 0.3)
            job = await queue.foreach(x=range(3)).asubmit(gate.body())
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(job), 0.1)
            assert job.status == "running"
            gate.opened.touch()
            assert await job == [0, 1, 2]

        asyncio.run(main())
        assert not list(client.scan_iter("Q.env.*"))

    def test_by_a_scope_of_anyio(self, queue: Queue, client: redis.Redis, gate: Gate) -> None:
        """Which cancels its tasks again and again."""

        async def main() -> None:
            job = await queue.foreach(x=range(3)).asubmit(gate.body())
            with anyio.move_on_after(0.1) as scope:
                await job
            assert scope.cancelled_caught
            assert job.status == "cancelled"
            assert not list(client.scan_iter("Q.env.*"))
            with pytest.raises(Exception, match="unhandled errors in a TaskGroup"):
                await together(
                    lambda: queue.foreach(x=range(1)).adopar(gate.body()), lambda: queue.arun(odd_fails, 3)
                )
            assert not job_threads()
            assert not list(client.scan_iter("Q.env.*"))

        anyio.run(main)

    def test_before_it_has_begun(self, queue: Queue, client: redis.Redis) -> None:
        async def main() -> None:
            for turns_before in range(4):
                task = asyncio.ensure_future(queue.foreach(x=range(3)).adopar(square))
                for _ in range(turns_before):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                assert not job_threads()
                assert not list(client.scan_iter("Q.env.*"))

        asyncio.run(main())

    def test_twice_ends_the_wait_and_the_job_nevertheless(self) -> None:
        with RedisProcess() as server:
            queue = Queue("Q", server.url)

            async def main() -> Any:
                job = await queue.foreach(x=range(2)).asubmit(square)
                task = asyncio.ensure_future(job._awaited())
                await asyncio.sleep(0)
                server.signal(signal.SIGSTOP)
                try:
                    for _ in range(2):
                        task.cancel()
                        await asyncio.sleep(0)
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    assert not job.has_ended()
                finally:
                    server.signal(signal.SIGCONT)
                return job

            assert asyncio.run(main()).wait(30)

    def test_by_others(self, queue: Queue, gate: Gate) -> None:
        async def main() -> None:
            job = await queue.foreach(x=range(3)).asubmit(gate.body())
            waiting = [asyncio.ensure_future(job._awaited()) for _ in range(3)]
            await asyncio.sleep(0)
            await job.acancel()
            assert job.status == "cancelled"
            for one in waiting:
                with pytest.raises(JobCancelled, match="by its coordinator"):
                    await one

        asyncio.run(main())

    def test_redis_is_away(self) -> None:
        with RedisProcess() as server:
            queue = Queue("Q", server.url)

            async def main() -> None:
                job = await queue.foreach(x=range(3)).asubmit(square)
                server.stop()
                with pytest.raises(StoreUnavailable):
                    await queue.foreach(x=range(3)).adopar(square)
                with pytest.raises(StoreUnavailable):
                    await queue.foreach(x=range(3)).asubmit(square)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(job, 0.2)
                assert job.status == "cancelled"

            asyncio.run(main())


class TestStreamsThatAreLeft:
    """In whatever way, the job is cancelled."""

    def gone(self, client: redis.Redis) -> None:
        wait_until(lambda: not job_threads(), "its thread has ended")
        assert not list(client.scan_iter("Q.env.*"))
        assert client.llen("Q") == 0

    def endless(self, queue: Queue) -> Any:
        return queue.foreach(x=dr.icount()).astream(square)

    def test_closed(self, queue: Queue, client: redis.Redis, run: Run) -> None:
        async def main() -> None:
            items = self.endless(queue)
            assert await anext(items) == (1, 1)
            await items.aclose()
            assert not job_threads()
            assert not list(client.scan_iter("Q.env.*"))
            with contextlib.suppress(ZeroDivisionError):
                async with contextlib.aclosing(self.endless(queue)) as items:
                    async for number, _ in items:
                        1 // (3 - number)
            assert not job_threads()

        run(main)
        self.gone(client)

    def test_never_begun(self, queue: Queue, client: redis.Redis) -> None:
        async def main() -> None:
            self.endless(queue)

        asyncio.run(main())
        self.gone(client)

    def test_an_exception_in_the_loop(self, queue: Queue, client: redis.Redis, run: Run) -> None:
        """Nothing refers to the generator any more once the exception is handled."""

        async def main() -> None:
            with contextlib.suppress(ZeroDivisionError):
                async for number, _ in self.endless(queue):
                    1 // (3 - number)
            gc.collect()
            await eventually(lambda: not job_threads(), "its thread has ended")
            assert not list(client.scan_iter("Q.env.*"))

        run(main)

    def test_the_event_loop_ends(self, queue: Queue, client: redis.Redis) -> None:
        kept = []

        async def main() -> None:
            kept.append(self.endless(queue))
            assert await anext(kept[0]) == (1, 1)

        asyncio.run(main())
        self.gone(client)

    def test_the_event_loop_is_closed_under_it(self, queue: Queue, client: redis.Redis) -> None:
        """Without a word to its generators."""
        kept = []

        async def main() -> None:
            for _ in range(2):
                kept.append(self.endless(queue))
                assert await anext(kept[-1]) == (1, 1)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        outside = self.endless(queue)
        loop.run_until_complete(anext(outside))
        waiting = loop.create_task(anext(kept[1]))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]
        del kept[:], outside, waiting
        gc.collect()
        self.gone(client)

    def test_removed_by_others(self, queue: Queue, client: redis.Redis) -> None:
        """What was collected before still comes, without a gap."""

        got: list[tuple[int, int]] = []

        async def main() -> None:
            async for item in self.endless(queue):
                got.append(item)
                if len(got) == 5:
                    (environment,) = client.scan_iter("Q.env.*")
                    removed = environment.decode().removeprefix("Q.env.")
                    await asyncio.to_thread(queue.remove_job, removed)

        with pytest.raises(JobCancelled, match="it was removed"):
            asyncio.run(main())
        assert got == [(n, n * n) for n in range(1, len(got) + 1)]
        self.gone(client)

    def test_a_job_outlives_the_event_loop(self, queue: Queue, client: redis.Redis) -> None:
        """As one that was submitted without any."""
        job = asyncio.run(queue.foreach(x=range(30)).asubmit(square))
        assert job.result(60) == [x * x for x in range(30)]


class TestPrograms:
    """What a whole program does at Ctrl-C, and at its end."""

    def program(self, queue: Queue, main: str) -> subprocess.Popen[str]:
        text = f"""
import asyncio, time, pydoredis as dr
queue = dr.Queue("Q", {queue.connection.url!r})
def slow(x):
    time.sleep(30)
async def main():
{textwrap.indent(textwrap.dedent(main), "    ")}
asyncio.run(main())
"""
        command = [sys.executable, "-c", text]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @pytest.mark.parametrize(
        "main",
        [
            "await queue.foreach(x=range(9)).adopar(slow)",
            "await (await queue.foreach(x=range(9)).asubmit(slow))",
            "async for _ in queue.foreach(x=range(9)).astream(slow): pass",
            "await asyncio.gather(*(queue.arun(slow, n) for n in range(5)))",
            # Not even here, where nothing waits for the job:
            "await queue.foreach(x=range(9)).asubmit(slow)\nprint(1, flush=True)\nawait asyncio.sleep(30)",
        ],
    )
    def test_ctrl_c(self, queue: Queue, client: redis.Redis, main: str) -> None:
        process = self.program(queue, main)
        wait_until(lambda: list(client.scan_iter("Q.start.*")), "a body has begun")
        if "print" in main:  # a body may run before the program has its job
            assert process.stdout is not None
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGINT, errors
        assert "\nKeyboardInterrupt\n" in errors
        assert ("the program has ended" in errors) == ("sleep" in main), errors
        assert not list(client.scan_iter("Q.env.*"))
        assert client.llen("Q") == 0

    def test_a_job_that_nobody_waited_for(self, queue: Queue, client: redis.Redis) -> None:
        process = self.program(queue, "job = await queue.foreach(x=range(9)).asubmit(slow)")
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        assert "is cancelled with 0 of 9 iterations done: the program has ended" in errors
        assert not list(client.scan_iter("Q.env.*"))


def test_other_event_loops_are_refused(queue: Queue, client: redis.Redis) -> None:
    """Without one of asyncio's nothing is left running."""
    asked = queue.foreach(x=dr.icount(), combine="+").adopar(square)
    with pytest.raises(RuntimeError, match="no running event loop"):
        asked.send(None)
    wait_until(lambda: not job_threads(), "the job has ended")
    assert not list(client.scan_iter("Q.env.*"))


def test_a_timeout_of_the_loop_is_not_one_of_the_event_loop(queue: Queue, gate: Gate) -> None:
    with pytest.raises(dr.JobTimeout, match=r"was not done after 0\.3 s"):
        asyncio.run(queue.foreach(x=range(3), timeout=0.3).adopar(gate.body()))
