"""Bodies that do what nobody should: the worker keeps its promises to everybody else."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import redis

from pydoredis.worker.engines.places import Places
from rinterop import values
from tests.conftest import wait_until
from tests.peers.processes import Peer, children, exists
from tests.worker.agent_process import QUEUE, Job, worker
from tests.worker.executor_process import peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_ENGINES = ("rpy2", "rscript")


@contextmanager
def tidy_worker(url: str, client: redis.Redis, *options: str) -> Iterator[Peer]:
    """A worker with one executor; afterwards it still serves, and has left no process and no key behind."""
    with worker(url, "--max-crashes", "1", "--grace", "0", *options) as agent:
        yield agent
        is_served(client, "r" if "r" in options else "python")
        wait_until(lambda: len(children(agent.pid)) == 1, "one executor is left")
        sessions = session_leaders(agent)
        client.delete(*(key for key in client.keys(f"{QUEUE}.env.*")))
        agent.terminate()
        assert agent.wait() == 0, agent.tail()
        assert "\nTraceback" not in agent.output, agent.tail(60)
        assert not any(members(session) for session in sessions), "processes are left behind"
    left = {bytes(key).decode() for key in client.scan_iter()}
    kinds = {name.split(".")[1] for name in left if name.startswith(f"{QUEUE}.")}
    assert kinds <= {"live", "count", "out", "alive"}, left


def session_leaders(agent: Peer) -> set[int]:
    """All executors that this worker has had, as its log names them, and the present ones."""
    named = {int(number) for number in re.findall(r" executor (\d+) ", agent.output)}
    return named | set(children(agent.pid))


def members(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def same(i: int) -> int:
    return i


def is_served(client: redis.Redis, language: str = "python") -> None:
    if language == "r":
        job = Job(client, peer().make("job(i)"))
        job.push(job.adopt(peer().make("task(i = 7)")))
        assert job.results(1) == {"1": values.double(7)}
    else:
        job = Job(client, same)
        job.submit(2)
        assert job.results(2) == {"1": ("ok", 1), "2": ("ok", 2)}


def outcome(client: redis.Redis, body: Any, **arguments: Any) -> Any:
    """What comes of a job of one iteration."""
    job = Job(client, body)
    job.submit(1, **arguments)
    return job.results(1)["1"]


# --- Python -----------------------------------------------------------------------------------------------


def holds_the_gil(i: int, seconds: int) -> int:
    ctypes.PyDLL(None).sleep(seconds)
    return i


@pytest.mark.slow
def test_a_body_that_holds_the_interpreter_lock(redis_url: str, redis_client: redis.Redis) -> None:
    """For longer than an alive key lives."""
    with tidy_worker(redis_url, redis_client):
        job = Job(redis_client, holds_the_gil)
        job.submit(1, seconds=15)
        wait_until(lambda: job.keys("alive"), "it runs")
        while not job.raw_results():
            assert job.keys("alive") or job.raw_results()
            time.sleep(0.1)
        assert job.results(1) == {"1": ("ok", 1)}


def ignores_everything(i: int) -> int:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    return i


def then_waits(i: int, mark: str) -> None:
    ignores_everything(i)
    Path(mark).touch()
    while True:
        signal.pause()


@pytest.mark.slow
def test_a_body_that_ignores_all_signals(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with tidy_worker(redis_url, redis_client, "--timelimit", "5"):
        assert outcome(redis_client, ignores_everything) == ("ok", 1)
        assert "time limit" in str(outcome(redis_client, then_waits, mark=str(mark)))
    with worker(redis_url, "--grace", "0") as agent:
        mark.unlink()
        job = Job(redis_client, then_waits)
        payloads = job.submit(1, mark=str(mark))
        wait_until(mark.exists, "the body waits")
        agent.terminate()
        assert agent.wait() == 0
        assert job.queued() == payloads


def forks(i: int) -> int:
    """The child lives on in the middle of the body, and holds all of the pipes."""
    child = os.fork()
    while not child:
        signal.pause()
    return child


@pytest.mark.slow
def test_a_body_whose_child_lives_on(redis_url: str, redis_client: redis.Redis) -> None:
    """As long as its executor does."""
    with tidy_worker(redis_url, redis_client):
        status, child = outcome(redis_client, forks)
        assert status == "ok"
        assert exists(child)
        assert outcome(redis_client, lambda i: os._exit(3))[0] == "pydoredis_crash"
        wait_until(lambda: not exists(child), "it has ended with the executor")


def both_return(i: int) -> int:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return i


@pytest.mark.slow
def test_a_body_that_returns_in_two_processes(redis_url: str, redis_client: redis.Redis) -> None:
    with tidy_worker(redis_url, redis_client) as agent:
        assert outcome(redis_client, both_return) == ("ok", 1)
        assert "frame protocol" not in agent.output


def floods(i: int, stream: int) -> int:
    line = b"x" * 999 + b"\n"
    for _ in range(100):
        with open(stream, "wb", closefd=False) as output:
            output.write(line * 1000)
    return i


@pytest.mark.slow
@pytest.mark.parametrize("stream", [1, 2])
def test_a_body_that_prints_100_mb(redis_url: str, redis_client: redis.Redis, stream: int) -> None:
    with tidy_worker(redis_url, redis_client) as agent:
        assert outcome(redis_client, floods, stream=stream) == ("ok", 1)
        assert agent.output.count("x" * 999) == 100_000


def prints_rubbish(i: int) -> int:
    """Among it all that could be taken for a mark of an iteration."""
    for mark in (b"2", b"-1", b"9" * 5000, b"\xb2", b"", b"1 2"):
        os.write(1, b"\x1e" + mark + b"\n")
    os.write(1, b"\x1e1" * 3000)
    for size in (10, 10_000, 1_000_000):
        os.write(1, b"\x1e\0" + os.urandom(size))
    return i


@pytest.mark.slow
def test_a_body_that_prints_rubbish(redis_url: str, redis_client: redis.Redis) -> None:
    with tidy_worker(redis_url, redis_client):
        job = Job(redis_client, prints_rubbish)
        job.push(job.block({"i": 1}, {"i": 2}, {"i": 3}))
        assert job.results(1) == {"1": ("ok", 1), "2": ("ok", 2), "3": ("ok", 3)}


def dies_under_a_false_name(i: int) -> int:
    if i == 3:
        os.write(1, b"\x1e1\n")
        os._exit(3)
    return i


@pytest.mark.slow
def test_a_body_that_dies_under_a_false_name(redis_url: str, redis_client: redis.Redis) -> None:
    """It may get others into trouble, but the block is answered."""
    with tidy_worker(redis_url, redis_client):
        job = Job(redis_client, dies_under_a_false_name)
        job.push(job.block({"i": 1}, {"i": 2}, {"i": 3}))
        assert job.results(1)["3"][0] == "pydoredis_crash"


def closes_everything(i: int, first: int) -> int:
    os.closerange(first, 1024)
    return i


def closes_and_waits(i: int) -> None:
    os.closerange(0, 1024)
    while True:
        signal.pause()


@pytest.mark.parametrize("first", [0, 3])
def test_a_body_that_closes_all_descriptors(redis_url: str, redis_client: redis.Redis, first: int) -> None:
    with tidy_worker(redis_url, redis_client):
        kind, message = outcome(redis_client, closes_everything, first=first)
        assert kind == "pydoredis_crash"
        assert "ended with exit status" in message or "closed its pipe to the agent" in message
        kind, message = outcome(redis_client, closes_and_waits)
        assert kind == "pydoredis_crash"
        assert "closed its pipe to the agent" in message


def allocates(i: int, limit: int) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    hoard = [bytearray(50 << 20)]
    while True:
        hoard.append(hoard[0] * 2)


def is_out_of_memory(i: int) -> None:
    """What a process of a container with 100 MB comes to."""
    hoard: list[bytes] = []
    group = Path("/sys/fs/cgroup/memory") / f"pydoredis-test-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(100 << 20))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    while True:
        hoard.append(os.urandom(10 << 20))


@pytest.mark.slow
def test_a_body_that_takes_all_memory(redis_url: str, redis_client: redis.Redis) -> None:
    with tidy_worker(redis_url, redis_client):
        status, error = outcome(redis_client, allocates, limit=4 << 30)
        assert status == "error"
        assert isinstance(error, MemoryError)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK), reason="no cgroup (v1) can be made here"
)
def test_a_body_that_is_ended_for_its_memory(redis_url: str, redis_client: redis.Redis) -> None:
    with tidy_worker(redis_url, redis_client):
        kind, message = outcome(redis_client, is_out_of_memory)
        assert kind == "pydoredis_crash"
        assert "killed by SIGKILL, probably by the kernel, which was out of memory (peak memory 1" in message
    for group in Path("/sys/fs/cgroup/memory").glob("pydoredis-test-*"):
        group.rmdir()


def raises(i: int, name: str) -> None:
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt}[name](0)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt"])
def test_a_body_that_raises_what_is_no_error(redis_url: str, redis_client: redis.Redis, name: str) -> None:
    with tidy_worker(redis_url, redis_client) as agent:
        before = children(agent.pid)
        status, error = outcome(redis_client, raises, name=name)
        assert status == "error"
        assert type(error).__name__ == name
        assert children(agent.pid) == before


def starts_threads(i: int) -> int:
    for _ in range(3):
        threading.Thread(target=threading.Event().wait).start()
    return i


@pytest.mark.slow
def test_a_body_whose_threads_never_end(redis_url: str, redis_client: redis.Redis) -> None:
    with tidy_worker(redis_url, redis_client):
        assert outcome(redis_client, starts_threads) == ("ok", 1)


def frame(kind: int, token: int, rest: bytes, length: int | None = None) -> bytes:
    return struct.pack("<iii", kind, token, len(rest) if length is None else length) + rest


READY, RESULT, FAILED, REQUEST, PARTIAL, INTERRUPTED = 16, 17, 18, 19, 20, 21
NOT_FRAMES = {
    "random bytes": os.urandom(1000),
    "no such kind": frame(99, 0, b""),
    "a kind that agents send": frame(2, 1, bytes(8)),
    "a negative length": frame(RESULT, 1, b"", length=-1),
    "a ready that never ends": frame(READY, 0, b"", length=2**31 - 1),
    "a result that never ends": frame(RESULT, 1, b"", length=2**31 - 1),
    "ready twice": frame(READY, 0, b"again"),
    "a result shorter than its head": frame(RESULT, 1, b"1234"),
    "a result of a task that is not running": frame(RESULT, 10**6, struct.pack("<d", 1.0)),
    "a result that took no number": frame(RESULT, 1, struct.pack("<d", float("nan"))),
    "a failure of a task that is not running": frame(FAILED, -1, b"\xff\xfe"),
    "an interrupted iteration that is none": frame(INTERRUPTED, 1, struct.pack("<i", 7)),
    "more finished iterations than there are": frame(PARTIAL, 1, struct.pack("<i", 2**31 - 1)),
    "fewer finished iterations than none": frame(PARTIAL, 1, struct.pack("<i", -5)),
    "an empty request": frame(REQUEST, 1, b""),
    "a request with a negative length": frame(REQUEST, 1, b"G" + struct.pack("<i", -1)),
    "a request with a key beyond its end": frame(REQUEST, 1, b"G" + struct.pack("<i", 2**31 - 1)),
    "an unknown request": frame(REQUEST, 1, b"X" + struct.pack("<i", 0)),
}


def writes_frames(i: int, data: bytes) -> int:
    if i == 2:
        os.write(int(sys.argv[sys.argv.index("--out") + 1]), data)
        while True:
            signal.pause()
    return i


def test_a_body_that_writes_into_the_agents_pipe(redis_url: str, redis_client: redis.Redis) -> None:
    """Its executor is ended, and that is what comes of this iteration; the agent and the others go on."""
    with tidy_worker(redis_url, redis_client) as agent:
        for name, data in NOT_FRAMES.items():
            job = Job(redis_client, writes_frames)
            job.submit(3, data=data)
            results = job.results(3)
            assert (results["1"], results["3"]) == (("ok", 1), ("ok", 3)), name
            kind, message = results["2"]
            assert kind == "pydoredis_crash", name
            assert "broke the frame protocol" in message, name
        assert agent.output.count("does not keep to the frame protocol") == len(NOT_FRAMES)


def knows_the_secret(i: int) -> int:
    """What separates the outputs of places: with no place, with none that there is, with too long a one."""
    (secret,) = {found._cut for found in gc.get_objects() if isinstance(found, Places)}
    for place in (b"", b"\x1e", b"\x1enothing", b"\x1e-1", b"\x1e" + b"9" * 10_000, b"\x1e999999999"):
        os.write(1, b"a line\n" + place + secret)
    return i


def moves_without_end(i: int) -> int:
    """Sets the times of its output all the time, and never says where it printed what."""
    output = int(sys.argv[sys.argv.index("--output") + 1])
    for place in range(1, 40_000):
        os.write(1, b"x" * 1000)
        os.utime(output, (place, place))
    return i


@pytest.mark.slow
@pytest.mark.parametrize("body", [knows_the_secret, moves_without_end])
def test_a_body_that_lies_about_where_it_is(redis_url: str, redis_client: redis.Redis, body: Any) -> None:
    with tidy_worker(redis_url, redis_client):
        assert outcome(redis_client, body) == ("ok", 1)


# --- R ----------------------------------------------------------------------------------------------------

BODIES_IN_R = {
    "quit": ("quit('no', 3)", "exit status 3"),
    "segfault": ("tools::pskill(Sys.getpid(), 11); Sys.sleep(60)", "SIGSEGV"),
    "closes its descriptors": (
        "for (n in 3:20) try(system2('true')); closeAllConnections(); tools::pskill(Sys.getpid(), 9)",
        "SIGKILL",
    ),
    "recursion without end": ("f <- function(x) f(x); f(1)", None),
    "interrupts itself": ("tools::pskill(Sys.getpid(), 2); Sys.sleep(60)", "interrupted"),
    "prints rubbish": (r"cat('\0362\n'); system('head -c 100000 /dev/urandom'); 7", 7),
    "prints a lot": ("for (k in 1:10000) cat(strrep('x', 999), '\\n'); 7", 7),
    "forks": ("parallel::mcparallel(Sys.sleep(600)); 7", 7),
    "returns in two processes": ("parallel:::mcfork(); 7", 7),
}


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize("engine", R_ENGINES)
@pytest.mark.parametrize("name", BODIES_IN_R)
def test_hostile_bodies_in_r(name: str, engine: str, redis_url: str, redis_client: redis.Redis) -> None:
    body, expected = BODIES_IN_R[name]
    job = Job(redis_client, peer().make(f"job({{ {body} }})"))
    with tidy_worker(redis_url, redis_client, "--codec", "r", "--r-engine", engine) as agent:
        job.push(job.adopt(peer().make("task(i = 1)")))
        found = job.results(1)["1"]
        if isinstance(expected, str):
            assert found[0] == "pydoredis_crash"
            assert expected in found[1]
        elif expected is None:
            assert found[0] not in ("pydoredis_crash", "pydoredis_timeout"), found
        else:
            assert found == values.double(expected)
        assert "frame protocol" not in agent.output
