"""SIGINT to an executor: it ends the body that runs, whose cleaning up is done, and nothing else."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from pydoredis.worker import engines
from pydoredis.worker.answers import Request
from pydoredis.worker.frames import Frame, Kind
from tests.worker import test_executor_python as python
from tests.worker.executor_process import Executor, peer, wait_until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_ENGINES: dict[str, engines.REngine] = {"rpy2": "rpy2", "rscript": "rscript"}


def sleep(path: str) -> None:
    try:
        print("at work")
        time.sleep(600)
    finally:
        Path(path, "cleaned up").touch()


def spin(path: str) -> None:
    try:
        print("at work")
        while True:
            pass
    finally:
        Path(path, "cleaned up").touch()


def swallow(path: str) -> int:
    """Takes its time to clean up, during which it is not to be interrupted again."""
    try:
        print("at work")
        time.sleep(600)
    except KeyboardInterrupt:
        time.sleep(0.1)
        Path(path, "cleaned up").touch()
    return 1


def nothing(path: str) -> str:
    return path


R_CLEAN_UP = "on.exit(file.create(file.path(path, 'cleaned up')))"
BODIES: dict[str, tuple[Callable[[str], Any], str]] = {
    "sleep": (sleep, f"(function() {{ {R_CLEAN_UP}; cat('at work\\n'); Sys.sleep(600) }})()"),
    "spin": (spin, f"(function() {{ {R_CLEAN_UP}; cat('at work\\n'); repeat path }})()"),
    "nothing": (nothing, "path"),
}


class Bodies:
    """Runs bodies, in Python or in R, with an argument `path`."""

    def __init__(self, engine: str, path: Path) -> None:
        self._is_r = engine in R_ENGINES
        self.executor = Executor("r" if self._is_r else "cloudpickle", R_ENGINES.get(engine, "rpy2"))
        self._path = str(path)
        self._jobs = 0

    def submit(self, name: str, iterations: int = 1) -> int:
        """Send a task; its number."""
        in_python, in_r = BODIES[name]
        self._jobs += 1
        if self._is_r:
            self.executor.load(self._jobs, peer().make(f"job({{ {in_r} }})"))
            path = f"c({', '.join([repr(self._path)] * iterations)})"
            return self.executor.submit(self._jobs, peer().make(f"task(path = {path})"))
        self.executor.load(self._jobs, python.environment(in_python))
        return self.executor.submit(self._jobs, python.task(*[{"path": self._path}] * iterations))

    def interrupt(self) -> None:
        """As an agent does it."""
        self.executor.process.send_signal(signal.SIGINT)
        self.executor.send(Kind.BARRIER, 0)

    def answer(self) -> Frame:
        """The next one."""
        frame = self.executor.receive()
        assert frame is not None, self.executor.end_output()
        return frame


@pytest.fixture(
    params=[
        "python",
        *(pytest.param(name, marks=pytest.mark.needs_r) for name in R_ENGINES),
    ]
)
def bodies(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bodies]:
    made = Bodies(request.param, tmp_path)
    with made.executor:
        yield made


@pytest.mark.parametrize("body", ["sleep", "spin"])
@pytest.mark.parametrize("iterations", [1, 3])
def test_a_body_is_interrupted_and_cleans_up(
    bodies: Bodies, tmp_path: Path, body: str, iterations: int
) -> None:
    number = bodies.submit(body, iterations)
    bodies.executor.wait_for_output("at work")
    bodies.interrupt()
    frame = bodies.answer()
    assert (frame.kind, frame.token, frame.head) == (Kind.INTERRUPTED, number, (0,))
    assert (tmp_path / "cleaned up").exists()
    number = bodies.submit("nothing", 2)
    frame = bodies.answer()
    assert (frame.kind, frame.token) == (Kind.RESULT, number)


def test_an_interrupt_between_tasks_waits_for_the_next_body(bodies: Bodies) -> None:
    bodies.executor.process.send_signal(signal.SIGINT)
    first = bodies.submit("sleep")
    second = bodies.submit("nothing")
    assert [(frame.kind, frame.token) for frame in (bodies.answer(), bodies.answer())] == [
        (Kind.INTERRUPTED, first),
        (Kind.RESULT, second),
    ]


def test_an_interrupt_that_came_too_late_is_forgotten(bodies: Bodies) -> None:
    for _ in range(20):
        number = bodies.submit("nothing")
        bodies.interrupt()
        frame = bodies.answer()
        # Before, in or after the body; an R body as short as this does not look.
        assert frame.kind in (Kind.RESULT, Kind.INTERRUPTED)
        assert frame.token == number
        last = bodies.submit("nothing", 3)
        frame = bodies.answer()
        assert (frame.kind, frame.token) == (Kind.RESULT, last)


def test_a_body_that_catches_it_is_given_up_all_the_same(tmp_path: Path) -> None:
    with Executor("cloudpickle") as executor:
        executor.load(1, python.environment(swallow))
        number = executor.submit(1, python.task(*[{"path": str(tmp_path)}] * 2))
        executor.wait_for_output("at work")
        executor.process.send_signal(signal.SIGINT)
        wait_until(lambda: (tmp_path / "cleaned up").exists())
        frame = executor.receive()
        assert frame is not None
        assert (frame.kind, frame.token) == (Kind.INTERRUPTED, number)
        assert executor.printed.count("at work") == 1


def ask_without_end(path: str) -> None:
    from pydoredis.shared_values import redis_get, redis_set

    redis_set("value", path)
    print("at work")
    while True:
        assert redis_get("value") == path


R_ASK_WITHOUT_END = "redisSet('value', path); cat('at work\\n'); repeat stopifnot(redisGet('value') == path)"


def test_what_a_body_asks_of_the_agent_is_not_cut_in_two(
    bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BODIES, "ask", (ask_without_end, R_ASK_WITHOUT_END))
    executor = bodies.executor
    for times in range(1, 21):
        number = bodies.submit("ask")
        seen = 0
        answer = executor.store.answer

        def interrupt(request: Request, answer: Callable[[Request], Any] = answer) -> Any:
            nonlocal seen
            seen += 1
            if seen == 10:
                bodies.interrupt()
            return answer(request)

        monkeypatch.setattr(executor.store, "answer", interrupt)
        frame = bodies.answer()
        monkeypatch.setattr(executor.store, "answer", answer)
        assert (frame.kind, frame.token) == (Kind.INTERRUPTED, number), times
