"""How jobs begin, wait and end: none hangs, none leaves keys, and what is amiss is said."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import queue as queues
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import redis

import pydoredis as dr
from pydoredis import pool
from pydoredis.coordinator import staffing
from pydoredis.coordinator.driver import Driver, DriverOptions
from pydoredis.coordinator.feeding import feed_of
from pydoredis.errors import JobCancelled, JobTimeout, LocalProtocolError, NoWorkers, TaskError
from pydoredis.protocol.codec import Arguments, Item
from pydoredis.protocol.python import Program, PythonCodec, encode_result
from pydoredis.queue import Queue
from pydoredis.server import find_server
from pydoredis.settings import cpu_count
from pydoredis.store import job as job_store
from tests.conftest import wait_until
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    with server.client() as made:
        yield made


def test_a_task_that_was_answered_during_a_second_look_is_not_lost(
    server: RedisProcess, queue: Queue
) -> None:
    """The first look came between the queue and the marks, the second between the marks and the result."""
    got: list[Item] = []
    nobodys = Queue("NOBODY", server.url)
    codec = PythonCodec(Program(abs))
    options = DriverOptions(total=1)
    feed = feed_of(OneCall(), lambda given: given)
    driver = Driver(nobodys.connection, nobodys.keys, codec, feed, got.append, options)
    driver.begin()
    with server.client() as client:
        assert client.lpop("NOBODY")
        driver._check()
        result = encode_result([1], [("ok", 7)])
        client.lpush(nobodys.keys.out(driver.job), result)
        driver._check()
        assert not client.exists("NOBODY"), "it was not submitted again"
        driver.step()
        assert got == [(1, True, 7)]
        assert driver.finished
        driver.end()
        nobodys.remove()


class OneCall:
    """A job's only iteration."""

    failure = None

    def is_at_hand(self) -> bool:
        return True

    def steps(self) -> Iterator[int]:
        return iter([1])

    def issue(self, step: int) -> Arguments:
        return (step,), {}

    def add(self, number: int, value: Any) -> None: ...

    def add_failure(self, number: int, error: BaseException) -> None: ...

    def skip(self, number: int) -> None: ...

    def result(self) -> None: ...


class TestSources:
    def test_values_come_while_the_source_gives_nothing(self, queue: Queue) -> None:
        """The source waits for what is made of the value before."""
        echo: queues.SimpleQueue[int] = queues.SimpleQueue()

        def source() -> Iterator[int]:
            yield 0
            for _ in range(3):
                yield echo.get(timeout=60) + 1

        got = []
        for index, value in queue.foreach(x=source()).stream(lambda x: 10 * x):
            got.append((index, value))
            echo.put(value)
        assert got == [(1, 0), (2, 10), (3, 110), (4, 1110)]

    def test_a_job_whose_source_waits_for_ever_can_be_cancelled(self, queue: Queue) -> None:
        endless: queues.SimpleQueue[int] = queues.SimpleQueue()
        endless.put(1)
        job = queue.foreach(x=iter(endless.get, None)).submit(lambda x: x)
        assert next(job.results()) == (1, 1)
        job.cancel()
        assert job.status == "cancelled"
        endless.put(0)  # lets the thread go

    def test_an_error_of_the_source_is_raised(self, queue: Queue) -> None:
        def source() -> Iterator[int]:
            yield 1
            raise ConnectionError("the database is gone")

        with pytest.raises(ConnectionError, match="the database is gone"):
            queue.foreach(x=source()).dopar(lambda x: x)

    @pytest.mark.parametrize("chunk_size", [1, 7, "auto"])
    def test_a_generator_gives_each_element_once(self, queue: Queue, chunk_size: Any) -> None:
        loop = queue.foreach(x=(n for n in range(1000)), combine="+", chunk_size=chunk_size)
        assert loop.dopar(lambda x: x) == sum(range(1000))


class TestEnds:
    def test_a_final_that_fails_does_not_cancel_what_is_done(self, queue: Queue, client: redis.Redis) -> None:
        job = queue.foreach(x=range(3), combine="+", final=lambda total: 1 // 0).submit(lambda x: x)
        with pytest.raises(ZeroDivisionError):
            job.result(60)
        assert (job.status, job.done) == ("failed", 3)
        assert not client.exists(queue.keys.cancelled(job.id), queue.keys.env(job.id), queue.keys.out(job.id))

    def test_result_returns_whatever_goes_wrong_while_a_job_is_ended(
        self, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Broken(BaseException):
            pass

        really = Driver.cancel

        def cancel(driver: Driver) -> None:
            really(driver)
            raise Broken

        monkeypatch.setattr(Driver, "cancel", cancel)
        job = queue.foreach(x=[0]).submit(lambda x: 1 / x)
        with pytest.raises(Broken):
            job.result(60)
        assert job.status == "failed"

    def test_cancel_takes_back_its_own_tasks_alone(
        self, server: RedisProcess, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Others' tasks keep their order, in a queue that is longer than one step looks at."""
        monkeypatch.setattr(job_store, "STRETCH", 32)
        alone = Queue("alone", server.url)
        others = [b"other %d" % n for n in range(100)]
        client.rpush("alone", *others[:50])
        job = alone.foreach(x=range(200), chunk_size=2).submit(lambda x: x)
        wait_until(lambda: client.llen("alone") > 50, "its tasks are there")
        client.lmove("alone", "alone", "RIGHT", "LEFT")  # one that was given back
        client.rpush("alone", *others[50:])
        job.cancel()
        assert client.lrange("alone", 0, -1) == others
        client.delete("alone", "alone.live")

    def test_cancel_is_heard_at_once(self, queue: Queue) -> None:
        job = queue.foreach(x=[0]).submit(lambda x: time.sleep(30))
        wait_until(lambda: job.status == "running", "it runs")
        began_s = time.monotonic()
        job.cancel()
        assert time.monotonic() - began_s < 10
        with pytest.raises(JobCancelled, match="by its coordinator"):
            job.result(1)

    def test_a_job_that_outlives_the_program_is_cancelled(self, queue: Queue, client: redis.Redis) -> None:
        program = f"""
            import pydoredis as dr, time
            job = dr.Queue("Q", {queue.connection.url!r}).foreach(range(50)).submit(time.sleep)
            print(job.id)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        job = done.stdout.strip()
        assert f"job {job} is cancelled" in done.stderr
        assert "the program has ended" in done.stderr
        assert not client.exists(f"Q.env.{job}")
        assert client.exists(queue.keys.cancelled(job))


class TestMemory:
    def test_a_job_that_folds_keeps_no_values(self, queue: Queue) -> None:
        job = queue.foreach(x=range(100), combine="+").submit(lambda x: x)
        assert job.result(60) == 4950
        with pytest.raises(LocalProtocolError, match="keep_results=True"):
            job.results()
        kept = queue.foreach(x=range(100), combine="+").submit(lambda x: x, keep_results=True)
        assert sorted(kept.results()) == [(x + 1, x) for x in range(100)]
        listed = queue.foreach(x=range(3), inorder=False).submit(lambda x: x)
        assert sorted(listed.results()) == [(1, 0), (2, 1), (3, 2)]


class TestTime:
    def test_a_loop_that_takes_too_long_is_cancelled(self, queue: Queue, client: redis.Redis) -> None:
        queue.foreach([0, 0]).dopar(time.sleep)  # the workers' processes are there
        with pytest.raises(JobTimeout, match=r"was not done after 3 s: 2 of 4 iterations are done") as caught:
            queue.foreach([0, 0, 60, 60], timeout=3).dopar(time.sleep)
        assert isinstance(caught.value, TimeoutError)
        assert client.exists(queue.keys.cancelled(caught.value.job))

    def test_it_says_who_was_missing(self, server: RedisProcess) -> None:
        with pytest.raises(JobTimeout, match=r"after 0.2 s: no worker serves queue 'nobody'"):
            Queue("nobody", server.url).foreach(range(4), timeout=0.2).dopar(abs)
        with server.client() as client:
            client.delete("nobody.live")

    def test_stream_and_background(self, queue: Queue) -> None:
        with pytest.raises(JobTimeout):
            list(queue.foreach([0, 60], timeout=1).stream(time.sleep))
        with pytest.raises(JobTimeout):
            queue.foreach([60], timeout=0.5).submit(time.sleep).result(30)


class TestWorkersThatAreNotThere:
    def test_it_is_said_after_a_while(
        self, server: RedisProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        _be_impatient(monkeypatch)
        caplog.set_level(logging.WARNING, "pydoredis")
        mistyped = Queue("q", server.url)
        job = mistyped.foreach(range(3)).submit(abs)
        wait_until(lambda: caplog.messages, "something is said")
        assert f"job {job.id} waits: no worker serves queue 'q'" in caplog.text
        assert "Other queues have workers: Q." in caplog.text
        with mistyped.start_local_workers(1, codec="cloudpickle"):
            assert job.result(60) == [0, 1, 2]
        mistyped.remove()

    def test_workers_of_another_language(
        self, queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        _be_impatient(monkeypatch)
        job = queue.foreach(x=[4]).submit(dr.rexpr("sqrt(x)"))
        wait_until(lambda: "no worker on queue 'Q' runs R; there are 2 on" in caplog.text, "it is said")
        job.cancel()

    def test_a_private_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if find_server() is None:
            pytest.skip("no server to start")
        for name in ("PYDOREDIS_URL", "REDIS_URL"):
            monkeypatch.delenv(name, raising=False)
        with Queue("RJOBS") as private:
            if not private.place.private:
                pytest.skip("a Redis server runs at localhost")
            with pytest.raises(NoWorkers, match="nobody else knows this private Redis: start some before"):
                private.foreach(range(3)).dopar(abs)
            with redis.Redis.from_url(private.connection.url) as client:
                assert not list(client.scan_iter("*.env.*"))


class TestAnotherPython:
    """The coordinator pretends to be one."""

    @pytest.fixture(autouse=True)
    def pretend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pydoredis.protocol.python.platform.python_version", lambda: "3.99.1")
        _be_impatient(monkeypatch)

    def test_code_never_gets_there(self, queue: Queue) -> None:
        with pytest.raises(
            NoWorkers, match=r"holds code of Python 3\.99, but the workers on 'Q' have Python 3\."
        ):
            queue.foreach(x=range(4)).dopar(lambda x: x > 1)

    def test_functions_that_are_imported_do(self, queue: Queue) -> None:
        assert queue.foreach([-1, 2]).dopar(abs) == [1, 2]

    def test_arguments_and_values_with_code_are_errors(self, queue: Queue) -> None:
        with pytest.raises(TaskError, match=r"arguments hold code .* coordinator has Python 3\.99"):
            queue.foreach([lambda: 1]).dopar(callable)
        with pytest.raises(TaskError, match=r"the value holds code"):
            queue.foreach(["lambda: 1"]).dopar(eval)


class TestLocalWorkers:
    def test_leaving_the_block_cancels_and_says_so(
        self, server: RedisProcess, caplog: pytest.LogCaptureFixture
    ) -> None:
        with dr.local(1, "left", server.url, codec="cloudpickle"):
            job = dr.foreach(x=range(100)).submit(lambda x: time.sleep(0.1))
            wait_until(lambda: job.done, "some are done")
        assert job.status == "cancelled"
        assert f"job {job.id} is cancelled with" in caplog.text
        with pytest.raises(JobCancelled, match="the block of its workers has ended"):
            job.result(1)
        Queue("left", server.url).remove()

    def test_output_is_shown_with_its_iteration(
        self, server: RedisProcess, capfd: pytest.CaptureFixture[str]
    ) -> None:
        def body(x: int) -> None:
            import warnings

            print("hello", x)
            warnings.warn("careful", stacklevel=1)

        with dr.local(2, "shown", server.url, codec="cloudpickle"):
            dr.foreach(x=["a", "b"]).dopar(body)
            out = capfd.readouterr().out
        assert sorted(line for line in out.splitlines() if "hello" in line) == ["[1] hello a", "[2] hello b"]
        assert "UserWarning: careful" in out
        with dr.local(1, "shown", server.url, codec="cloudpickle", output=False):
            dr.foreach(x=["a", "b"]).dopar(body)
        assert "hello" not in capfd.readouterr().out
        Queue("shown", server.url).remove()

    def test_libraries_use_their_share_of_the_processors(
        self, server: RedisProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NUMEXPR_NUM_THREADS", "7")  # of the user's own

        def limits() -> list[str | None]:
            import os

            return [os.environ.get(f"{name}_NUM_THREADS") for name in ("OPENBLAS", "R_DATATABLE", "NUMEXPR")]

        share = str(max(1, cpu_count() // 2))
        with dr.local(2, "threads", server.url, codec="cloudpickle"):
            assert dr.foreach(range(1)).dopar(limits) == [[share, share, "7"]]
        Queue("threads", server.url).remove()

    def test_only_what_is_needed_is_started(self, server: RedisProcess) -> None:
        with dr.local(3, "lazy", server.url) as lazy:
            (idle,) = lazy.workers()
            assert (idle.state, idle.workers, idle.python) == ("idle", 3, sys.version.split()[0])
            assert _pids(server, "lazy") == ""
            pids: set[int] = set()
            while len(pids) < 3:  # until all have started
                pids.update(dr.foreach(x=range(3)).dopar(_slow_pid))
            wait_until(lambda: _pids(server, "lazy").count(",") == 2, "three processes, and no more", 10)
        Queue("lazy", server.url).remove()

    def test_a_quiet_log_is_no_trouble(self, server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYDOREDIS_LOGLEVEL", "ERROR")
        with dr.local(1, "quiet", server.url):
            assert dr.foreach([-3]).dopar(abs) == [3]
        Queue("quiet", server.url).remove()

    def test_modules_beside_the_script_and_its_directory(self, server: RedisProcess, tmp_path: Path) -> None:
        """Wherever the program is started, and although files there are called like modules of ours."""
        script, elsewhere = tmp_path / "script", tmp_path / "elsewhere"
        script.mkdir()
        elsewhere.mkdir()
        (elsewhere / "redis.py").write_text("raise ImportError('this is another redis')")
        (script / "beside.py").write_text("class Thing:\n    value = 3\n\ndef f(thing): return thing.value\n")
        (script / "main.py").write_text(
            textwrap.dedent(
                f"""
                import os, pydoredis as dr
                from beside import Thing, f
                with dr.local(1, "beside", {server.url!r}):
                    print(dr.foreach([Thing()]).dopar(f), dr.foreach(x=[1]).dopar(lambda x: os.getcwd()))
                dr.remove_queue("beside", connection=dr.Queue("beside", {server.url!r}).connection)
                """
            )
        )
        command = [sys.executable, str(script / "main.py")]
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == f"[3] ['{elsewhere}']\n", done.stderr

    def test_what_is_opened_after_they_were_stopped_is_not_read(self, server: RedisProcess) -> None:
        """A connection, say, that gets the number of the descriptor that they had."""
        queue = Queue("stopped", server.url)
        workers = queue.start_local_workers(1, codec="cloudpickle")
        number = workers._events
        workers.stop()
        pair = os.pipe()
        reading, writing = (fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for fd in pair)
        for fd in pair:
            os.close(fd)
        os.set_blocking(reading, False)
        os.dup2(reading, number)
        try:
            os.write(writing, b'{"event": "ready"}\nof others')
            workers.show_output()
            pool.show_output()
            assert os.read(number, 100) == b'{"event": "ready"}\nof others'
        finally:
            for fd in (reading, writing, number):
                os.close(fd)
        queue.remove()

    def test_workers_that_die_say_so(self, server: RedisProcess, caplog: pytest.LogCaptureFixture) -> None:
        queue = Queue("dying", server.url)
        workers = queue.start_local_workers(1, codec="cloudpickle")
        workers._process.kill()
        wait_until(lambda: "local workers ended with status -9" in caplog.text, "it is said")
        workers.stop()
        queue.remove()


def _be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have coordinators look who is there, and say it, soon."""
    monkeypatch.setattr(staffing, "FIRST_LOOK_S", 0.1)
    monkeypatch.setattr(staffing, "PATIENCE_S", 0.0)


def _slow_pid(x: int) -> int:
    import os

    time.sleep(0.5)
    return os.getpid()


def _pids(server: RedisProcess, name: str) -> str:
    """The executors that the agent on a queue speaks of."""
    with server.client() as client:
        keys = Queue(name, server.url).keys
        (agent,) = client.hkeys(keys.agents)
        return (client.hget(keys.agent(agent.decode()), "pids") or b"").decode()


def test_ctrl_c_while_the_source_waits(queue: Queue, client: redis.Redis) -> None:
    program = f"""
        import itertools, pydoredis as dr, queue, time
        def source():
            yield 1
            print("waiting", flush=True)
            queue.SimpleQueue().get()
        dr.Queue("Q", {queue.connection.url!r}).foreach(x=source()).dopar(lambda x: x)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT, errors
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors
    assert not list(client.scan_iter("Q.env.*"))


def test_many_threads_submit_at_once(queue: Queue) -> None:
    values: list[Any] = [None] * 8

    def loop(n: int) -> None:
        values[n] = queue.foreach(x=(n for _ in range(20)), combine="+").dopar(lambda x: x)

    threads = [threading.Thread(target=loop, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert values == [20 * n for n in range(8)]
    assert len(list(itertools.islice(queue.foreach(range(3)).stream(abs), 2))) == 2
