"""`redisGet` and its like in a body: with doRedis installed, without it, and with no packages at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoredis.worker import engines
from tests.worker.executor_process import Executor, peer

pytestmark = pytest.mark.needs_r


def library(folder: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """The environment of an R that finds its own packages and these."""
    for package in packages:
        found = peer().make(f"charToRaw(find.package('{package}'))").decode()
        (folder / package).symlink_to(found)
    profile = folder / "profile.R"
    profile.write_text(f".libPaths('{folder}', include.site = FALSE)\n")
    return {"R_PROFILE_USER": str(profile)}


@pytest.fixture(
    scope="module",
    params=[
        (engine, packages) for engine in ("rpy2", "rscript") for packages in ("doRedis", "foreach", "none")
    ],
    ids=lambda param: "-".join(param),
)
def executor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor whose R finds all packages, foreach but not doRedis, or R's own only."""
    engine: engines.REngine
    engine, packages = request.param
    environment: dict[str, str] = {}
    if packages == "doRedis":
        if not peer().make("charToRaw(system.file(package = 'doRedis'))"):
            pytest.skip("doRedis is not installed")
    else:
        wanted = ("foreach", "iterators") if packages == "foreach" else ()
        environment = library(tmp_path_factory.mktemp("library"), wanted)
    with Executor("r", engine, environment) as running:
        yield running


_numbers = iter(range(1, 1_000_000))


def run(executor: Executor, job: str, show: str = "value[[1]]") -> str:
    number = next(_numbers)
    executor.load(number, peer().make(f"job({job})"))
    return peer().show(executor.run(number, peer().make("task(i = 1)")), show)


def test_values_are_those_of_doredis(executor: Executor) -> None:
    """What a redisWorker of doRedis 3.0.2 gave for these calls."""
    body = """list(redisSet("kk", 1:3), redisGet("kk"), redisGet("no key"), redisDelete("kk"),
        redisDelete("kk"), redisDelete(c("a", "b")), redisSet(1, 2), redisGet(1))"""
    assert run(executor, body) == (
        'list(structure("OK", class = "redis_status"), 1:3, NULL, 1L, 0L, 0L, '
        'structure("OK", class = "redis_status"), 2)'
    )


@pytest.mark.parametrize("call", ["redisGet(c('a', 'b'))", "redisGet(NULL)", "redisSet(NULL, 1)"])
def test_keys_must_be_scalars(executor: Executor, call: str) -> None:
    assert (
        run(executor, call, "list(value[[1]]$message, value[[1]]$call)")
        == 'list("key must be a scalar", NULL)'
    )


def test_packages_of_the_fixture(executor: Executor, request: pytest.FixtureRequest) -> None:
    """Whether doRedis is there or not, the search path is that of a redisWorker."""
    shown = run(executor, "search()")
    packages = request.node.callspec.params["executor"][1]
    attached = ("doRedis",) if packages == "none" else ("doRedis", "iterators", "foreach")
    standard = ("stats", "graphics", "grDevices", "utils", "datasets", "methods")
    names = [
        ".GlobalEnv",
        *(f"package:{name}" for name in (*attached, *standard)),
        "Autoloads",
        "package:base",
    ]
    assert shown == f"c({', '.join(json.dumps(name) for name in names)})"


@pytest.mark.rpeer
def test_all_of_doredis_is_there_once_it_is_used(executor: Executor, request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["executor"][1] != "doRedis":
        pytest.skip("doRedis is not installed in this case")
    body = """{ before <- isNamespaceLoaded("doRedis"); names <- ls("package:doRedis");
        stopifnot(identical(environment(setChunkSize), asNamespace("doRedis")), isNamespaceLoaded("doRedis"));
        stopifnot(identical(find("tasks"), "package:doRedis"), is.function(redisWorker));
        stopifnot(identical(doRedis::redisGet, redisGet), identical(doRedis::tasks, tasks));
        stopifnot(setequal(names, getNamespaceExports("doRedis"))); before }"""
    assert run(executor, body.replace("\n", " ")) == "FALSE"


def test_values_that_are_not_rs(executor: Executor) -> None:
    executor.store.values.update({b"text": b"plain text", b"binary": b"\x01\0\x02"})
    assert run(executor, "redisGet('text')") == '"plain text"'
    assert run(executor, "redisGet('binary')", "value[[1]]$message") == '"unknown input format"'


def test_big_values(executor: Executor) -> None:
    body = "{ x <- as.numeric(1:500000); redisSet('big', x); identical(redisGet('big'), x) }"
    assert run(executor, body) == "TRUE"


def test_queued_tasks_wait_for_the_answer(executor: Executor) -> None:
    """Frames that come before the answer are kept, in order."""
    executor.store.values[b"k"] = peer().make("serialize(10, NULL)")
    executor.load(0, peer().make("job({ a <- redisGet('k'); b <- redisGet('k'); a + b + i })"))
    numbers = [executor.submit(0, peer().make(f"task(i = {i})")) for i in range(5)]
    results = [executor.next_result() for _ in numbers]
    assert [number for number, _ in results] == numbers
    assert [peer().show(data) for _, data in results] == [f"list(`1` = {20 + i})" for i in range(5)]


def test_logger_prints_and_returns_a_line(executor: Executor) -> None:
    line = run(executor, "logger('hello')").strip('"')
    assert re.fullmatch(rf"@ \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \S+ {executor.process.pid} hello", line)
    executor.wait_for_output(line + " \n")


@pytest.mark.parametrize(
    "job",
    [
        "doRedis::redisGet('k')",
        "doRedis:::redisGet('k')",
        "getExportedValue('doRedis', 'redisGet')('k')",
        "{ library(doRedis); redisGet('k') }",
        "{ stopifnot(requireNamespace('doRedis')); asNamespace('doRedis')$redisGet('k') }",
        "redisGet('k'), packages = 'doRedis'",
    ],
)
def test_however_it_is_called(executor: Executor, job: str) -> None:
    executor.store.values[b"k"] = peer().make("serialize('found', NULL)")
    assert run(executor, job) == '"found"'


@pytest.mark.rpeer
def test_function_of_the_namespace(executor: Executor) -> None:
    """Loops in functions with dots export such references (protocol, section 3)."""
    code = """e <- new.env(parent = emptyenv()); e$f <- function(k) redisGet(k);
        environment(e$f) <- asNamespace('doRedis');
        serialize(list(expr = quote(f('k')), exportenv = e, packages = NULL), NULL)"""
    executor.store.values[b"k"] = peer().make("serialize('found', NULL)")
    number = next(_numbers)
    executor.load(number, peer().make(f"{{ {code} }}"))
    assert peer().show(executor.run(number, peer().make("task(i = 1)"))) == 'list(`1` = "found")'


def test_a_function_of_ours_is_small(executor: Executor) -> None:
    """A body that returns one must not send the engine along."""
    number = next(_numbers)
    executor.load(number, peer().make("job(redisGet)"))
    assert len(executor.run(number, peer().make("task(i = 1)"))) < 50_000


def test_an_agent_that_dies_meanwhile_ends_the_executor() -> None:
    with Executor("r", "rpy2") as executor:
        executor.load(0, peer().make("job(redisGet('k'))"))
        executor.submit(0, peer().make("task(i = 1)"))
        assert executor.hang_up() == 0
