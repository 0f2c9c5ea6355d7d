"""The same program gives the same value: R's `%do%`, our loops on R's workers, and on workers of ours."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rinterop
from pydoredis.errors import LocalProtocolError, TaskError
from pydoredis.loops.bodies import rexpr
from pydoredis.loops.iterators import icount
from pydoredis.loops.options import options
from pydoredis.loops.signature import foreach
from pydoredis.queue import Queue
from tests.coordinator.programs import PROGRAMS, Program
from tests.peers.pool import POOLS, Pool
from tests.redis_process import RedisProcess

pytestmark = [pytest.mark.needs_r, pytest.mark.rpeer]


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What R says of each program, all in one session."""
    place: Path = tmp_path_factory.mktemp("expected")
    sources = ",\n".join(f"quote({program.r})" for program in PROGRAMS)
    script = place / "programs.R"
    script.write_text(
        "suppressMessages({ library(foreach); library(iterators) })\n"
        f"programs <- list({sources})\n"
        "values <- lapply(programs, function(p) eval(p, new.env()))\n"
        f"writeBin(serialize(values, NULL), '{place / 'values'}')\n"
    )
    subprocess.run(["Rscript", "--vanilla", str(script)], check=True, capture_output=True, text=True)
    values = rinterop.loads((place / "values").read_bytes())
    assert isinstance(values, rinterop.List)
    return [rinterop.to_python(value) for value in values]


def pools() -> Iterator[Any]:
    """Pools with R workers take as long as R does."""
    for pool in POOLS:
        yield pytest.param(pool, marks=[pytest.mark.slow] if "R" in pool else [])


@pytest.fixture(scope="module", params=pools())
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    with RedisProcess() as server, server.client() as client:
        workers = Pool(server.url, client, "Q")
        try:
            workers.fill(request.param)
            yield Queue("Q", server.url)
        finally:
            workers.close()


def same(a: Any, b: Any) -> bool:
    """Equal, whether scalars came as such or in arrays of one; int and double alike; NaN equals NaN."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) != isinstance(b, list):
        return same(np.asarray(a).tolist(), np.asarray(b).tolist())
    x, y = np.asarray(plain(a)), np.asarray(plain(b))
    if x.dtype.kind in "fc" or y.dtype.kind in "fc":
        return x.shape == y.shape and bool(np.allclose(x, y, rtol=1e-14, equal_nan=True))
    return x.shape == y.shape and bool(np.all(x == y))


def plain(value: Any) -> Any:
    """Without the names of rows and columns, which a combine function in Python does not make up."""
    return getattr(value, "values", value)


@pytest.mark.parametrize("chunk_size", [1, 3, 100])
def test_programs(queue: Queue, expected: list[Any], chunk_size: int) -> None:
    for program, value in zip(PROGRAMS, expected, strict=True):
        found = run(queue, program, chunk_size)
        assert same(found, value), f"{program.r}: {found!r}, in R {value!r}"


def run(queue: Queue, program: Program, chunk_size: int) -> Any:
    with options(chunk_size=chunk_size):
        try:
            return program.python(queue.foreach).dopar(rexpr(program.body))
        except TaskError as error:
            return str(error)


def test_python_jobs_in_any_pool_with_a_python_worker(queue: Queue) -> None:
    with queue.start_local_workers(1, codec="cloudpickle"):
        loop = queue.foreach(x=range(60), combine="+", ftinterval=3)
        assert loop.dopar(lambda x: x * x) == sum(x * x for x in range(60))


@pytest.mark.parametrize("chunk_size", [1, 4])
def test_iterations_that_fail_are_run_again(queue: Queue, tmp_path: Path, chunk_size: int) -> None:
    """R's own workers need know nothing of it."""
    loop = queue.foreach(
        mark=[str(tmp_path / str(number)) for number in range(8)],
        value=[np.arange(number) for number in range(8)],
        chunk_size=chunk_size,
        retries=1,
        seed=3,
    )
    body = """
        drawn <- runif(1)
        write(format(drawn, digits = 15), mark, append = TRUE)
        if (length(value) %% 3 && length(readLines(mark)) < 2) stop("not yet")
        sum(value)
    """
    assert loop.dopar(rexpr(body)) == [sum(range(number)) for number in range(8)]
    drawn = [(tmp_path / str(number)).read_text().split() for number in range(8)]
    assert [len(each) for each in drawn] == [2 if number % 3 else 1 for number in range(8)]
    assert all(len(set(each)) == 1 for each in drawn), "another run has the same random numbers"


def test_seeds_are_the_same_everywhere(queue: Queue) -> None:
    """The streams are those of R's parallel package; unmodified R workers follow."""
    program = """
        RNGkind("L'Ecuyer-CMRG"); set.seed(42)
        seed <- .Random.seed
        for (k in 1:6) { seed <- parallel::nextRNGStream(seed); assign(".Random.seed", seed, globalenv())
                         cat(format(runif(1), digits = 15), "") }
    """
    done = subprocess.run(["Rscript", "-e", program], check=True, capture_output=True, text=True)
    wanted = [float(word) for word in done.stdout.split()]
    for chunk_size in (1, 4):
        loop = queue.foreach(icount(6), combine="c", seed=42, chunk_size=chunk_size)
        np.testing.assert_allclose(loop.dopar(rexpr("runif(1)")), wanted, rtol=1e-13)


def test_loops_without_a_seed_differ_and_can_be_repeated(queue: Queue) -> None:
    first, second = (queue.foreach(icount(4)).submit(rexpr("runif(1)")) for _ in range(2))
    drawn = [*first.result(60), *second.result(60)]
    assert len(set(drawn)) == 8
    for job in (first, second):
        again = queue.foreach(icount(4), seed=job.seed, chunk_size=3)
        assert again.dopar(rexpr("runif(1)")) == job.result()


def test_without_a_seed_the_generator_is_the_default_one(queue: Queue) -> None:
    body = rexpr("{ set.seed(42); c(RNGkind()[1], round(runif(1), 6)) }")
    assert [list(found) for found in queue.foreach(icount(2)).dopar(body)] == 2 * [
        ["Mersenne-Twister", "0.914806"]
    ]


def test_an_exported_set_seed_worker_decides(queue: Queue) -> None:
    export = {"set.seed.worker": rexpr("function(n) base::set.seed(5)")}
    jobs = [queue.foreach(icount(2), export=export).submit(rexpr("runif(1)")) for _ in range(2)]
    assert len({value for job in jobs for value in job.result(60)}) == 1
    with pytest.raises(LocalProtocolError, match=r"set\.seed\.worker"):
        queue.foreach(icount(2), seed=1, export=export).submit(rexpr("runif(1)"))


def test_values_that_only_r_has(queue: Queue) -> None:
    (function,) = queue.foreach(i=[3], convert=False).dopar(rexpr("function(x) x + 1"))
    assert isinstance(function, rinterop.Closure)
    loop = queue.foreach(x=[1, 2], combine="c", export={"f": function})
    np.testing.assert_array_equal(loop.dopar(rexpr("f(x)")), [2, 3])


def test_an_error_says_where_it_happened(queue: Queue) -> None:
    with pytest.raises(TaskError) as caught:
        queue.foreach(x=[4.0, "text"]).dopar(rexpr("sqrt(x)"))
    assert caught.value.call == "sqrt(x)"
    message = "non-numeric argument to mathematical function"
    assert str(caught.value) == f'task 2 failed - "{message}" (in sqrt(x))'
    with pytest.raises(TaskError) as caught:
        queue.foreach(x=[1]).dopar(rexpr("stop('not today')"))
    assert str(caught.value) == 'task 1 failed - "not today"'


def test_worker_init(queue: Queue) -> None:
    loop = queue.foreach(x=[1.0, 2.0], combine="c", worker_init=rexpr("base::options(pydoredis.test = 7)"))
    body = rexpr("x + getOption('pydoredis.test', 0)")
    np.testing.assert_array_equal(loop.dopar(body), [8, 9])


def test_do_draws_anew_and_leaves_the_generator_alone() -> None:
    r = rinterop.runtime.start()
    for prepare in "RNGkind('Mersenne-Twister'); set.seed(1)", "rm(.Random.seed, envir = globalenv())":
        r.eval(prepare)
        state = "list(RNGkind(), get0('.Random.seed', globalenv(), inherits = FALSE))"
        before = r.eval(state)
        drawn = [foreach(icount(3)).do(rexpr("runif(1)")) for _ in range(2)]
        assert len({number for numbers in drawn for number in numbers}) == 6
        assert rinterop.values.identical(r.eval(state), before)


def test_do_gives_the_same_and_leaves_ctrl_c_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    loop = foreach(x=range(1, 5), combine="c")
    np.testing.assert_array_equal(loop.do(rexpr("x^2")), [1, 4, 9, 16])
    assert signal.getsignal(signal.SIGINT) is before
