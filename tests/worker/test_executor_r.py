"""What R bodies see in an executor, the same with both R engines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoredis.protocol.messages import Verdict
from pydoredis.worker import engines
from pydoredis.worker.frames import Kind
from tests.worker.executor_process import Executor, peer

pytestmark = pytest.mark.needs_r

EVAL = 'eval(.doRedisGlobals[["expr"]], envir = .doRedisGlobals[["exportenv"]])'


@pytest.fixture(scope="module", params=["rpy2", "rscript"])
def engine(request: pytest.FixtureRequest) -> engines.REngine:
    name: engines.REngine = request.param
    return name


@pytest.fixture(scope="module")
def shared(engine: engines.REngine) -> Iterator[Executor]:
    """An executor for tests that leave it as it was."""
    with Executor("r", engine) as executor:
        yield executor


_numbers = iter(range(1, 1_000_000))


def run(executor: Executor, job: str, task: str = "task(i = 1)", show: str = "value") -> str:
    """Load a job, run one task of it and give the result as R code."""
    number = next(_numbers)
    executor.load(number, peer().make(f"job({job})"))
    return peer().show(executor.run(number, peer().make(task)), show)


def message_of(executor: Executor, job: str) -> str:
    """The message of the error that is the value of the first iteration."""
    return run(executor, job, show="conditionMessage(value[[1]])").strip('"')


# --- values and errors ---


def test_values_carry_the_numbers_of_their_iterations(shared: Executor) -> None:
    assert run(shared, "i * 2", "task(i = 1:3, first = 7L)") == "list(`7` = 2, `8` = 4, `9` = 6)"


def test_empty_task(shared: Executor) -> None:
    shared.load(0, peer().make("job(i)"))
    assert (
        peer().show(shared.run(0, peer().make('serialize(list(ID = "J", argsList = list()), NULL)')))
        == "list()"
    )


def test_null_and_missing_values_keep_their_place(shared: Executor) -> None:
    assert run(shared, "if (i == 1) NULL else quote(expr = )", "task(i = 1:2)") == "list(`1` = NULL, `2` = )"


def test_result_is_xdr_version_3(shared: Executor) -> None:
    shared.load(0, peer().make("job(i)"))
    assert shared.run(0, peer().make("task(i = 1)")).startswith(b"X\n\0\0\0\x03")


def test_results_after_a_large_one_are_in_native_order(shared: Executor) -> None:
    """Which R writes and reads in half the time; small ones are as a redisWorker's."""
    number = next(_numbers)
    shared.load(number, peer().make("job(seq(0.5, by = 1, length.out = i))"))
    large, small = peer().make("task(i = 2e5)"), peer().make("task(i = 2)")
    results = [shared.run(number, task) for task in (small, large, large, small, small)]
    assert [result[:2] for result in results] == [b"X\n", b"X\n", b"B\n", b"B\n", b"X\n"]
    assert peer().show(results[2], "identical(value[[1]], seq(0.5, by = 1, length.out = 2e5))") == "TRUE"
    assert len({peer().show(result) for result in (results[0], *results[3:])}) == 1


@pytest.mark.parametrize(
    ("body", "message", "call"),
    [
        ('stop("bad")', "bad", EVAL),
        ("stopifnot(1 == 2)", "1 == 2 is not TRUE", EVAL),
        ('(function() stop("in f"))()', "in f", '(function() stop("in f"))()'),
        ("break", "no loop for break/next, jumping to top level", EVAL),
    ],
)
def test_errors_are_values(shared: Executor, body: str, message: str, call: str) -> None:
    shown = run(shared, body, show="list(class(value[[1]]), value[[1]]$message, deparse(value[[1]]$call))")
    expected = f'c("simpleError", "error", "condition"), "{message}", {call!r}'
    assert shown.replace('\\"', '"').replace('"' + call + '"', repr(call)) == f"list({expected})"


def test_return_leaves_the_iteration_only(shared: Executor) -> None:
    assert run(shared, "{ if (i == 1) return(5); i }", "task(i = 1:2)") == "list(`1` = 5, `2` = 2L)"


def test_frames_around_the_body(shared: Executor) -> None:
    body = """{ frame <- parent.frame(); list(deparse(sys.call()), identical(environment(), globalenv()),
        environmentName(parent.env(environment())), environmentName(parent.env(frame)),
        ls(all.names = TRUE)) }"""
    assert run(shared, body, show="value[[1]]").replace('\\"', '"') == (
        f'list("{EVAL}", FALSE, "R_GlobalEnv", "base", c(".RNGkind", "frame", "i"))'
    )


def test_deep_recursion_is_an_error(shared: Executor) -> None:
    assert "infinite recursion" in message_of(shared, "{ f <- function(n) f(n + 1); f(1) }")
    assert run(shared, "i") == "list(`1` = 1)"


def test_end_of_the_c_stack_is_an_error(shared: Executor) -> None:
    body = """{ options(expressions = 500000); on.exit(options(expressions = 5000))
        f <- function(n) f(n + 1); f(1) }""".replace("\n", ";")
    assert "stack" in message_of(shared, body).lower()
    assert run(shared, "i") == "list(`1` = 1)"


@pytest.mark.parametrize(
    "body",
    [
        'invokeRestart("abort")',
        'stop(structure(class = c("odd", "condition"), list(message = "no error", call = NULL)))',
    ],
)
def test_jump_to_top_level_costs_one_iteration(shared: Executor, body: str) -> None:
    shown = run(
        shared,
        f"if (i == 2) {body} else i",
        "task(i = 1:3)",
        "list(value[[1]], class(value[[2]]), value[[3]])",
    )
    assert shown == 'list(1L, c("simpleError", "error", "condition"), 3L)'
    assert "jumped to top level" in message_of(shared, body)


def test_a_value_that_cannot_be_serialized(shared: Executor) -> None:
    body = "{ if (i == 2) { x <- 1; for (k in 1:300000) x <- list(x); x } else i }"
    shown = run(shared, body, "task(i = 1:3)", "list(value[[1]], conditionMessage(value[[2]]), value[[3]])")
    assert shown.startswith('list(1L, "the value cannot be serialized: ')
    assert shown.endswith(", 3L)")


def test_verdicts_are_errors(shared: Executor) -> None:
    shared.load(0, peer().make("job(i)"))
    number = shared._numbers + 1
    verdict = Verdict("crash", "killed by SIGSEGV, três\nand more")
    shared.send(Kind.VERDICT, number, 1, body=verdict.encode())
    shown = peer().show(
        shared.run(0, peer().make("task(i = 1:3)")),
        "list(value[[1]], class(value[[2]]), conditionMessage(value[[2]]), value[[3]])",
    )
    classes = 'c("pydoredis_crash", "error", "condition")'
    assert shown == f'list(1L, {classes}, "killed by SIGSEGV, três\\nand more", 3L)'
    assert peer().show(shared.run(0, peer().make("task(i = 1:2)"))) == "list(`1` = 1L, `2` = 2L)"


# --- variables, seeds, jobs ---


def test_variables_stay_for_the_next_iteration(shared: Executor) -> None:
    body = "{ x <- if (exists('z')) z else 0; z <- i; x }"
    assert run(shared, body, "task(i = 1:3)") == "list(`1` = 0, `2` = 1L, `3` = 2L)"


@pytest.mark.parametrize(
    ("arguments", "first_number"),
    [
        ("list(.Random.seed = 7L)", "set.seed(7)"),
        ("list(.Random.seed = structure(7L, class = 'x'))", "set.seed(7)"),
        ("list(.Random.seed = 7L, .Random.seed = 8L)", "set.seed(7)"),
        ("list(.Random.seed = 7)", "{set.seed(1); runif(1)}"),
        ("list(.Random.seed = 7:8)", "{set.seed(1); runif(1)}"),
    ],
)
def test_only_one_integer_is_a_seed(shared: Executor, arguments: str, first_number: str) -> None:
    task = (
        f'serialize(list(ID = "J", argsList = list("1" = list(.Random.seed = 1L), "2" = {arguments})), NULL)'
    )
    shown = run(
        shared,
        "list(runif(1), ls(all.names = TRUE))",
        task,
        f"{{ {first_number}; identical(value[[2]], list(runif(1), '.RNGkind')) }}",
    )
    assert shown == "TRUE"


def test_bad_variables_are_errors_of_their_iteration(shared: Executor) -> None:
    task = 'serialize(list(ID = "J", argsList = list("1" = list(5, x = 1), "2" = list(x = 3))), NULL)'
    shown = run(shared, "x", task, "list(value[[1]]$message, deparse(value[[1]]$call), value[[2]])")
    assert shown == (
        'list("attempt to use zero-length variable name", '
        '"assign(n, args[[n]], pos = .doRedisGlobals$exportenv)", 3)'
    )


def test_switching_jobs_switches_the_generator(shared: Executor) -> None:
    shared.load(1001, peer().make("job(list(RNGkind()[1], runif(1)))"))
    shared.load(1002, peer().make('job(list(RNGkind()[1], runif(1)), kind = "L\'Ecuyer-CMRG")'))
    task = peer().make("task(i = 5, first = 3L)")
    one = shared.run(1001, task)
    two = shared.run(1002, task)
    assert b"Mersenne" in one
    assert b"Ecuyer" in two
    assert shared.run(1001, task) == one
    assert shared.run(1002, task) == two


def test_forgotten_jobs_are_gone(shared: Executor) -> None:
    task = peer().make("task(i = 5)")
    shared.load(1003, peer().make("job(i)"))
    shared.run(1003, task)
    shared.send(Kind.FORGET, 1003)
    shared.send(Kind.FORGET, 4711)
    assert "never sent" in shared.fails(1003, task)
    shared.load(1003, peer().make("job(-i)"))
    assert peer().show(shared.run(1003, task)) == "list(`1` = -5)"


def test_set_seed_worker(shared: Executor) -> None:
    job = "list(runif(1), n), set.seed.worker = function(n) { set.seed(8); n <<- n }, n = 9"
    assert run(shared, job, show="{ set.seed(8); identical(value[[1]], list(runif(1), 0)) }") == "TRUE"
    assert run(shared, "i, set.seed.worker = function(n) stop('refused')") == "list(`1` = 1)"
    run(shared, "i")
    shared.wait_for_output("Error in set.seed.worker(0): refused")


def test_worker_init_runs_once_per_job(shared: Executor) -> None:
    job = "n, n = 0, worker.init = function() n <<- n + 1"
    shared.load(1004, peer().make(f"job({job})"))
    shared.load(1005, peer().make(f"job({job})"))
    task = peer().make("task(i = 1)")
    for number in (1004, 1005, 1004):
        assert peer().show(shared.run(number, task)) == "list(`1` = 1)"
    assert run(shared, "i, worker.init = 5") == "list(`1` = 1)"


@pytest.mark.parametrize(
    ("job", "message", "call"),
    [
        ("i, packages = 'no.such'", "there is no package called", "library(p, character.only = TRUE)"),
        ("i, parentenv = 'no.such'", "there is no package called", "loadNamespace(name)"),
        ("i, kind = 'nonsense'", "is not a valid abbreviation", 'RNGkind("nonsense")'),
        ("i, worker.init = function() stop('not today')", "not today", "(function () stop("),
    ],
)
def test_a_job_that_cannot_be_set_up(shared: Executor, job: str, message: str, call: str) -> None:
    number = next(_numbers)
    shared.load(number, peer().make(f"job({job})"))
    task = peer().make("task(i = 1:2)")
    for _ in range(2):
        show = "lapply(value, function(e) list(conditionMessage(e), paste(deparse(e$call), collapse = '')))"
        shown = peer().show(shared.run(number, task), show).replace('\\"', '"')
        assert shown.count(message) >= 2
        assert shown.count(call) >= 2


def test_packages_are_attached(shared: Executor) -> None:
    job = (
        "which(search() == 'package:splines') < which(search() == 'package:iterators'), packages = 'splines'"
    )
    assert run(shared, job) == "list(`1` = TRUE)"


def test_search_path_of_an_r_worker(shared: Executor) -> None:
    shown = run(
        shared, "list(search()[search() %in% c('package:foreach', 'package:iterators')], ls(globalenv()))"
    )
    assert shown == 'list(`1` = list(c("package:iterators", "package:foreach"), character(0)))'


# --- messages that cannot be read ---


def test_unreadable_task(shared: Executor) -> None:
    shared.load(0, peer().make("job(i)"))
    assert "R cannot read the task" in shared.fails(0, b"not R")
    assert "R cannot read the task" in shared.fails(0, b"")
    assert "is not a list" in shared.fails(0, peer().make("serialize(1:3, NULL)"))
    assert "argsList" in shared.fails(0, peer().make("serialize(list(ID = 'J', argsList = 'x'), NULL)"))
    assert "never sent" in shared.fails(987654, peer().make("task(i = 1)"))


@pytest.mark.parametrize(
    "code", ["charToRaw('not R')", "raw()", "serialize(1:3, NULL)", "serialize(list(), NULL)"]
)
def test_unreadable_environment(shared: Executor, code: str) -> None:
    number = next(_numbers)
    shared.load(number, peer().make(code))
    result = shared.run(number, peer().make("task(i = 1:2)"))
    shown = peer().show(result, "vapply(value, conditionMessage, '')")
    assert shown.count("R cannot read the job environment") == 2


# --- output, the end ---


def test_output_is_there_before_the_result(shared: Executor) -> None:
    run(shared, "{ cat('to stdout\\n'); message('to stderr'); print(i); system('echo from a child') }")
    run(shared, "{ write('raw', stdout()); warning('careful') }")
    run(shared, "as.integer('x')")
    run(shared, "{ suppressWarnings(warning('unheard')); cat('the end\\n') }")
    for text in (
        "to stdout\n",
        "to stderr\n",
        "[1] 1\n",
        "from a child\n",
        "raw\n",
        ": careful\n",
        "coercion\n",
        "the end\n",
    ):
        shared.wait_for_output(text)
    assert "unheard" not in shared.printed


def test_hanging_up_ends_the_executor_after_its_work(engine: engines.REngine) -> None:
    with Executor("r", engine) as executor:
        executor.load(1, peer().make("job({ Sys.sleep(0.1); i })"))
        task = peer().make("task(i = 1)")
        numbers = [executor.submit(1, task) for _ in range(2)]
        assert executor.hang_up() == 0
        assert [executor.next_result()[0] for _ in range(2)] == numbers


def test_quit_in_a_body_is_the_exit_status(engine: engines.REngine) -> None:
    with Executor("r", engine) as executor:
        executor.load(1, peer().make("job({ cat('bye'); quit('no', 7) })"))
        executor.submit(1, peer().make("task(i = 1)"))
        assert executor.receive() is None
        assert executor.hang_up() == 7
        assert executor.end_output().endswith("bye\n")


def test_a_terminal_cannot_interrupt_it(engine: engines.REngine) -> None:
    with Executor("r", engine) as executor:
        assert os.getsid(executor.process.pid) == executor.process.pid


def test_profile_is_read_as_by_rscript(engine: engines.REngine, tmp_path: Path) -> None:
    profile = f"{tmp_path}/profile"
    with open(profile, "w") as file:
        file.write("options(seen = interactive()); cat('profile\\n')\n")
    with Executor("r", engine, {"R_PROFILE_USER": profile, "R_LIBS": str(tmp_path)}) as executor:
        assert run(executor, f"list(getOption('seen'), '{tmp_path}' %in% .libPaths())") == (
            "list(`1` = list(FALSE, TRUE))"
        )
        executor.wait_for_output("profile\n")


def test_what_is_found_in_the_environment(engine: engines.REngine) -> None:
    """As in an R process: what R's front end sets, and what R itself does."""
    # R's front end is a shell, which sets or takes away some itself.
    names = "setdiff(sort(names(Sys.getenv())), c('SHLVL', 'PS1', 'COLUMNS', 'LINES'))"
    code = f"c({names}, R.home('share'), R.home('include'), R.home('doc'), R.home())"
    with Executor("r", engine) as executor:
        found = run(executor, f"{{ x <- {code}; c(x, Sys.getenv('LD_LIBRARY_PATH')) }}", show="value[[1]]")
        assert run(executor, "file.exists(file.path(R.home('share'), 'licenses'))") == "list(`1` = TRUE)"
    program = f"cat(deparse(c({code}, Sys.getenv('LD_LIBRARY_PATH')), 500), sep = ' ')"
    expected = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True).stdout
    assert found.replace(" ", "") == expected.replace(" ", "")


def test_an_rpy2_that_was_built_for_another_r_says_nothing(tmp_path: Path) -> None:
    """It then works in its other mode."""
    (tmp_path / "_rinterface_cffi_api.py").write_text("raise ImportError('built for another R')")
    with Executor("r", "rpy2", {"PYTHONPATH": str(tmp_path)}) as executor:
        assert run(executor, "i") == "list(`1` = 1)"
        executor.hang_up()
        assert executor.end_output() == ""
