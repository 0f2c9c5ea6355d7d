"""`Executor` does what executors of the standard library do, on a queue's workers."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import redis

import pydoredis as dr
import rinterop
from pydoredis.admin import remove_job
from pydoredis.coordinator.session import Session, open_sessions
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.python import Program, PythonCodec
from tests.conftest import wait_until
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def executor(queue: dr.Queue) -> Iterator[dr.Executor]:
    with dr.Executor(queue=queue) as made:
        yield made


@pytest.fixture
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    with server.client() as made:
        yield made


def wait_for(path: Path) -> str:
    """Return as soon as the file is there."""
    end_s = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end_s
        time.sleep(0.005)
    return path.name


def begin(path: Path, go: Path) -> str:
    """Say that the call has begun, and return as soon as it may go on."""
    path.touch()
    return wait_for(go)


# --- values -----------------------------------------------------------------------------------------------


def test_a_call_has_its_value(executor: dr.Executor) -> None:
    k = 5

    def compute(x: int, *, y: int) -> int:
        return x * y + k

    assert executor.submit(pow, 2, 10).result() == 1024
    assert executor.submit(compute, 3, y=4).result() == 17
    assert executor.submit(np.arange(5).sum).result() == 10


def test_a_call_that_raises_gives_its_exception_and_traceback(executor: dr.Executor) -> None:
    def fails(x: int) -> float:
        return 1 / x

    error = executor.submit(fails, 0).exception()
    assert type(error) is ZeroDivisionError
    shown = "".join(traceback.format_exception(error))
    assert "in fails" in shown
    assert "caller.py" not in shown, "our own frames tell a user nothing"
    with pytest.raises(KeyError, match="'a'"):
        executor.submit(dict[str, int]().__getitem__, "a").result()


def test_what_cannot_be_sent_is_named(executor: dr.Executor) -> None:
    lock = threading.Lock()
    with pytest.raises(dr.LocalProtocolError, match=r"an argument cannot be sent: argument 2\['lock'\]"):
        executor.submit(print, 2, {"lock": lock}).result()
    with pytest.raises(dr.LocalProtocolError, match="the function cannot be sent"):
        executor.submit(lambda: lock).result()
    assert executor.submit(abs, -1).result() == 1


def test_a_result_that_cannot_be_sent_fails_its_call_alone(executor: dr.Executor) -> None:
    bad, good = executor.submit(threading.Lock), executor.submit(abs, -3)
    assert isinstance(bad.exception(), dr.EvaluatorError)
    assert good.result() == 3


def test_a_function_is_sent_as_it_is_when_it_is_submitted(executor: dr.Executor) -> None:
    state = {"k": 1}
    first = executor.submit(lambda: state["k"])
    state["k"] = 2
    second = executor.submit(lambda: state["k"])
    assert (first.result(), second.result()) == (1, 2)


def test_calls_draw_random_numbers_of_their_own(queue: dr.Queue) -> None:
    def draw() -> float:
        return float(dr.rng().random())

    drawn = []
    for _ in range(2):
        with dr.Executor(queue=queue, seed=3) as executor:
            drawn.append([executor.submit(draw).result() for _ in range(3)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3


# --- map --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunksize", [1, 3, 100])
def test_map_is_in_order(executor: dr.Executor, chunksize: int) -> None:
    expected = [*map(pow, range(10), range(12))]
    assert [*executor.map(pow, range(10), range(12), chunksize=chunksize)] == expected
    assert [*executor.map(pow, [], [], chunksize=chunksize)] == []


@pytest.mark.parametrize("chunksize", [1, 4])
def test_map_gives_what_came_before_an_error(executor: dr.Executor, chunksize: int) -> None:
    values = executor.map(lambda x: 1 // (2 - x), range(8), chunksize=chunksize)
    assert [next(values), next(values)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(values)


def test_map_with_a_buffer_reads_no_further_than_that(executor: dr.Executor) -> None:
    counted = itertools.count()
    values = executor.map(abs, counted, buffersize=10, chunksize=2)
    assert [next(values) for _ in range(7)] == [*range(7)]
    assert next(counted) == 2 * (10 + 4), "ten tasks are out, four are done"


def test_map_has_a_timeout(executor: dr.Executor, tmp_path: Path) -> None:
    go = tmp_path / "go"
    values = executor.map(wait_for, [go], timeout=0.1)
    with pytest.raises(futures.TimeoutError):
        next(values)
    go.touch()
    assert [*executor.map(wait_for, [go], timeout=60)] == ["go"]


@pytest.mark.parametrize("wrong", [{"chunksize": 0}, {"buffersize": 0}, {"chunksize": 1.5}])
def test_map_refuses_sizes_that_make_no_sense(executor: dr.Executor, wrong: dict[str, Any]) -> None:
    with pytest.raises(dr.ConfigError, match="a whole number from 1 on"):
        executor.map(abs, [1], **wrong)


# --- waiting, cancelling, ending --------------------------------------------------------------------------


def test_futures_can_be_waited_for(executor: dr.Executor, tmp_path: Path) -> None:
    go = tmp_path / "go"
    fast: futures.Future[Any] = executor.submit(abs, -1)
    slow: futures.Future[Any] = executor.submit(wait_for, go)
    done, pending = futures.wait([fast, slow], return_when=futures.FIRST_COMPLETED)
    assert (done, pending) == ({fast}, {slow})
    go.touch()
    assert {future.result() for future in futures.as_completed([fast, slow])} == {1, "go"}


def test_callbacks_may_submit(executor: dr.Executor) -> None:
    second: futures.Future[int] = futures.Future()

    def go_on(first: futures.Future[int]) -> None:
        executor.submit(pow, first.result(), 2).add_done_callback(
            lambda last: second.set_result(last.result())
        )

    executor.submit(abs, -3).add_done_callback(go_on)
    assert second.result(60) == 9


def test_asyncio_runs_calls(executor: dr.Executor) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        calls = (loop.run_in_executor(executor, pow, 2, x) for x in range(20))
        return [int(value) for value in await asyncio.gather(*calls)]

    assert asyncio.run(main()) == [2**x for x in range(20)]


def test_what_was_not_sent_can_be_cancelled(executor: dr.Executor, tmp_path: Path) -> None:
    go = tmp_path / "go"
    calls = [executor.submit(begin, tmp_path / f"call-{n}", go) for n in range(30)]
    wait_until(lambda: len([*tmp_path.glob("call-*")]) == 2, "both workers have begun", 60)
    wait_until(lambda: sum(call.running() for call in calls) >= 8, "the window is full")
    cancelled = [call.cancel() for call in calls]
    go.touch()
    for call, is_cancelled in zip(calls, cancelled, strict=True):
        if is_cancelled:
            with pytest.raises(futures.CancelledError):
                call.result(0)
        else:
            assert call.result(60) == "go"
    assert not cancelled[0], "what runs cannot be cancelled"
    assert cancelled[-1]
    assert len([*tmp_path.glob("call-*")]) == 30 - sum(cancelled), "what was cancelled never ran"


def test_shutdown_lets_calls_end(queue: dr.Queue) -> None:
    executor = dr.Executor(queue=queue)
    calls = [executor.submit(pow, 2, x) for x in range(100)]
    executor.shutdown()
    assert [call.result(0) for call in calls] == [2**x for x in range(100)]
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(abs, [1])
    executor.shutdown()


def test_shutdown_cancels_what_waits(queue: dr.Queue, tmp_path: Path) -> None:
    go = tmp_path / "go"
    executor = dr.Executor(queue=queue)
    calls = [executor.submit(begin, tmp_path / f"call-{n}", go) for n in range(30)]
    wait_until(lambda: len([*tmp_path.glob("call-*")]) == 2, "both workers have begun", 60)
    executor.shutdown(wait=False, cancel_futures=True)
    assert calls[-1].cancelled()
    go.touch()
    done, pending = futures.wait(calls, 60)
    assert not pending
    assert {call.result() for call in done if not call.cancelled()} == {"go"}


def test_cancel_interrupts_what_runs(queue: dr.Queue, tmp_path: Path) -> None:
    def interrupted(begun: Path, ended: Path) -> None:
        begun.touch()
        try:
            time.sleep(60)
        except BaseException as error:
            ended.write_text(type(error).__name__)
            raise

    executor = dr.Executor(queue=queue)
    call = executor.submit(interrupted, tmp_path / "begun", tmp_path / "ended")
    waiting = [executor.submit(abs, 1) for _ in range(50)]
    wait_for(tmp_path / "begun")
    executor.cancel()
    assert isinstance(call.exception(10), dr.JobCancelled)
    assert all(other.done() for other in waiting)
    wait_until((tmp_path / "ended").exists, "the body was interrupted", 30)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)


def test_ctrl_c_in_the_block_cancels(queue: dr.Queue, tmp_path: Path) -> None:
    calls: list[futures.Future[str]] = []

    def block() -> None:
        with dr.Executor(queue=queue) as executor:
            calls.append(executor.submit(begin, tmp_path / "begun", tmp_path / "never"))
            wait_for(tmp_path / "begun")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert isinstance(calls[0].exception(10), dr.JobCancelled)


def test_an_executor_that_is_dropped_ends_when_its_calls_are_done(queue: dr.Queue) -> None:
    before = {*open_sessions()}
    call = dr.Executor(queue=queue).submit(pow, 2, 3)
    assert call.result(60) == 8
    wait_until(lambda: {*open_sessions()} <= before, "its session has ended")


def test_a_program_ends_when_its_calls_are_done(server: RedisProcess, queue: dr.Queue) -> None:
    program = f"""
        import pydoredis as dr
        executor = dr.Executor(queue={queue.name!r}, url={server.url!r})
        calls = [executor.submit(pow, 2, x) for x in range(50)]
        calls[-1].add_done_callback(lambda call: print("done", call.result() == 2**49))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("done True\n", "")


@pytest.mark.usefixtures("clean")
def test_nothing_is_left(queue: dr.Queue) -> None:
    with dr.Executor(queue=queue) as executor:
        assert [*executor.map(abs, range(-50, 0))] == [*range(50, 0, -1)]
        array = np.zeros(1 << 18)
        assert [executor.submit(np.size, array).result() for _ in range(3)] == [1 << 18] * 3
        sessions = executor._sessions.all()
        assert [session.outstanding for session in sessions] == [0, 0]


# --- what is large ----------------------------------------------------------------------------------------


def test_large_arguments_are_sent_once(executor: dr.Executor, client: redis.Redis) -> None:
    array = np.arange(1 << 19, dtype=float)  # 4 MB
    executor.submit(abs, 1).result()
    before = client.info("stats")["total_net_input_bytes"]
    assert [executor.submit(lambda a, k: a[k], array, k).result() for k in range(12)] == [*range(12)]
    sent = client.info("stats")["total_net_input_bytes"] - before
    assert sent < 3 * array.nbytes, "once with its call, and once for all that follow"


def test_each_call_has_its_own_copy_of_an_argument(executor: dr.Executor) -> None:
    def change(array: Any) -> float:
        array += 1
        return float(array.sum())

    array = np.zeros(1 << 18)
    assert [executor.submit(change, array).result() for _ in range(5)] == [1 << 18] * 5
    assert not array.any()
    array += 1
    assert executor.submit(change, array).result() == 2 << 18, "as it is now"


def test_large_functions_are_sent_once(executor: dr.Executor, client: redis.Redis) -> None:
    table = {n: str(n) * 10 for n in range(10_000)}
    executor.submit(abs, 1).result()
    before = client.info("stats")["total_net_input_bytes"]
    assert [executor.submit(lambda n: table[n], n).result() for n in range(50)] == [
        str(n) * 10 for n in range(50)
    ]
    sent = client.info("stats")["total_net_input_bytes"] - before
    size = len(cloudpickle.dumps(table))
    assert sent < 3 * size + 50 * 2000
    table[0] = "changed"
    assert executor.submit(lambda n: table[n], 0).result() == "changed"


def test_there_are_not_more_and_more_sessions(executor: dr.Executor) -> None:
    for n in range(25):
        array = np.full(1 << 17, float(n))
        assert {executor.submit(np.max, array).result() for _ in range(2)} == {float(n)}
    wait_until(
        lambda: sum(1 for one in executor._sessions.all() if one in open_sessions()) <= 16, "few are left"
    )


def test_a_call_that_is_larger_than_redis_takes_fails_alone(
    executor: dr.Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydoredis.protocol.wire.MAX_MESSAGE", 100_000)
    large = executor.submit(len, [0] * 200_000)
    with pytest.raises(dr.LocalProtocolError, match="Redis takes 100,000"):
        large.result(60)
    assert executor.submit(abs, -1).result(60) == 1


# --- idle -------------------------------------------------------------------------------------------------


def test_an_idle_session_asks_redis_nothing(queue: dr.Queue, client: redis.Redis) -> None:
    session = Session(queue.connection, QueueKeys("NOBODYS"), PythonCodec(Program(abs)))
    wait_until(lambda: session.id and client.exists(f"NOBODYS.env.{session.id}"), "the job has begun")
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        time.sleep(2.5)  # what does not happen cannot be waited for
        client.get("the end")
        commands = (one["command"] for one in monitor.listen())
        seen = [*itertools.takewhile(lambda text: text != "GET the end", commands)]
    session.finish()
    session.join()
    assert [text for text in seen if session.id in text] == []
    assert not client.exists(f"NOBODYS.env.{session.id}")


def test_who_removes_the_job_ends_its_calls_and_not_the_executor(
    executor: dr.Executor, queue: dr.Queue, tmp_path: Path
) -> None:
    call = executor.submit(begin, tmp_path / "begun", tmp_path / "never")
    wait_for(tmp_path / "begun")
    (session,) = executor._sessions.all()
    remove_job(session.id, queue.name, connection=queue.connection)
    with pytest.raises(dr.JobCancelled, match="removed"):
        call.result(30)
    assert executor.submit(abs, -2).result() == 2


# --- setting up -------------------------------------------------------------------------------------------


def test_workers_of_its_own() -> None:
    with dr.Executor(1) as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        assert repr(executor) == f"<Executor on queue {executor.queue!r}>"
    assert repr(executor).endswith("shut down>")


def test_an_initializer_is_called_before_the_first_call(queue: dr.Queue) -> None:
    def initialize(value: str) -> None:
        os.environ["OF_THIS_TEST"] = value

    with dr.Executor(queue=queue, initializer=initialize, initargs=("set",)) as executor:
        assert {executor.submit(os.getenv, "OF_THIS_TEST").result() for _ in range(4)} == {"set"}
    with dr.Executor(queue=queue, initializer=lambda: 1 / 0) as executor:
        assert isinstance(executor.submit(abs, 1).exception(), ZeroDivisionError)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_workers": 0}, "greater than 0"),
        ({"chunk_size": 3}, "chunksize"),
        ({"progress": True}, "as_completed"),
        ({"worker_init": print}, "initializer"),
        ({"timelimits": 3}, "timelimit"),
        ({"export": {"k": 1}}, "a list of modules"),
        ({"initializer": 3}, "a function"),
    ],
)
def test_what_makes_no_sense_is_refused(queue: dr.Queue, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(dr.ConfigError, match=told):
        dr.Executor(**{"queue": queue, **wrong})


def test_without_a_queue_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydoredis.registered._registered", None)
    with pytest.raises(dr.ConfigError, match=r"register\(.*\)"):
        dr.Executor()


def test_a_call_has_a_time_limit(queue: dr.Queue) -> None:
    with dr.Executor(queue=queue, timelimit=0.5) as executor:
        call = executor.submit(time.sleep, 60)
        with pytest.raises(dr.TaskTimeout):
            call.result(60)


# --- R ----------------------------------------------------------------------------------------------------


@pytest.mark.needs_r
def test_r_code_is_called(server: RedisProcess) -> None:
    with dr.Executor(1, queue="R", url=server.url) as executor:
        assert executor.rexpr("x^2 + y", x=3, y=1).result() == 10
        minus = dr.rexpr("function(x, y = 1) x - y")
        assert executor.submit(minus, 5).result() == 4
        assert executor.submit(minus, y=5, x=7).result() == 2
        assert executor.submit(minus, 5, 3).result() == 2
        assert executor.submit(dr.rexpr("\\(f) class(f)"), None).result() == "NULL"
        function = executor.submit(dr.rexpr("function() function(a) a * 2")).result()
        assert isinstance(function, rinterop.Closure)
        assert executor.submit(function, 21).result() == 42
        with pytest.raises(dr.TaskError, match="wrong here"):
            executor.rexpr("stop('wrong here')").result()
        with pytest.raises(dr.LocalProtocolError, match="need names"):
            executor.submit(dr.rexpr("x^2"), 3)
        with pytest.raises(dr.LocalProtocolError, match="argument 1"):
            executor.submit(minus, object()).result()
        assert executor.submit(abs, -1).result() == 1, "Python and R on one executor"


# --- in bodies --------------------------------------------------------------------------------------------


def sum_of_calls(depth: int) -> int:
    """The sum of three calls on the queue of this one, each of which does the same, `depth` times over."""
    if not depth:
        return 1
    with dr.Executor() as executor:
        return sum(executor.map(sum_of_calls, [depth - 1] * 3))


def test_calls_have_calls_of_their_own_on_one_worker(server: RedisProcess) -> None:
    with dr.Executor(1, queue="DEEP", url=server.url) as executor:
        calls = [executor.submit(sum_of_calls, 2) for _ in range(3)]
        assert [call.result(60) for call in calls] == [9, 9, 9]
