"""What bodies start finds signals as the children of a shell do, none of them ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import cloudpickle
import pytest

from tests.worker import test_executor_python as python
from tests.worker.executor_process import Executor, peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])

IGNORED = "sed -n 's/^SigIgn:\\s*//p' /proc/self/status"
BROKEN_PIPE = "timeout 20 sh -c 'while :; do echo y; done' 2>/dev/null | head -n 1"
STATUS = "bash -c 'yes | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}' 2>/dev/null"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells")


def in_python(how: str, command: str) -> str:
    if how == "os.system":
        os.system(f"{command} > said")
        with open("said") as file:
            return file.read()
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


def said_in_python(command: str, how: str, folder: str) -> str:
    with Executor("cloudpickle") as executor:

        def body() -> str:
            os.chdir(folder)
            return in_python(how, command)

        executor.load(1, python.environment(body))
        status, value = python.outcomes(executor.run(1, python.task({})))["1"]
        assert status == "ok"
        return str(value).strip()


def said_in_r(command: str, engine: str) -> str:
    with Executor("r", "rpy2" if engine == "rpy2" else "rscript") as executor:
        # In a script, so that nothing has to be quoted.
        executor.store.values[b"command"] = peer().make(f"serialize({r_string(command)}, NULL)")
        executor.load(1, peer().make("job(system(redisGet('command'), intern = TRUE))"))
        return peer().show(executor.run(1, peer().make("task(i = 1)")), "value[[1]]").strip('"')


def r_string(text: str) -> str:
    """The text as a literal of R."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


CASES = [
    "os.system",
    "subprocess",
    *(pytest.param(engine, marks=pytest.mark.needs_r) for engine in ("rpy2", "rscript")),
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def said(case: str, command: str, folder: object) -> str:
    """What a command prints that a body runs."""
    return said_in_r(command, case) if case.startswith("r") else said_in_python(command, case, str(folder))


def test_no_signal_is_ignored(case: str, tmp_path: object) -> None:
    ignored = int(said(case, IGNORED, tmp_path), 16)
    names = ("PIPE", "XFSZ", "INT", "TERM", "USR1", "CHLD")
    assert not [name for name in names if ignored >> (signal.Signals[f"SIG{name}"] - 1) & 1]


def test_a_writer_ends_when_nobody_reads(case: str, tmp_path: object) -> None:
    """It would go on for ever, and `timeout` would end it: then the status is another one."""
    assert said(case, BROKEN_PIPE, tmp_path) == "y"
    assert said(case, STATUS, tmp_path) == str(128 + signal.SIGPIPE)


@pytest.mark.needs_r
@pytest.mark.parametrize("engine", ["rpy2", "rscript"])
def test_a_pipe_that_breaks_is_an_r_error_as_ever(engine: str) -> None:
    with Executor("r", "rpy2" if engine == "rpy2" else "rscript") as executor:
        body = "p <- pipe('exec true', 'w'); Sys.sleep(0.3); writeLines(strrep('x', 1e5), p); flush(p); 1"
        executor.load(1, peer().make(f"job({{ {body} }})"))
        result = executor.run(1, peer().make("task(i = 1)"))
        assert peer().show(result, "conditionMessage(value[[1]])") == '"ignoring SIGPIPE signal"'
        executor.load(2, peer().make("job(i)"))
        assert peer().show(executor.run(2, peer().make("task(i = 1)"))) == "list(`1` = 1)"
