"""What is printed is put down to the iteration that printed it, whatever bodies do with their output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pydoredis.worker import engines
from pydoredis.worker.frames import Kind
from tests.worker import test_executor_python as python
from tests.worker.executor_process import Executor, peer, wait_until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_ENGINES: dict[str, engines.REngine] = {"rpy2": "rpy2", "rscript": "rscript"}
ENGINES = ["python", *(pytest.param(name, marks=pytest.mark.needs_r) for name in R_ENGINES)]


class Bodies:
    """An executor that runs a body in Python or in R with the argument `i`."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.executor = Executor("cloudpickle" if engine == "python" else "r", R_ENGINES.get(engine, "rpy2"))
        self._jobs = 0

    def load(self, in_python: Callable[[int], Any], in_r: str) -> int:
        """A job; its number."""
        self._jobs += 1
        job = python.environment(in_python) if self.engine == "python" else peer().make(f"job({{ {in_r} }})")
        self.executor.load(self._jobs, job)
        return self._jobs

    def task(self, iterations: int, first: int = 1) -> bytes:
        """A task with so many iterations, whose `i` are their numbers."""
        if self.engine == "python":
            return python.task(*({"i": first + n} for n in range(iterations)), first=first)
        return peer().make(f"task(i = {first} + 0:{iterations - 1}, first = {first}L)")

    def printed(self, count: int) -> list[tuple[str, int | None]]:
        """Text and place of the last `count` lines, once there are so many."""
        wait_until(lambda: len(self.executor.lines) >= count)
        return [(line.text.rstrip(" "), line.place) for line in self.executor.lines[-count:]]


@pytest.fixture(scope="module", params=ENGINES)
def bodies(request: pytest.FixtureRequest) -> Iterator[Bodies]:
    """An executor for tests that leave it as it was."""
    made = Bodies(request.param)
    with made.executor:
        yield made


@pytest.fixture
def own_bodies(bodies: Bodies) -> Iterator[Bodies]:
    """One that a test may spoil."""
    made = Bodies(bodies.engine)
    with made.executor:
        yield made


def says(i: int) -> None:
    print("I am", i)


def test_tasks_of_one_iteration_far_ahead_of_the_reader(bodies: Bodies) -> None:
    job = bodies.load(says, "cat('I am', i, '\\n')")
    tasks = [bodies.task(1, n) for n in range(1, 101)]
    before = len(bodies.executor.lines)
    for n, task in enumerate(tasks, 1):
        bodies.executor.submit(job, task, place=2 * n)
    for _ in tasks:
        bodies.executor.next_result()
    expected = [(f"I am {n}", 2 * n) for n in range(1, 101)]
    assert bodies.printed(before + 100)[-100:] == expected


def says_without_end_of_line(i: int) -> None:
    if i % 3:
        print("half a line", end="")


def test_iterations_of_a_task(bodies: Bodies) -> None:
    """Those that print nothing between those that print; a line that is not ended ends with its iteration."""
    job = bodies.load(says_without_end_of_line, "if (i %% 3) cat('half a line')")
    before = len(bodies.executor.lines)
    bodies.executor.run(job, bodies.task(300), place=1000)
    bodies.executor.run(bodies.load(says, "cat('I am', i, '\\n')"), bodies.task(1), place=2000)
    expected = [("half a line", 1000 + n) for n in range(1, 301) if n % 3]
    assert bodies.printed(before + 201)[-201:] == [*expected, ("I am 1", 2000)]


def has_children_say(i: int) -> None:
    os.system(f"echo child of {i}; echo its error >&2")


def test_what_children_print(bodies: Bodies) -> None:
    job = bodies.load(has_children_say, "system(paste('echo child of', i, '; echo its error >&2'))")
    before = len(bodies.executor.lines)
    bodies.executor.run(job, bodies.task(3), place=10)
    expected = [(text, 10 + n) for n in (1, 2, 3) for text in (f"child of {n}", "its error")]
    assert bodies.printed(before + 6)[-6:] == expected


def prints_all_that_looks_like_ours(i: int) -> None:
    os.write(1, b"\x1e%d 0123456789abcdef\n\x1e%d \n\x1e\n\x1e" % (i + 1, i + 1))


def test_a_body_cannot_say_that_it_is_another_one(bodies: Bodies) -> None:
    in_r = r"cat(paste0('\036', i + 1, c(' 0123456789abcdef\n', ' \n')), '\036\n', '\036', sep = '')"
    job = bodies.load(prints_all_that_looks_like_ours, in_r)
    before = len(bodies.executor.lines)
    bodies.executor.run(job, bodies.task(3), place=10)
    bodies.executor.run(bodies.load(says, "cat('I am', i, '\\n')"), bodies.task(1), place=20)
    expected = [
        (text, 10 + n)
        for n in (1, 2, 3)
        for text in (f"\x1e{n + 1} 0123456789abcdef", f"\x1e{n + 1}", "\x1e", "\x1e")
    ]
    assert bodies.printed(before + 13)[-13:-1] == expected


def diverts(i: int, file: str) -> None:
    if i == 1:
        sys.stdout = open(file, "w")  # noqa: SIM115
    print("iteration", i)
    os.system("echo child")
    if i == 3:
        sys.stdout.close()
        sys.stdout = sys.__stdout__


def test_diverted_output_is_the_users_alone(own_bodies: Bodies, tmp_path: Path) -> None:
    file = tmp_path / "diverted"
    in_r = f"if (i == 1) sink('{file}'); cat('iteration', i, '\\n'); system('echo child'); if (i == 3) sink()"
    job = own_bodies.load(lambda i: diverts(i, str(file)), in_r)
    own_bodies.executor.run(job, own_bodies.task(3), place=10)
    assert [line.strip() for line in file.read_text().splitlines()] == [f"iteration {n}" for n in (1, 2, 3)]
    assert own_bodies.printed(3)[-3:] == [("child", 10 + n) for n in (1, 2, 3)]


def dies_in_silence(i: int) -> None:
    if i == 3:
        os._exit(3)


@pytest.mark.parametrize("diverted", [False, True])
def test_where_a_process_has_died(own_bodies: Bodies, tmp_path: Path, diverted: bool) -> None:
    sink = f"if (i == 1) sink('{tmp_path}/sink'); cat('not seen\\n'); " if diverted else ""
    job = own_bodies.load(dies_in_silence, sink + "if (i == 3) quit('no', 3)")
    own_bodies.executor.submit(job, own_bodies.task(4), place=50)
    assert own_bodies.executor.receive() is None
    assert own_bodies.executor.hang_up() == 3
    assert own_bodies.executor.output.place == 53


def says_and_waits(i: int) -> None:
    print("waiting", flush=True)
    sys.stdin.read()
    if i == 2:
        os.kill(os.getpid(), 9)


def test_where_a_process_has_died_that_printed(own_bodies: Bodies) -> None:
    job = own_bodies.load(says_and_waits, "cat('waiting\\n'); if (i == 2) tools::pskill(Sys.getpid(), 9)")
    own_bodies.executor.submit(job, own_bodies.task(4), place=50)
    assert own_bodies.executor.receive() is None
    assert own_bodies.executor.hang_up() == -9
    assert own_bodies.printed(2)[-2:] == [("waiting", 51), ("waiting", 52)]
    assert own_bodies.executor.output.place == 52


def test_where_it_is_before_the_first_iteration(own_bodies: Bodies) -> None:
    assert own_bodies.executor.output.place is None
    own_bodies.executor.submit(7, own_bodies.task(4), place=50)
    frame = own_bodies.executor.receive()
    assert frame is not None
    assert frame.kind == Kind.FAILED
    assert own_bodies.executor.output.place == 50


def redirects_the_descriptor(i: int, file: str) -> None:
    """As tools do that capture what C code prints."""
    captured = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(captured, 1)
    os.system(f"echo captured {i}")
    if i == 2:
        os.dup2(2, 1)
        print("shown", i)


def test_a_redirected_descriptor(tmp_path: Path) -> None:
    file = tmp_path / "captured"
    with Executor("cloudpickle") as executor:
        executor.load(1, python.environment(lambda i: redirects_the_descriptor(i, str(file))))
        executor.run(1, python.task({"i": 1}, {"i": 2}), place=10)
        assert file.read_text() == "captured 1\ncaptured 2\n"
        executor.wait_for_output("shown 2")
        assert executor.lines[-1] == ("shown 2", 12)
