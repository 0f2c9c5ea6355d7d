"""R inside a Python process, each time in a process of its own: an R can't be started twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_r

PRELUDE = """
import sys, threading
from pathlib import Path
from rinterop.runtime import embedded
from rinterop.runtime.base import RError, RJump
r = embedded.start()
r.source(Path(sys.argv[1]), provide={"shout": lambda data: data.upper(), "fail": lambda data: 1 / 0})
"""

R_CODE = """
same <- function(data, numbers) data
sum_up <- function(data, numbers) charToRaw(as.character(sum(numbers)))
refuse <- function(data, numbers) "n\\u00e3o"
raise <- function(data, numbers) stop("not caught")
abort <- function(data, numbers) invokeRestart("abort")
loud <- function(data, numbers) shout(data)
fails <- function(data, numbers) fail(data)
look <- function(data, numbers) {
  charToRaw(paste(interactive(), environmentName(parent.env(parent.env(environment())))))
}
say <- function(data, numbers) { cat("out\\n"); message("err"); system("echo child"); raw() }
"""


def python(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    source = tmp_path / "functions.R"
    source.write_text(R_CODE, "utf-8")
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code, str(source)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_bytes_in_bytes_out(tmp_path: Path) -> None:
    done = python(
        tmp_path,
        """
same, sums, loud = r.function("same"), r.function("sum_up", 3), r.function("loud")
for data in (b"", b"\\0\\1\\2", bytes(range(256)) * 50_000):
    assert same(data) == data
assert sums(b"", 1, 2, -10) == b"-7"
assert loud(b"abc") == b"ABC"
assert r.function("look")(b"") == b"FALSE base"
assert r.version.count(".") == 2 and embedded.start() is r
""",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_errors(tmp_path: Path) -> None:
    done = python(
        tmp_path,
        """
def error_of(name):
    try:
        r.function(name)(b"x")
    except RError as exc:
        return type(exc).__name__, str(exc)
assert error_of("refuse") == ("RError", "não"), error_of("refuse")
kind, text = error_of("raise")
assert kind == "RJump" and "not caught" in text
assert error_of("abort")[0] == "RJump"
assert r.function("same")(b"works") == b"works"
""",
    )
    assert done.returncode == 0, done.stderr


def test_output_comes_in_order_and_unbuffered(tmp_path: Path) -> None:
    done = python(tmp_path, 'r.function("say")(b"")\nimport os; os._exit(0)')
    assert done.stdout == "out\nchild\n"
    assert done.stderr == "err\n"


def test_a_python_function_that_raises_ends_the_process(tmp_path: Path) -> None:
    done = python(tmp_path, 'r.function("fails")(b"")')
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr


def test_quit_ends_the_process(tmp_path: Path) -> None:
    done = python(tmp_path, 'r.quit()\nraise SystemExit("still here")')
    assert (done.returncode, done.stderr) == (0, "")


def test_main_thread_only(tmp_path: Path) -> None:
    code = """
embedded._started = None
def start():
    try:
        embedded.start()
    except RuntimeError as exc:
        print(exc)
thread = threading.Thread(target=start); thread.start(); thread.join()
"""
    assert "main thread" in python(tmp_path, code).stdout
