"""The public names, as a program uses them: `import pydoredis as dr`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import pydoredis as dr
from pydoredis import errors
from tests.redis_process import RedisProcess


def test_every_public_name_is_there() -> None:
    for name in dr.__all__:
        assert getattr(dr, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        dr.frobnicate  # noqa: B018


def test_every_error_is_public() -> None:
    raised = [found for found in vars(errors).values() if isinstance(found, type)]
    names = {kind.__name__ for kind in raised if issubclass(kind, errors.DoRedisError)}
    assert "TaskError" in names
    assert names <= set(dr.__all__)


def test_the_order_of_imports_does_not_matter() -> None:
    program = "import pydoredis.queue, pydoredis as dr; assert callable(dr.foreach) and callable(dr.options)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_nothing_is_registered() -> None:
    with pytest.raises(dr.ConfigError, match="register"):
        dr.foreach(x=[1]).dopar(abs)


def test_a_registered_queue() -> None:
    with RedisProcess() as server:
        queue = dr.register("Q", server.url, chunk_size=5, ftinterval=3)
        with dr.start_local_workers(1, codec="cloudpickle") as workers:
            assert len(workers.pids) == len(workers) == 1
            dr.redis_set("A", np.arange(4.0))

            def scaled(k: int) -> float:
                matrix = dr.redis_get("A")
                dr.redis_set(f"B{k}", k)
                return float(matrix.sum()) * k

            assert dr.foreach(k=range(3), combine="+").dopar(scaled) == 18
            assert [dr.redis_get(f"B{k}") for k in range(3)] == [0, 1, 2]
            assert dr.redis_delete("B1")
            assert dr.redis_get("B1") is None
            job = dr.foreach(x=range(3)).submit(lambda x: __import__("time").sleep(3))
            assert [row.job for row in queue.jobs()] == [job.id]
            assert len(dr.jobs()) == 1
            queue.remove_job(job.id)
            with pytest.raises(dr.JobCancelled):
                job.result(60)
            queue.remove()
        assert not queue.jobs()


def test_a_private_server(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is configured and no Redis runs on the port that is looked at."""
    monkeypatch.delenv("PYDOREDIS_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    try:
        dr.Queue("Q", "redis://localhost:6379/0").close()
    except dr.StoreUnavailable:
        pass
    else:
        pytest.skip("there is a Redis on port 6379")
    with dr.local(1) as queue:
        assert dr.foreach(range(4)).dopar(abs) == [0, 1, 2, 3]
        assert ":***@127.0.0.1" in queue.connection.safe_url
    assert capfd.readouterr().err.count("started a private one") == 1
