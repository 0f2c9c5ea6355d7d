"""What doRedis' users do, on pools of R workers, of ours, and of both: always the value that plain R gives.

Random numbers depend on the iteration only: a worker calls set.seed(n) before iteration n. So each expected
value can be had without any worker, by the same body in a plain loop.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import missing_r_packages
from tests.peers.pool import POOLS, Pool
from tests.peers.processes import descendants

PoolOf = Callable[[str], Pool]

pytestmark = [pytest.mark.rpeer, pytest.mark.slow, pytest.mark.timeout(120)]
each_pool = pytest.mark.parametrize("kind", POOLS)


def agree(pool: Pool, program: str, *, chunk_size: int = 1) -> None:
    """The program says two values, the workers' and plain R's; they must be the same, to the last digit."""
    got, expected = pool.coordinator(program, chunk_size=chunk_size).values()
    assert got == expected


@each_pool
def test_pi_by_random_points(kind: str, shared_pool: PoolOf) -> None:
    agree(
        shared_pool(kind),
        """
        points <- 20000
        estimate <- function(n) 4 * mean(runif(n)^2 + runif(n)^2 < 1)
        say(sort(foreach(icount(8), .combine = c, .inorder = FALSE) %dopar% estimate(points)))
        say(sort(sapply(1:8, function(k) { set.seed(k); estimate(points) })))
        """,
    )


@each_pool
@pytest.mark.parametrize("chunk_size", [1, 3])
def test_bootstrap_with_a_package(kind: str, chunk_size: int, shared_pool: PoolOf) -> None:
    if missing_r_packages(("boot",)):
        pytest.skip("R package boot is not installed")
    agree(
        shared_pool(kind),
        """
        slope <- function(data, rows) coef(lm(dist ~ speed, data = data[rows, ]))[["speed"]]
        say(foreach(k = 1:5, .combine = c, .packages = "boot") %dopar% as.vector(boot(cars, slope, R = 8)$t))
        say(unlist(lapply(1:5, function(k) { set.seed(k); as.vector(boot::boot(cars, slope, R = 8)$t) })))
        """,
        chunk_size=chunk_size,
    )


@each_pool
@pytest.mark.parametrize("generator", ["Mersenne-Twister", "L'Ecuyer-CMRG"])
def test_seeds_do_not_depend_on_workers_or_chunks(kind: str, generator: str, shared_pool: PoolOf) -> None:
    agree(
        shared_pool(kind),
        f"""
        RNGkind("{generator}")
        draw <- function() c(rnorm(1), runif(1), sample.int(1000, 1))
        single <- foreach(i = 1:7, .combine = rbind) %dopar% draw()
        setChunkSize(3)
        chunked <- foreach(i = 1:7, .combine = rbind) %dopar% draw()
        stopifnot(identical(single, chunked))
        say(unname(single))
        say(t(sapply(1:7, function(n) {{ set.seed(n); draw() }})))
        """,
    )


@each_pool
def test_seeds_of_the_users_own(kind: str, shared_pool: PoolOf) -> None:
    agree(
        shared_pool(kind),
        """
        set.seed.worker <- function(n) set.seed(2024 + n)
        say(foreach(i = 1:4, .combine = c, .export = "set.seed.worker") %dopar% runif(1))
        say({ set.seed(2024); rep(runif(1), 4) })
        """,
    )


@each_pool
def test_matrices_that_workers_fetch_from_redis(kind: str, shared_pool: PoolOf) -> None:
    agree(
        shared_pool(kind),
        """
        full <- matrix(seq_len(60) / 7, nrow = 6)
        vector <- seq_len(10) - 4.5
        for (part in 1:3) redisSet(paste0("rows", part), full[2 * part - 1:0, ])
        redisSet("vector", vector)
        say(foreach(part = 1:3, .combine = c, .packages = "doRedis") %dopar%
          as.vector(redisGet(paste0("rows", part)) %*% redisGet("vector")))
        for (part in 1:3) redisDelete(paste0("rows", part))
        redisDelete("vector")
        say(unlist(lapply(1:3, function(part) as.vector(full[2 * part - 1:0, ] %*% vector))))
        """,
    )


@each_pool
def test_initialization_once_per_worker_and_job(kind: str, shared_pool: PoolOf) -> None:
    agree(
        shared_pool(kind),
        """
        worker.init <- function() assign("started", get0("started", envir = globalenv(), ifnotfound = 0) + 1,
                                         envir = globalenv())
        # R's worker calls it before the job environment has a parent, so it needs one of its own.
        environment(worker.init) <- baseenv()
        once <- foreach(i = 1:6, .combine = c, .export = "worker.init") %dopar% get("started", globalenv())
        say(unique(once))
        say(1)
        """,
    )


@each_pool
def test_closures_dots_and_nested_loops(kind: str, shared_pool: PoolOf) -> None:
    agree(
        shared_pool(kind),
        """
        power <- function(k) function(x) x^k
        run <- function(data, ..., by = 2) {
          twice <- function(x) x * by
          foreach(x = data, .combine = c) %dopar% (twice(x) + sum(...))
        }
        cube <- power(3)
        say(list(
          run(1:3, 10, 20L),
          foreach(i = 1:3, .combine = c) %dopar% cube(i),
          unname(foreach(a = 1:2, .combine = rbind) %:% foreach(b = 1:3, .combine = c) %dopar% (a * 10 + b))))
        say(list(2 * 1:3 + 30, (1:3)^3, rbind(10 + 1:3, 20 + 1:3)))
        """,
        chunk_size=2,
    )


@each_pool
@pytest.mark.parametrize("chunk_size", [1, 2])
def test_errors_stop_pass_or_vanish(kind: str, chunk_size: int, shared_pool: PoolOf) -> None:
    program = """
        body <- quote({ if (i == 3) stop("no ", i, " today"); i * 10 })
        loop <- function(handling) eval(bquote(
          foreach(i = 1:4, .errorhandling = .(handling)) %dopar% .(body)), globalenv())
        say(tryCatch(loop("stop"), error = conditionMessage))
        passed <- loop("pass")
        say(list(class(passed[[3]]), conditionMessage(passed[[3]]), unlist(passed[-3])))
        say(unlist(loop("remove")))
    """
    stopped, passed, removed = shared_pool(kind).coordinator(program, chunk_size=chunk_size).values()
    assert stopped == r'"task 3 failed - \"no 3 today\""'
    assert passed == 'list(c("simpleError", "error", "condition"), "no 3 today", c(10, 20, 40))'
    assert removed == "c(10, 20, 40)"


@each_pool
def test_rs_own_tools_show_the_workers(kind: str, shared_pool: PoolOf) -> None:
    pool = shared_pool(kind)
    job = pool.coordinator("say(foreach(i = 1:2, .combine = c) %dopar% { Sys.sleep(3); i })")
    pool.wait_for(lambda: len(pool.keys("start")) == 2, "both tasks run")
    # By the id, since the keys of tasks that are done stay for some seconds.
    session = pool.keys("env")[0].removeprefix(f"{pool.queue}.env.").split("_")[0]
    count, jobs, tasks, here = pool.coordinator(
        f"""
        session <- "{session}"
        say(as.numeric(getDoParWorkers()))
        say(lapply(jobs()[c("queue", "user")], as.character))
        seen <- tasks(id = session)
        seen <- seen[order(seen$iter), c("queue", "iter", "host", "user", "pid")]
        say(unlist(lapply(seen, as.character), use.names = FALSE))
        say(c(Sys.info()[["nodename"]], Sys.info()[["user"]]))
        """
    ).values()
    assert count == "2"
    host, user = here.removeprefix('c("').removesuffix('")').split('", "')
    assert jobs == f'list(queue = "{pool.queue}", user = "{user}")'
    columns = tasks.removeprefix('c("').removesuffix('")').split('", "')
    assert columns[:8] == [pool.queue] * 2 + ["1...1", "2...2"] + [host] * 2 + [user] * 2
    ours = {pid for peer in pool.peers for pid in [peer.pid, *descendants(peer.pid)]}
    assert {int(pid) for pid in columns[8:]} <= ours
    assert job.value() == "1:2"
