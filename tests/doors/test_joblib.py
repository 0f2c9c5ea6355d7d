"""joblib's `Parallel` and scikit-learn on a queue's workers."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import redis
from joblib import Parallel, delayed

import pydoredis as dr
import pydoredis.joblib
from pydoredis.errors import CallNotPicklable, ConfigError, TaskTimeout
from tests.conftest import wait_until
from tests.doors import calls
from tests.redis_process import RedisProcess

MEGABYTES = 8
LARGE = np.arange(MEGABYTES << 17, dtype=float)


@pytest.fixture(autouse=True)
def on_the_queue(queue: dr.Queue) -> Iterator[None]:
    """joblib's calls go to the workers."""
    with joblib.parallel_config("pydoredis", queue=queue):
        yield


@pytest.fixture
def client(redis_process: RedisProcess) -> Iterator[redis.Redis]:
    """A plain client, to look at what happened."""
    with redis_process.client() as client:
        yield client


def received(client: redis.Redis) -> int:
    """How many bytes were sent to Redis so far."""
    return int(client.info("stats")["total_net_input_bytes"])


def test_values_come_in_the_order_of_their_calls() -> None:
    assert Parallel()(delayed(calls.square)(i) for i in range(1000)) == [i * i for i in range(1000)]


def test_functions_of_the_program_itself_are_sent_along() -> None:
    k = 3
    assert Parallel()(delayed(lambda x: k * x)(i) for i in range(20)) == [3 * i for i in range(20)]


def test_calls_run_in_other_processes() -> None:
    pids = set(Parallel(batch_size=1)(delayed(os.getpid)() for _ in range(20)))
    assert os.getpid() not in pids
    assert len(pids) <= 2


@pytest.mark.skipif(not hasattr(joblib.parallel, "TASK_PENDING"), reason="joblib before 1.3")
def test_generators_give_values_before_all_are_there(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def waiting(number: int) -> int:
        if number == 1:
            while not gate.exists():
                time.sleep(0.01)
        return number

    found = Parallel(return_as="generator", batch_size=1)(delayed(waiting)(i) for i in range(6))
    assert next(found) == 0
    gate.touch()
    assert list(found) == [1, 2, 3, 4, 5]


def test_unordered_generators_give_values_as_they_come(tmp_path: Path) -> None:
    try:
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
    except ValueError:
        pytest.skip(f"joblib {joblib.__version__} has no such generators")
    gate = tmp_path / "gate"

    def waiting(number: int) -> int:
        if number == 0:
            while not gate.exists():
                time.sleep(0.01)
        return number

    found = parallel(delayed(waiting)(i) for i in range(4))
    first = [next(found) for _ in range(3)]
    gate.touch()
    assert set(first) == {1, 2, 3}
    assert list(found) == [0]


def test_two_generators_run_side_by_side() -> None:
    first = Parallel(return_as="generator", batch_size=1)(delayed(calls.square)(i) for i in range(50))
    second = Parallel(return_as="generator", batch_size=1)(delayed(calls.square)(-i) for i in range(50))
    assert list(zip(first, second, strict=True)) == [(i * i, i * i) for i in range(50)]


def test_an_error_is_raised_with_the_traceback_of_the_worker() -> None:
    with pytest.raises(ValueError, match="not 7") as caught:
        Parallel()(delayed(calls.fail_at)(i, 7) for i in range(100))
    assert 'raise ValueError(f"not {x}")' in str(caught.value.__cause__)


def test_what_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(CallNotPicklable, match="argument 1"):
        Parallel()(delayed(calls.square)(lock) for _ in range(3))


def test_what_cannot_be_pickled_later_is_told_as_well() -> None:
    with pytest.raises(CallNotPicklable):
        Parallel()(delayed(id)(threading.Lock() if i > 50 else i) for i in range(100))


def test_an_error_cancels_what_was_not_sent_and_interrupts_what_runs(tmp_path: Path) -> None:
    def run(number: int) -> None:
        if number:
            calls.note_interrupt(str(tmp_path), number)
        while not (tmp_path / "began-1").exists():
            time.sleep(0.01)
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        Parallel(pre_dispatch="all", batch_size=1)(delayed(run)(i) for i in range(100))
    wait_until((tmp_path / "interrupted-1").exists, "the call that ran is interrupted")
    assert len(list(tmp_path.glob("began-*"))) <= 2
    assert Parallel()(delayed(calls.square)(i) for i in range(4)) == [0, 1, 4, 9]


def test_a_timeout_ends_calls() -> None:
    with pytest.raises(multiprocessing.TimeoutError):
        Parallel(timeout=0.2)(delayed(time.sleep)(60) for _ in range(2))


def test_a_generator_that_is_dropped_cancels_its_calls(tmp_path: Path) -> None:
    def run(number: int) -> int:
        if number:
            calls.note_interrupt(str(tmp_path), number)
        return number

    found = Parallel(return_as="generator", batch_size=1)(delayed(run)(i) for i in range(10))
    assert next(found) == 0
    wait_until((tmp_path / "began-1").exists, "the second call runs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del found
    wait_until((tmp_path / "interrupted-1").exists, "it is interrupted")


def test_calls_within_calls_run_one_after_the_other() -> None:
    expected = ("SequentialBackend", [0, 1, 4])
    assert Parallel()(delayed(calls.nested)(3) for _ in range(4)) == [expected] * 4


def test_all_workers_are_used_unless_fewer_are_asked_for(tmp_path: Path) -> None:
    assert joblib.effective_n_jobs() == joblib.effective_n_jobs(-1) == 2
    assert joblib.effective_n_jobs(3) == 3
    with pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0)(delayed(calls.square)(i) for i in range(2))
    assert Parallel(n_jobs=1)(delayed(os.getpid)() for _ in range(2)) == [os.getpid()] * 2


def test_workers_that_come_later_get_calls(redis_process: RedisProcess, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    name = "growing"
    with (
        dr.Queue(name, redis_process.url) as queue,
        joblib.parallel_config("pydoredis", queue=queue),
        queue.start_local_workers(2, codec="cloudpickle", output=False),
    ):
        parallel = Parallel(return_as="generator", batch_size=1)
        found = parallel(delayed(calls.wait_for if i else time.sleep)(gate if i else 1.5) for i in range(60))
        with queue.start_local_workers(6, codec="cloudpickle", output=False):
            assert next(found) is None
            wait_until(lambda: len(list(tmp_path.glob("gate.*"))) == 8, "all eight have calls")
            Path(gate).touch()
            assert len(set(found)) == 8
        queue.remove()


def test_no_more_run_at_once_than_were_asked_for(redis_process: RedisProcess) -> None:
    def span() -> tuple[float, float]:
        start_s = time.monotonic()
        time.sleep(0.02)
        return start_s, time.monotonic()

    with (
        dr.Queue("limited", redis_process.url) as queue,
        joblib.parallel_config("pydoredis", queue=queue),
        queue.start_local_workers(4, codec="cloudpickle", output=False),
    ):
        spans = Parallel(n_jobs=2, batch_size=1)(delayed(span)() for _ in range(40))
        queue.remove()
    changes = sorted([(start_s, 1) for start_s, _ in spans] + [(end_s, -1) for _, end_s in spans])
    running = np.cumsum([change for _, change in changes])
    assert running.max() == 2


def test_short_calls_are_put_together() -> None:
    parallel = Parallel()
    parallel(delayed(calls.square)(i) for i in range(5000))
    assert parallel.n_dispatched_batches < 500


# --- large arrays -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LARGE, id="in one piece"),
        pytest.param(np.asfortranarray(LARGE.reshape(1024, -1)), id="by columns"),
        pytest.param(np.repeat(LARGE, 2).reshape(-1, 2)[:, 0], id="in pieces"),
    ],
)
def test_a_large_array_is_sent_once_and_cannot_be_written_to(data: Any, client: redis.Redis) -> None:
    before = received(client)
    found = Parallel(batch_size=1)(delayed(calls.about)(data, i) for i in range(40))
    assert found == [(i, float(data.sum()), False) for i in range(40)]
    assert data.nbytes < received(client) - before < 1.2 * data.nbytes


def test_a_mapped_file_is_sent_once(tmp_path: Path, client: redis.Redis) -> None:
    joblib.dump(LARGE, tmp_path / "data")
    data = joblib.load(tmp_path / "data", mmap_mode="r")
    before = received(client)
    assert Parallel(batch_size=1)(delayed(calls.total)(data, i) for i in range(20)) == [
        float(LARGE.sum()) + i for i in range(20)
    ]
    assert received(client) - before < 1.2 * data.nbytes


def test_a_large_frame_is_sent_once(client: redis.Redis) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": LARGE, "y": -LARGE})
    before = received(client)
    Parallel(batch_size=1)(delayed(calls.total)(frame, i) for i in range(20))
    assert received(client) - before < 1.2 * 2 * LARGE.nbytes


def test_calls_of_one_block_share_an_array_that_did_not_change(client: redis.Redis) -> None:
    data = LARGE.copy()
    with Parallel(batch_size=1) as parallel:
        for round_ in range(3):
            before = received(client)
            found = parallel(delayed(calls.total)(data, i) for i in range(10))
            assert found == [float(data.sum()) + i for i in range(10)]
            sent = received(client) - before
            assert sent < 0.2 * data.nbytes if round_ == 1 else sent > data.nbytes
            if round_ == 1:
                data[:] = 1.0


def test_different_arrays_are_sent_once_each(client: redis.Redis) -> None:
    chunks = np.split(np.arange(20 << 17, dtype=float), 10)
    before = received(client)
    found = Parallel(batch_size=1)(delayed(calls.total)(chunk, 0) for chunk in chunks)
    assert found == [float(chunk.sum()) for chunk in chunks]
    assert received(client) - before < 1.2 * 20 * (1 << 20)


def test_a_new_array_in_the_memory_of_an_old_one_is_another(client: redis.Redis) -> None:
    def arrays() -> Iterator[Any]:
        for number in range(20):
            yield delayed(calls.total)(np.full(1 << 18, float(number)), 0)

    assert Parallel(batch_size=1)(arrays()) == [float(number << 18) for number in range(20)]


@pytest.mark.parametrize("mode", ["c", None])
def test_copies_can_be_written_to(mode: str | None) -> None:
    with joblib.parallel_config(mmap_mode=mode):
        found = Parallel(batch_size=1)(delayed(calls.set_first)(LARGE, i + 1) for i in range(10))
    assert found == [0.0] * 10


def test_workers_cannot_be_asked_to_change_arrays_here() -> None:
    with pytest.raises(ConfigError, match="mmap_mode"):
        Parallel(mmap_mode="r+")(delayed(calls.set_first)(LARGE, i) for i in range(2))


def test_small_arrays_can_be_written_to() -> None:
    assert Parallel()(delayed(calls.about)(np.ones(3), i) for i in range(2)) == [
        (0, 3.0, True),
        (1, 3.0, True),
    ]


# --- what it leaves, and how it is set up -----------------------------------------------------------------


def test_nothing_is_left(client: redis.Redis) -> None:
    Parallel()(delayed(calls.total)(LARGE, i) for i in range(10))
    wait_until(lambda: not list(client.scan_iter("doors.env*")), "environments are gone")
    wait_until(
        lambda: not [one.name for one in threading.enumerate() if one.name == "session"],
        "sessions have ended",
    )


def test_the_registered_queue_is_the_default() -> None:
    with joblib.parallel_backend("pydoredis"):
        assert os.getpid() not in Parallel()(delayed(os.getpid)() for _ in range(4))


def test_options_are_those_of_executors(queue: dr.Queue) -> None:
    with pytest.raises(ConfigError, match="chunk_size"):
        joblib.parallel_config("pydoredis", queue=queue, chunk_size=3)
    with (
        joblib.parallel_config("pydoredis", queue=queue, timelimit=0.2),
        pytest.raises(TaskTimeout),
    ):
        Parallel(batch_size=1)(delayed(time.sleep)(60) for _ in range(2))


def test_an_initializer_is_called_once_per_worker(queue: dr.Queue, tmp_path: Path) -> None:
    def note() -> None:
        (tmp_path / str(os.getpid())).touch(exist_ok=False)

    with joblib.parallel_config("pydoredis", queue=queue, initializer=note):
        pids = Parallel(batch_size=1)(delayed(os.getpid)() for _ in range(30))
    assert {one.name for one in tmp_path.iterdir()} == {str(pid) for pid in pids}


def test_parallel_takes_options_as_well(tmp_path: Path) -> None:
    try:
        parallel = Parallel(batch_size=1, timelimit=0.2)
    except TypeError:
        pytest.skip(f"joblib {joblib.__version__} takes none there")
    with pytest.raises(TaskTimeout):
        parallel(delayed(time.sleep)(60) for _ in range(2))
    with pytest.raises(ConfigError, match="timelimitt"):
        Parallel(timelimitt=1)(delayed(time.sleep)(1) for _ in range(2))
    Parallel(initializer=(tmp_path / "note").touch)(delayed(calls.square)(i) for i in range(4))
    assert (tmp_path / "note").exists()


def test_without_a_queue_it_says_what_to_do() -> None:
    program = """
import joblib, pydoredis.joblib
joblib.parallel_config("pydoredis")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert 'register("RJOBS")' in done.stderr


def test_control_c_ends_calls(redis_process: RedisProcess, tmp_path: Path) -> None:
    program = f"""
import joblib, pydoredis.joblib
from joblib import Parallel, delayed
from tests.doors import calls
with joblib.parallel_config("pydoredis", queue="doors", url={redis_process.url!r}):
    Parallel(batch_size=1)(delayed(calls.note_interrupt)({str(tmp_path)!r}, i) for i in range(10))
"""
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(list(tmp_path.glob("began-*"))) == 2, "two calls run")
        process.send_signal(2)
        _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    wait_until(lambda: len(list(tmp_path.glob("interrupted-*"))) == 2, "both are interrupted")
    assert len(list(tmp_path.glob("began-*"))) == 2
