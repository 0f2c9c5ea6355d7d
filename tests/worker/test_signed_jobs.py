"""Pools with a secret: signed Python jobs run, and nothing that is not signed is unpickled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cloudpickle
import numpy as np
import pytest
import redis

import pydoredis as dr
from pydoredis.errors import EvaluatorError, TaskError
from pydoredis.protocol import wire
from pydoredis.queue import Queue
from pydoredis.server import find_server
from pydoredis.testing import in_process
from tests.conftest import wait_until
from tests.redis_process import NO_SERVER, RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

SECRET, NEXT = "the secret of this pool".replace(" ", "-"), "the next one of this pool".replace(" ", "-")


class Mark:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    if find_server() is None:
        pytest.skip(NO_SERVER)
    with RedisProcess() as running:
        yield running


@pytest.fixture(scope="module")
def queue(server: RedisProcess) -> Iterator[Queue]:
    """A queue with a worker that knows the secret."""
    made = Queue("Q", server.url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYDOREDIS_SECRET", SECRET)
        workers = made.start_local_workers(1, codec="cloudpickle")
    with workers:
        yield made


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDOREDIS_SECRET", SECRET)


@pytest.fixture
def unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYDOREDIS_SECRET", raising=False)


@pytest.mark.usefixtures("signed")
class TestSigned:
    @pytest.mark.parametrize("chunk_size", [1, 7])
    def test_loops(self, queue: Queue, chunk_size: int) -> None:
        loop = queue.foreach(x=range(40), chunk_size=chunk_size)
        assert loop.dopar(lambda x: x * x) == [x * x for x in range(40)]

    @pytest.mark.parametrize("mb", [2, 70])
    def test_large_environments(self, queue: Queue, mb: int) -> None:
        """Mapped, and in keys of their own."""
        data = np.arange(mb * 1_000_000 // 8, dtype=float)
        loop = queue.foreach(i=range(3), export={"data": data})
        assert loop.dopar(lambda i: float(data[-1 - i])) == [float(data[-1 - i]) for i in range(3)]

    def test_errors_and_retries(self, queue: Queue, tmp_path: Path) -> None:
        def fail(mark: Path) -> int:
            if not mark.exists():
                mark.touch()
                raise OSError
            return 7

        marks = [tmp_path / str(number) for number in range(6)]
        assert queue.foreach(marks, chunk_size=4, retries=1).dopar(fail) == [7] * 6
        with pytest.raises(TaskError, match="division"):
            queue.foreach(i=[1]).dopar(lambda i: i // 0)

    def test_calls(self, queue: Queue) -> None:
        with dr.Executor(queue=queue) as executor:
            assert executor.submit(pow, 2, 10).result(60) == 1024
            assert [*executor.map(abs, range(-9, 0), chunksize=4)] == [*range(9, 0, -1)]

    def test_loops_in_bodies(self, queue: Queue) -> None:
        def inner(n: int) -> list[int]:
            result: list[int] = dr.foreach(x=range(n)).dopar(lambda x: -x)
            return result

        assert queue.foreach(n=[2, 3]).dopar(inner) == [[0, -1], [0, -1, -2]]

    def test_in_unit_tests(self) -> None:
        with in_process() as here:
            assert here.foreach(x=range(3)).dopar(lambda x: -x) == [0, -1, -2]

    def test_a_worker_that_does_not_know_it(self, server: RedisProcess) -> None:
        """It runs the job, and what it answers is not unpickled."""
        other = Queue("OTHER", server.url)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("PYDOREDIS_SECRET")
            workers = other.start_local_workers(1, codec="cloudpickle")
        with workers:
            (error,) = other.foreach(x=[1], errorhandling="pass").dopar(lambda x: x)
        assert isinstance(error, EvaluatorError)
        assert "not signed" in str(error)
        assert "PYDOREDIS_SECRET" in str(error)


@pytest.mark.parametrize("pool", ["old", "both"])
def test_a_secret_is_replaced(server: RedisProcess, monkeypatch: pytest.MonkeyPatch, pool: str) -> None:
    replaced = Queue("REPLACED", server.url)
    monkeypatch.setenv("PYDOREDIS_SECRET", SECRET if pool == "old" else f"{SECRET} {NEXT}")
    with replaced.start_local_workers(1, codec="cloudpickle"):
        monkeypatch.setenv("PYDOREDIS_SECRET", f"{NEXT} {SECRET}")
        loop = replaced.foreach([1, 2], errorhandling="pass")
        if pool == "both":
            assert loop.dopar(abs) == [1, 2]
        else:
            assert all("not signed with this secret" in str(error) for error in loop.dopar(abs))


@pytest.mark.usefixtures("unsigned")
def test_unsigned_jobs_are_not_unpickled(queue: Queue, tmp_path: Path) -> None:
    body, argument = Mark(tmp_path / "body"), Mark(tmp_path / "argument")
    loop = queue.foreach(x=[argument], export={"body": body}, errorhandling="pass")
    (error,) = loop.dopar(lambda x: body)
    assert "not signed" in str(error)
    assert "PYDOREDIS_SECRET" in str(error)
    assert [*tmp_path.iterdir()] == []


class Thief:
    """Takes a signed job off the queue, and puts something else there."""

    def __init__(self, server: RedisProcess, name: str) -> None:
        self.client: redis.Redis = server.client()
        self.queue = Queue(name, server.url)
        self.keys = self.queue.keys

    def steal(self, body: Any, argument: Any) -> tuple[Any, bytes, bytes]:
        """A job that waits, its environment and its only task."""
        job = self.queue.foreach([argument]).submit(body)
        wait_until(lambda: self.client.llen(self.keys.tasks), "the task waits")
        (task,) = cast("list[bytes]", self.client.lrange(self.keys.tasks, 0, -1))
        self.client.delete(self.keys.tasks)
        environment = self.client.get(self.keys.env(job.id))
        assert isinstance(environment, bytes)
        return job, environment, task

    def put(self, job: str, environment: bytes, task: bytes) -> None:
        """Have a worker find these as a job."""
        self.client.set(self.keys.env(job), environment)
        self.client.rpush(self.keys.tasks, task)


@pytest.mark.usefixtures("signed")
class TestStolen:
    @pytest.fixture
    def thief(self, server: RedisProcess, request: pytest.FixtureRequest) -> Iterator[Thief]:
        made = Thief(server, request.node.name)
        yield made
        made.client.close()

    def test_into_another_job(self, thief: Thief, tmp_path: Path) -> None:
        job, environment, task = thief.steal(abs, Mark(tmp_path / "argument"))
        other = job.id[::-1]
        thief.put(other, environment, task.replace(job.id.encode(), other.encode()))
        out = thief.keys.out(other)
        with thief.queue.start_local_workers(1, codec="cloudpickle"):
            wait_until(lambda: thief.client.llen(out), "it has answered", 30)
        (message,) = cast("list[bytes]", thief.client.lrange(out, 0, -1))
        (error,) = wire.decode_result(message)[1]
        assert "not signed with this secret" in wire.condition_message(error)
        assert [*tmp_path.iterdir()] == []
        job.cancel()

    def test_with_another_environment(self, thief: Thief, tmp_path: Path) -> None:
        mark = Mark(tmp_path / "body")
        other, foreign, _ = thief.steal(lambda x: mark, 1)
        other.cancel()
        job, _, task = thief.steal(abs, 1)
        thief.put(job.id, foreign, task)
        with (
            thief.queue.start_local_workers(1, codec="cloudpickle"),
            pytest.raises(TaskError, match="not signed with this secret"),
        ):
            job.result(60)
        assert [*tmp_path.iterdir()] == []

    def test_with_other_arguments(self, thief: Thief) -> None:
        job, environment, task = thief.steal(abs, "abcdefgh")
        assert b"abcdefgh" in task
        thief.put(job.id, environment, task.replace(b"abcdefgh", b"abcdefgi"))
        with (
            thief.queue.start_local_workers(1, codec="cloudpickle"),
            pytest.raises(TaskError, match="was altered"),
        ):
            job.result(60)
