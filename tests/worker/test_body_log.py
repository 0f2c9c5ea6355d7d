"""`dr.logger` in Python bodies: what it says is in the worker's log, and here under `do`."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable

import cloudpickle
import pytest
import redis

import pydoredis as dr
from pydoredis import logger
from tests.conftest import wait_until
from tests.worker.agent_process import QUEUE, Job, worker


def named_in_the_module(i: int) -> int:
    logger.info("iteration %d", i)
    return i


def looked_up(i: int) -> int:
    import pydoredis

    pydoredis.logger(f"iteration {i}")
    return i


def held() -> Callable[[int], int]:
    mine = dr.logger

    def body(i: int) -> int:
        mine("iteration %d", i)
        return i

    return body


@pytest.mark.parametrize("body", [named_in_the_module, looked_up, held()])
def test_lines_are_in_the_workers_log_with_queue_job_and_iteration(
    redis_url: str, redis_client: redis.Redis, body: Callable[[int], int]
) -> None:
    job = Job(redis_client, body)
    with worker(redis_url) as agent:
        job.push(job.block({"i": 4}, {"i": 5}, first=4), job.block({"i": 6}, first=6))
        assert job.results(2) == {str(n): ("ok", n) for n in (4, 5, 6)}
        for n in (4, 5, 6):
            wait_until(
                lambda n=n: f"[{QUEUE} {job.id} {n}] iteration {n}\n" in agent.output,  # type: ignore[misc]
                f"the line of iteration {n}",
            )


def test_levels_and_tracebacks(redis_url: str, redis_client: redis.Redis) -> None:
    def body(i: int) -> int:
        logger.debug("hidden")
        logger.warning("line %s\nand %s", 1, 2)
        try:
            return 1 // 0
        except ZeroDivisionError:
            logger.exception("cannot divide %d", i)
        logger.setLevel(logging.DEBUG)
        logger.debug("shown")
        return i

    job = Job(redis_client, body)
    with worker(redis_url) as agent:
        job.push(job.block({"i": 1}))
        assert job.results(1) == {"1": ("ok", 1)}
        at = f"INFO [{QUEUE} {job.id} 1] "
        wait_until(lambda: f"{at}DEBUG shown\n" in agent.output, "the last line")
        assert f"{at}WARNING line 1\n" in agent.output
        assert f"{at}and 2\n" in agent.output
        assert f"{at}ERROR cannot divide 1\n" in agent.output
        with pytest.raises(ZeroDivisionError) as caught:
            _ = 1 // 0
        assert f"{at}ZeroDivisionError: {caught.value}\n" in agent.output
        assert "hidden" not in agent.output


def test_do_logs_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    assert dr.foreach(i=[1, 2]).do(named_in_the_module) == [1, 2]
    assert capsys.readouterr().err == "iteration 1\niteration 2\n"


def test_a_program_that_has_set_up_logging_gets_the_records(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    dr.foreach(i=[1, 2]).do(held())
    assert caplog.messages == ["iteration 1", "iteration 2"]
    assert {(record.name, record.levelname, record.funcName) for record in caplog.records} == {
        ("pydoredis.body", "INFO", "body")
    }
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_it_is_pickled_by_name(dumps: Callable[[object], bytes]) -> None:
    assert pickle.loads(dumps(logger)) is logger
