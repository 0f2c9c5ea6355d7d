"""Tasks that wait in an executor's pipe can be taken back, and each of them runs once, wherever that is."""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudpickle
import pytest

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import JobEnvironment, Task, Verdict
from pydoredis.worker import engines
from pydoredis.worker.core import events
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Lease, Shelves
from pydoredis.worker.executor_handle import ExecutorHandle, Setup
from pydoredis.worker.frames import FrameError, Kind
from pydoredis.worker.launch import Launcher
from pydoredis.worker.starts import Starts, open_ends
from tests.worker import test_executor_python as python
from tests.worker.executor_process import TIMEOUT_S, Executor, peer, wait_until

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_ENGINES: dict[str, engines.REngine] = {"rpy2": "rpy2", "rscript": "rscript"}
ENGINES = ["python", *(pytest.param(name, marks=pytest.mark.needs_r) for name in R_ENGINES)]
KEYS = QueueKeys("Q")


# --- tokens -----------------------------------------------------------------------------------------------


def left_in(fd: int) -> int:
    """How many bytes a pipe holds."""
    (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
    assert isinstance(count, int)
    return count


@pytest.fixture
def starts() -> Iterator[Starts]:
    made = Starts(open_ends())
    yield made
    made.close()
    os.close(made.theirs)


def take(starts: Starts, count: int = 1) -> list[int]:
    """As an executor does it."""
    return [struct.unpack("<i", os.read(starts.theirs, 4))[0] for _ in range(count)]


def test_what_was_not_taken_comes_back_in_its_order(starts: Starts) -> None:
    for number in range(1, 8):
        starts.give(number)
    starts.write()
    assert take(starts, 3) == [1, 2, 3]
    assert starts.take_back() == [4, 5, 6, 7]
    assert starts.take_back() == []
    starts.answered(1)
    starts.give(8)
    starts.write()
    assert take(starts) == [8]
    starts.answered(2)
    starts.answered(3)
    assert starts.take_back() == []


def test_more_tokens_than_a_pipe_holds(starts: Starts) -> None:
    numbers = range(1, 50_001)
    for number in numbers:
        starts.give(number)
    starts.write()
    for number in numbers[:40_000]:
        assert take(starts) == [number]
        starts.answered(number)
    assert starts.take_back() == list(numbers[40_000:])


def test_each_token_is_met_once(starts: Starts) -> None:
    """By an executor that is as fast as it can be, or by the agent."""
    begun: list[int] = []

    def executor() -> None:
        while data := os.read(starts.theirs, 4):
            begun.extend(struct.unpack("<i", data))

    thread = threading.Thread(target=executor)
    thread.start()
    recalled: list[int] = []
    chance = random.Random(1)
    number = 0
    for _ in range(3000):
        for _ in range(chance.randrange(10)):
            number += 1
            starts.give(number)
        starts.write()
        if chance.random() < 0.5:
            recalled += starts.take_back()
    number += 1
    starts.give(number)
    starts.write()
    wait_until(lambda: number in begun)  # which gives the executor a turn, however busy the machine is
    starts.dismiss()
    thread.join()
    assert begun == sorted(begun)
    assert recalled == sorted(recalled)
    assert sorted(begun + recalled) == list(range(1, number + 1))
    assert begun
    assert recalled


@pytest.mark.parametrize("answered", [False, True])
def test_tokens_that_were_taken_wrongly_are_an_error(starts: Starts, answered: bool) -> None:
    for number in range(1, 8):
        starts.give(number)
    starts.write()
    if answered:
        starts.answered(1)  # which nobody has taken
    else:
        os.read(starts.theirs, 2)
    with pytest.raises(FrameError):
        starts.take_back()


# --- executors --------------------------------------------------------------------------------------------


def note(i: int, path: str, gate: str, ballast: bytes = b"") -> int:
    """Write down that an iteration runs, and wait until the file `gate` is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\n" % i)
    os.close(descriptor)
    while gate and not os.path.exists(gate):
        time.sleep(0.002)
    return i


NOTE = """{ cat(i, "\\n", file = path, append = TRUE, sep = "");
  while (nzchar(gate) && !file.exists(gate)) Sys.sleep(0.002);
  i }"""


class Pool:
    """Executors of one engine as their agent sees them, and tasks for them that write down that they run."""

    def __init__(self, engine: str, directory: Path, size: int = 1) -> None:
        self._in_r = engine in R_ENGINES
        self.codec: engines.Codec = "r" if self._in_r else "cloudpickle"
        self.gate = directory / "gate"
        self._begun = directory / "begun"
        environment = peer().make(f"job({NOTE})") if self._in_r else python.environment(note)
        self.job = LoadedJob(1, KEYS.env("J"), JobEnvironment(self.codec, environment))
        setup = Setup(Launcher(R_ENGINES.get(engine, "rpy2")))
        self.handles = [ExecutorHandle(number, self.codec, setup) for number in range(size)]
        self.results: list[Lease] = []
        self._ready: set[int] = set()
        self._sent: dict[int, Lease] = {}
        self.wait(lambda: len(self._ready) == size)

    def run(self, i: int, *, waits: bool = False, ballast: int = 0) -> Lease:
        """A task whose iteration has the argument `i`; it may wait at the gate, and be large."""
        gate = str(self.gate) if waits else ""
        if self._in_r:
            arguments = f"i = {i}L, path = '{self._begun}', gate = '{gate}'"
            payload = peer().make(f"task({arguments}, ballast = list(raw({ballast})))")
        else:
            payload = python.task({"i": i, "path": str(self._begun), "gate": gate, "ballast": bytes(ballast)})
        task = Task("J", (1,), payload)
        return Lease(KEYS, task, "tag", f"claim {i}", number=i, shelves=Shelves(), job=self.job)

    @property
    def begun(self) -> list[int]:
        """What has run, in that order."""
        return [int(line) for line in self._begun.read_text().split()] if self._begun.exists() else []

    def send(self, runs: list[Lease], to: int = 0) -> None:
        """Hand tasks to an executor."""
        for run in runs:
            self._sent[run.number] = run
            self.handles[to].send(run)
        self.handles[to].flush()

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take what executors say."""
        select.select([handle.answer_fd for handle in self.handles], [], [], timeout_s)
        for handle in self.handles:
            handle.flush()
            for answer in handle.answers():
                event = handle.accept(answer)
                if isinstance(event, events.Ready):
                    self._ready.add(handle.number)
                elif isinstance(event, events.Finished):
                    self.results.append(self._sent[event.task])
                else:
                    assert isinstance(event, events.Partly)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Listen until something is so."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline_s, "waited in vain"
            self.listen(0.01)

    def close(self) -> None:
        """End the executors."""
        for handle in self.handles:
            handle.dismiss()
            assert handle.process.wait(TIMEOUT_S)
            assert handle.process.status == 0
            handle.close()


@pytest.fixture(params=ENGINES)
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pool]:
    made = Pool(request.param, tmp_path)
    yield made
    made.close()


def test_tasks_behind_one_that_is_long(pool: Pool) -> None:
    """They come back while it runs; what is sent later runs, be it the same tasks."""
    (handle,) = pool.handles
    runs = [pool.run(1, waits=True), *(pool.run(i) for i in range(2, 6))]
    pool.send(runs)
    pool.wait(lambda: pool.begun == [1])
    assert handle.recall() == runs[1:]
    assert list(handle.leases) == runs[:1]
    assert handle.recall() == []
    pool.send([runs[3], runs[2]])
    pool.gate.touch()
    pool.wait(lambda: len(pool.results) == 3)
    assert pool.results == [runs[0], runs[3], runs[2]]
    assert pool.begun == [1, 4, 3]
    pool.send([runs[1], runs[4]])
    pool.wait(lambda: len(pool.results) == 5)
    assert pool.begun == [1, 4, 3, 2, 5]


def test_nothing_is_left_of_what_came_for_a_recalled_task(pool: Pool) -> None:
    """No verdict is pronounced, and nothing that another executor has finished is taken over."""
    (handle,) = pool.handles
    condemned, other = pool.run(2), pool.run(3)
    condemned.verdicts[1] = Verdict("crash", "it crashed")
    condemned.kept = [(1, b"not to be read")]
    pool.send([pool.run(1, waits=True), condemned])
    pool.wait(lambda: pool.begun == [1])
    assert handle.recall() == [condemned]
    condemned.verdicts.clear()
    condemned.kept.clear()
    pool.send([condemned, other])
    pool.gate.touch()
    pool.wait(lambda: len(pool.results) == 3)
    assert pool.begun == [1, 2, 3]


def test_large_tasks_that_the_pipe_has_no_room_for(pool: Pool) -> None:
    """What has not been sent is not sent any more; what has been sent in part is sent to its end."""
    (handle,) = pool.handles
    runs = [pool.run(i, ballast=3 << 20) for i in range(2, 7)]
    pool.send([pool.run(1, waits=True), *runs])
    pool.wait(lambda: pool.begun == [1])
    assert handle.wants_to_write
    assert handle.recall() == runs
    pool.send(runs[3:])
    pool.gate.touch()
    pool.wait(lambda: len(pool.results) == 3)
    assert pool.begun == [1, 5, 6]
    assert not handle.wants_to_write


def test_what_runs_is_counted_once_whoever_is_faster(pool: Pool, tmp_path: Path) -> None:
    """Tasks are recalled at any moment, from executors that are busy with tasks of no length."""
    chance = random.Random(1)
    (handle,) = pool.handles
    prepared = [pool.run(i) for i in range(1, 401)]
    waiting = list(prepared)
    recalled = recalls = 0
    while waiting or handle.leases:
        count = chance.randrange(1, 9)
        if len(handle.leases) < 8:
            pool.send(waiting[:count])
            del waiting[:count]
        # Not without end: on a busy machine an executor would do nothing but pass over what was recalled.
        if recalls < 300 and chance.random() < 0.3:
            recalls += 1
            back = handle.recall()
            recalled += len(back)
            waiting = back + waiting
        pool.listen(chance.random() * 0.002)
    assert recalled
    assert Counter(pool.begun) == Counter(range(1, 401))
    assert sorted(run.number for run in pool.results) == list(range(1, 401))


def test_an_executor_that_took_tokens_wrongly_is_ended(tmp_path: Path) -> None:
    pool = Pool("python", tmp_path)
    (handle,) = pool.handles
    runs = [pool.run(1, waits=True), pool.run(2), pool.run(3)]
    pool.send(runs)
    pool.wait(lambda: pool.begun == [1])
    assert len(os.read(handle._tasks.starts._reading, 2)) == 2  # as a body could do
    with pytest.raises(FrameError, match="tokens"):
        handle.recall()
    assert list(handle.leases) == runs
    handle.kill("it broke the frame protocol")
    assert handle.process.wait(TIMEOUT_S)
    handle.close()


def test_what_a_dead_executor_had_not_begun(tmp_path: Path) -> None:
    pool = Pool("python", tmp_path)
    (handle,) = pool.handles
    runs = [pool.run(1, waits=True), pool.run(2), pool.run(3)]
    pool.send(runs)
    pool.wait(lambda: pool.begun == [1])
    handle.process.kill()
    assert handle.process.wait(TIMEOUT_S)
    assert handle.recall() == runs[1:]
    assert list(handle.leases) == runs[:1]
    handle.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_executor_that_waits_without_a_token_goes_on(engine: str) -> None:
    """At a SKIP, whether it has come to that already or not; and it ends if the agent goes meanwhile."""
    with Executor("r" if engine in R_ENGINES else "cloudpickle", R_ENGINES.get(engine, "rpy2")) as executor:
        job = peer().make("job(i)") if engine in R_ENGINES else python.environment(lambda i: i)
        executor.load(1, job)
        task = peer().make("task(i = 1)") if engine in R_ENGINES else python.task({"i": 1})
        executor.run(1, task)
        executor.send(Kind.TASK, 100, 1, 1, body=task)  # without a token
        executor.send(Kind.SKIP, 101)
        executor.forget(1)
        executor.starts.give(101)
        executor.starts.write()
        wait_until(lambda: left_in(executor.starts._reading) == 0)
        assert "was never sent" in executor.fails(1, task)
        executor.send(Kind.TASK, 102, 1, 1, body=task)
        assert executor.hang_up() == 0
