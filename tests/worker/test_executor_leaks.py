"""What an R body leaves behind does not reach our own code: what comes after it is read, run and answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pydoredis.worker import engines
from tests.worker.executor_process import DATA, Executor, peer

pytestmark = pytest.mark.needs_r


@pytest.fixture(scope="module", params=["rpy2", "rscript"])
def engine(request: pytest.FixtureRequest) -> engines.REngine:
    name: engines.REngine = request.param
    return name


@pytest.fixture(scope="module")
def shared(engine: engines.REngine) -> Iterator[Executor]:
    """For bodies whose doings can be undone."""
    with Executor("r", engine) as executor:
        executor.loosen()
        yield executor


_numbers = iter(range(1, 1_000_000))


def run(executor: Executor, body: str, task: str = "task(i = 1)", show: str = "value") -> str:
    """Load a job, run one task of it and give the result as R code."""
    number = next(_numbers)
    executor.load(number, peer().make(f"job({{ {body} }})"))
    return peer().show(executor.run(number, peer().make(task)), show)


def left_behind() -> dict[str, tuple[str, str]]:
    """By name: what a body does, and what undoes it."""
    found = {}
    for section in (DATA / "leaks.R").read_text().split("\n## ")[1:]:
        name, _, text = section.partition("\n")
        body, _, undo = text.partition("undo:\n")
        found[name] = (body.strip().replace("\n", "; "), undo.strip().replace("\n", "; "))
    return found


LEFT_BEHIND = left_behind()

FOR_GOOD = {
    "a locked global environment": "runif(1); lockEnvironment(globalenv())",
    "another environment": "Sys.setenv(TZ = 'No/Where', LANG = 'xx', PATH = '', R_HOME = '/')",
    "base functions replaced": "for (f in c('serialize', 'exists')) assignInNamespace(f, stop, 'base')",
    "base functions traced": (
        "for (f in c('serialize', 'unserialize', 'withCallingHandlers', 'assign', 'exists', 'set.seed'))"
        " suppressMessages(trace(f, quote(stop('traced')), print = FALSE))"
    ),
}

SAME = "identical(value, lapply(setNames(1:3, 1:3), function(n) { set.seed(n); list(n, runif(1)) }))"


def comes_between(executor: Executor, body: str, undo: str) -> list[str]:
    """Run a body in the first of two iterations, another job, what undoes it, the other job again.

    Returns:
        How many results the first task has; then, for each task of the other job, whether it is as ever.
    """
    number, other = next(_numbers), next(_numbers)
    both = f"if (i == 1) {{ {body} }}; if (i == 3) {{ {undo or 'NULL'} }}; NULL"
    executor.load(number, peer().make(f"job({{ {both} }})"))
    executor.load(other, peer().make("job(base::list(i, stats::runif(1)))"))
    others = peer().make("task(i = 1:3)")
    executor.submit(number, peer().make("task(i = 1:2)"))
    executor.submit(other, others)
    executor.submit(number, peer().make("task(i = 3)"))
    executor.submit(other, others)
    results = [executor.next_result()[1] for _ in range(4)]
    shows = ("length(value)", SAME, "TRUE", SAME)
    return [peer().show(result, show) for result, show in zip(results, shows, strict=True)]


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_what_comes_after_it(shared: Executor, name: str) -> None:
    """Further iterations of the task have a value or an error of their own; other jobs are as ever."""
    body, undo = LEFT_BEHIND[name]
    assert comes_between(shared, body, undo) == ["2L", "TRUE", "TRUE", "TRUE"]


@pytest.mark.parametrize("name", FOR_GOOD)
def test_what_comes_after_what_cannot_be_undone(engine: engines.REngine, name: str) -> None:
    with Executor("r", engine) as executor:
        assert comes_between(executor, FOR_GOOD[name], "") == ["2L", "TRUE", "TRUE", "TRUE"]


# --- the values of the iterations themselves ---


INTERRUPT = "structure(class = c('interrupt', 'condition'), list(message = 'mine', call = NULL))"


@pytest.mark.parametrize(
    "body",
    [
        "closeAllConnections()",
        "stopifnot(nrow(showConnections()) == 0, identical(getAllConnections(), 0:2))",
        "for (n in 1:100) file(tempfile(), 'w'); gc()",
        "stopifnot(!length(c(readLines(stdin()), readLines(file('stdin')), scan('', quiet = TRUE))))",
        "stopifnot(readline() == '')",
        "if (i > 1) Sys.sleep(0.02); setTimeLimit(elapsed = 0.01)",
        "if (i > 1) for (n in 1:1e5) n; setSessionTimeLimit(cpu = 0.001)",
        "suppressMessages({ trace('tryCatch', quote(stop('traced')), print = FALSE); untrace('tryCatch') })",
        f"signalCondition({INTERRUPT})",
        "signalCondition(structure(class = c('interrupt', 'condition'), list()))",
        "signalCondition(simpleCondition('a'))",
        "signalCondition(simpleWarning('c')); suppressWarnings(warning('d'))",
        "tryCatch(stop('e'), error = identity)",
        "tryCatch({ setTimeLimit(elapsed = 0.01); repeat 1 }, error = identity)",
        "withRestarts(invokeRestart('abort', 1), abort = identity)",
    ],
)
def test_values(shared: Executor, body: str) -> None:
    """Those of all iterations of a task, and none is an error."""
    assert run(shared, f"{body}; i", "task(i = 1:4)") == "list(`1` = 1L, `2` = 2L, `3` = 3L, `4` = 4L)"


def test_an_interrupt_condition_that_is_thrown_is_an_error(shared: Executor) -> None:
    """A redisWorker dies of it."""
    thrown = "stop(structure(class = c('interrupt', 'condition'), list(message = 'mine', call = NULL)))"
    shown = run(
        shared, f"if (i == 2) {thrown}; i", "task(i = 1:3)", "list(value[[1]], class(value[[2]]), value[[3]])"
    )
    assert shown == 'list(1L, c("simpleError", "error", "condition"), 3L)'


def test_a_sink_lasts_as_long_as_its_job_has_its_turn(shared: Executor, tmp_path: str) -> None:
    """As on a redisWorker; but it does not get what other jobs print."""
    file = f"{tmp_path}/sink"
    mine, other = next(_numbers), next(_numbers)
    shared.load(
        mine, peer().make(f"job({{ if (i == 1) sink('{file}'); cat('mine', i, '\\n'); sink.number() }})")
    )
    shared.load(other, peer().make("job({ cat('of another job\\n'); sink.number() })"))
    for number, i, sinks in ((mine, 1, 1), (mine, 2, 1), (other, 1, 0), (mine, 3, 0)):
        result = shared.run(number, peer().make(f"task(i = {i})"))
        assert peer().show(result) == f"list(`1` = {sinks}L)"
    shared.wait_for_output("mine 3")
    assert "of another job" in shared.printed
    with open(file) as lines:
        assert lines.read().split("\n") == ["mine 1 ", "mine 2 ", ""]
