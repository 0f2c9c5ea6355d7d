"""A whole worker, by its command line, on a real Redis: what it takes, gives back, publishes and says."""

from __future__ import annotations

import ctypes
import os
import pickle
import re
import signal
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import redis

import rinterop
from rinterop import values
from tests.conftest import wait_until
from tests.peers.processes import exists
from tests.protocol import test_tails
from tests.worker.agent_process import QUEUE, Gate, Job, executors, pass_gate, worker
from tests.worker.executor_process import peer

cloudpickle.register_pickle_by_value(sys.modules[__name__])

R_ENGINES = ("rpy2", "rscript")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def same(i: int) -> int:
    return i


def through_gate(i: int, gate: str) -> int:
    pass_gate(gate, i)
    return i


def first_through_gate(i: int, gate: str) -> int:
    """Only the first iteration has to wait."""
    if i == 1:
        pass_gate(gate, i)
    return i


def is_served(client: redis.Redis) -> None:
    """The worker still does what it is for."""
    job = Job(client, same)
    job.submit(2)
    assert job.results(2) == {"1": ("ok", 1), "2": ("ok", 2)}


@pytest.mark.parametrize("pure", [True, False])
def test_the_first_line_says_why_serialization_is_slow(
    pure: bool, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINTEROP_PURE", "1" if pure else "")
    with worker(redis_url, "--loglevel", "INFO") as agent:
        wait_until(lambda: "up: " in agent.output, "it says that it is up")
        first = agent.output.splitlines()[0]
    if pure:
        assert "; serialization in Python alone, which is slower: RINTEROP_PURE is set" in first
    else:
        assert ("serialization" in first) is not rinterop.accelerated


# --- what is taken ----------------------------------------------------------------------------------------


def test_a_later_queue_waits_for_the_earlier_ones(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    def note(i: int, path: str) -> None:
        with open(path, "a") as file:
            file.write(f"{i}\n")

    log = tmp_path / "order"
    second, first = Job(redis_client, note, "second"), Job(redis_client, note, "first")
    second.push(*(second.block({"i": n, "path": str(log)}, first=n) for n in range(100, 110)))
    first.push(*(first.block({"i": n, "path": str(log)}, first=n) for n in range(1, 11)))
    with worker(redis_url, queues=("first", "second")):
        first.results(10)
        second.results(10)
    assert list(map(int, log.read_text().split())) == [*range(1, 11), *range(100, 110)]


def test_redis_watches_few_keys(redis_url: str, redis_client: redis.Redis) -> None:
    """Lists, open queues, environments. A server that watches each task's keys is slow to publish."""
    with worker(redis_url):
        job = Job(redis_client, same)
        job.submit(1000)
        assert len(job.results(1000)) == 1000
        assert 2 <= redis_client.info("stats")["tracking_total_keys"] <= 10


def test_no_more_tasks_than_iter_says(redis_url: str, redis_client: redis.Redis) -> None:
    job = Job(redis_client, same)
    payloads = job.submit(50)
    with worker(redis_url, "--iter", "7") as agent:
        assert agent.wait() == 0
    assert len(job.results(7)) == 7
    assert job.queued() == payloads[7:]
    assert redis_client.get(f"{QUEUE}.count") == b"0"


def test_unreadable_payloads_are_kept_aside(redis_url: str, redis_client: redis.Redis) -> None:
    job = Job(redis_client, same)
    unreadable = [
        b"\x00\xff" * 20,
        b"just text",
        pickle.dumps({"ID": job.id}),
        rinterop.dumps(values.integer(1, 2)),
        rinterop.dumps(values.named_list(argsList=values.NULL)),
        job.block({"i": 1})[:-5],
    ]
    with worker(redis_url) as agent:
        job.push(*unreadable, job.block({"i": 2}, first=2))
        assert job.results(1) == {"2": ("ok", 2)}
        assert redis_client.lrange(f"pydoredis:{{{QUEUE}}}:dead", 0, -1) == unreadable
        assert agent.running
        assert agent.output.count(f"kept in 'pydoredis:{{{QUEUE}}}:dead'") == len(unreadable)


def test_a_task_with_unreadable_arguments_is_answered(redis_url: str, redis_client: redis.Redis) -> None:
    """Its coordinator, which wrote it, would send it again for ever."""
    job = Job(redis_client, same)
    payload = test_tails.with_an_unknown_value(test_tails.task([1, 2], 7, job=job.id))
    with worker(redis_url) as agent:
        job.push(payload)
        found = job.results(1)
        assert list(found) == ["1", "2"]
        for kind, message in found.values():
            assert kind == "pydoredis_failure"
            assert "its arguments cannot be read" in message
        assert job.keys("start") == []
        assert "its arguments cannot be read" in agent.output
        is_served(redis_client)


def test_tasks_in_other_languages_go_back_and_do_not_hold_up_ours(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """The pauses between looks at the queue must not add up: ours stands behind 300 others."""
    foreign = Job(redis_client, rinterop.dumps(values.named_list(expr=values.NULL, exportenv=values.NULL)))
    theirs = {foreign.block({"i": n}, first=n) for n in range(1, 301)}
    foreign.push(*theirs)
    ours = Job(redis_client, same)
    ours.submit(1)
    with worker(redis_url, "--loglevel", "INFO") as agent:
        assert ours.results(1) == {"1": ("ok", 1)}
        agent.terminate()
        assert agent.wait() == 0
        assert agent.output.count("which is not served here") == 1
        assert "given-back" not in agent.output, "it is said once, not for each task"
    assert len(foreign.queued()) == 300
    assert set(foreign.queued()) == theirs
    assert foreign.raw_results() == []
    assert foreign.keys("start") == []


# --- how it ends ------------------------------------------------------------------------------------------


def test_sigterm_finishes_the_running_task_and_gives_the_others_back(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    job = Job(redis_client, through_gate)
    with worker(redis_url) as agent:
        payloads = job.submit(3, gate=gate.path)
        with gate.held():
            agent.terminate()
        assert agent.wait() == 0
    assert job.results(1) == {"1": ("ok", 1)}
    assert job.queued() == payloads[1:]
    assert job.keys("start") == []
    assert redis_client.get(f"{QUEUE}.count") == b"0"


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_in_a_flow_of_short_tasks_loses_none(
    redis_url: str, redis_client: redis.Redis, workers: int
) -> None:
    job = Job(redis_client, same)
    with worker(redis_url, workers=workers) as agent:
        payloads = job.submit(3000)
        wait_until(lambda: len(job.raw_results()) > 300, "it is in full flow")
        agent.terminate()
        assert agent.wait() == 0
    # Two workers are not equally far, and what one of them was slow on goes back apart from the rest.
    answered = {int(number) for number in job.results(len(job.raw_results()))}
    left = [payload for number, payload in enumerate(payloads, 1) if number not in answered]
    assert sorted(job.queued()) == sorted(left), "none lost, none twice"
    assert job.keys("start") == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_second_signal_gives_the_running_task_back(
    redis_url: str, redis_client: redis.Redis, gate: Gate, number: signal.Signals, status: int
) -> None:
    job = Job(redis_client, through_gate)
    with worker(redis_url) as agent:
        (executor,) = executors(agent)
        payloads = job.submit(3, gate=gate.path)
        with gate.held():
            os.kill(agent.pid, number)
            wait_until(lambda: "finishing" in agent.output, "it has heard the first")
            os.kill(agent.pid, number)
            assert agent.wait() == status
        assert not exists(executor)
    assert job.raw_results() == []
    assert job.queued() == payloads
    assert job.keys("start") == []
    assert redis_client.get(f"{QUEUE}.count") == b"0"


def test_sigint_is_as_warm_as_sigterm(redis_url: str, redis_client: redis.Redis, gate: Gate) -> None:
    job = Job(redis_client, through_gate)
    with worker(redis_url) as agent:
        payloads = job.submit(2, gate=gate.path)
        with gate.held():
            os.kill(agent.pid, signal.SIGINT)
        assert agent.wait() == 130
    assert job.results(1) == {"1": ("ok", 1)}
    assert job.queued() == payloads[1:]


def test_the_end_of_the_grace_period_is_a_second_signal(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    job = Job(redis_client, through_gate)
    with worker(redis_url, "--grace", "0.2") as agent:
        payloads = job.submit(1, gate=gate.path)
        with gate.held():
            agent.terminate()
            assert agent.wait() == 0
    assert job.queued() == payloads


def test_a_queue_that_is_removed_during_a_task_is_left_after_it(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    job = Job(redis_client, through_gate)
    with worker(redis_url, linger_s=1) as agent:
        job.submit(1, gate=gate.path)
        with gate.held():
            redis_client.delete(f"{QUEUE}.live", f"{QUEUE}.count")
        assert job.results(1) == {"1": ("ok", 1)}
        assert agent.wait() == 0
    assert not redis_client.exists(f"{QUEUE}.live", f"{QUEUE}.count")


def test_tasks_are_given_back_when_no_executor_can_be_started_any_more(
    redis_url: str, redis_client: redis.Redis, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"if 'pydoredis.worker.executor' in sys.orig_argv and os.path.exists({str(broken)!r}):\n"
        "    print('this machine has a problem', flush=True)\n"
        "    os._exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    job = Job(redis_client, through_gate)
    with worker(redis_url) as agent:
        payloads = job.submit(3, gate=gate.path)
        with gate.held():
            broken.touch()
            os.kill(executors(agent)[0], signal.SIGKILL)
            assert agent.wait() == 1
        assert "this machine has a problem" in agent.output
        assert "Traceback" not in agent.output
    assert sorted(job.queued()) == sorted(payloads)
    assert job.keys("start") == []
    assert redis_client.get(f"{QUEUE}.count") == b"0"


# --- executors that die -----------------------------------------------------------------------------------


def fatal_second(i: int) -> int:
    print(f"at {i}", end="")
    if i == 2:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return i


def test_a_fatal_iteration_costs_itself_only(redis_url: str, redis_client: redis.Redis) -> None:
    job = Job(redis_client, fatal_second)
    with worker(redis_url, "--max-crashes", "2") as agent:
        job.push(job.block({"i": 1}, {"i": 2}, {"i": 3}))
        found = job.results(1)
        assert [found["1"], found["3"]] == [("ok", 1), ("ok", 3)]
        kind, message = found["2"]
        assert kind == "pydoredis_crash"
        assert message.startswith("the worker process died 2 times on this iteration: killed by SIGKILL")
        assert "at 2" in message
        assert len(executors(agent)) == 1
        is_served(redis_client)


def test_a_fatal_task_of_one_iteration(redis_url: str, redis_client: redis.Redis) -> None:
    job = Job(redis_client, lambda i: os._exit(7))
    with worker(redis_url, "--max-crashes", "1"):
        job.submit(1)
        kind, message = job.results(1)["1"]
        assert kind == "pydoredis_crash"
        assert "once" in message
        assert re.search(r"ended with exit status 7 \(peak memory \d+ MB\)$", message)
        is_served(redis_client)


def test_the_end_of_a_crash_in_c_says_where_python_was(redis_url: str, redis_client: redis.Redis) -> None:
    def innermost() -> None:
        ctypes.string_at(0)

    job = Job(redis_client, lambda i: innermost())
    with worker(redis_url, "--max-crashes", "1"):
        job.submit(1)
        _, message = job.results(1)["1"]
        assert "killed by SIGSEGV" in message
        assert "Segmentation fault" in message
        assert "in innermost" in message


@pytest.mark.needs_r
@pytest.mark.parametrize("engine", R_ENGINES)
def test_a_fatal_iteration_in_r_costs_itself_only(
    engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    body = "{ cat('at', i); if (i == 2) tools::pskill(Sys.getpid(), 9); i }"
    job = Job(redis_client, peer().make(f"job({body})"))
    with worker(redis_url, "--codec", "r", "--r-engine", engine, "--max-crashes", "2") as agent:
        job.push(job.adopt(peer().make("task(i = 1:3)")))
        found = job.results(1)
        kind, message = found.pop("2")
        assert found == {"1": values.integer(1), "3": values.integer(3)}
        assert kind == "pydoredis_crash"
        assert "SIGKILL" in message
        assert len(executors(agent)) == 1


@pytest.mark.needs_r
def test_a_verdict_on_a_block_is_kept_for_its_iteration_alone(
    redis_url: str, redis_client: redis.Redis
) -> None:
    """Tasks of two jobs that wait in one pipe: the mark of the second's iteration comes before the answer to
    the first has been read."""
    fine = Job(redis_client, same)
    fatal = Job(redis_client, fatal_second)
    with worker(redis_url, "--max-crashes", "2"):
        for first in range(1, 2000, 2):
            fine.push(fine.block({"i": 1}, {"i": 1}, first=first))
        fatal.push(fatal.block({"i": 1}, {"i": 2}, {"i": 3}))
        found = fatal.results(1)
    assert [found["1"], found["2"][0], found["3"]] == [("ok", 1), "pydoredis_crash", ("ok", 3)]


def test_the_time_limit_ends_the_executor_and_not_the_worker(
    redis_url: str, redis_client: redis.Redis, gate: Gate
) -> None:
    job = Job(redis_client, first_through_gate)
    with worker(redis_url, "--timelimit", "0.5") as agent:
        before = executors(agent)
        job.submit(2, gate=gate.path)
        found = job.results(2)
        assert found["1"] == ("pydoredis_timeout", "time limit of 0.5 s exceeded")
        assert found["2"] == ("ok", 2)
        after = executors(agent)
        assert len(after) == 1
        assert after != before
        is_served(redis_client)


def test_an_executor_that_talks_nonsense_is_replaced(redis_url: str, redis_client: redis.Redis) -> None:
    def impostor(i: int) -> Any:
        from pydoredis.worker.frame_streams import pack
        from pydoredis.worker.frames import Kind

        os.write(int(sys.argv[sys.argv.index("--out") + 1]), b"".join(pack(Kind.RESULT, 999_999, 0.0)))
        os.read(os.open(os.devnull, os.O_RDONLY), 1)
        signal.pause()

    job = Job(redis_client, impostor)
    with worker(redis_url, "--max-crashes", "1") as agent:
        job.submit(1)
        kind, message = job.results(1)["1"]
        assert kind == "pydoredis_crash"
        assert "broke the frame protocol" in message
        assert "Traceback" not in agent.output
        is_served(redis_client)


# --- what it says -----------------------------------------------------------------------------------------


def test_what_bodies_print_is_in_the_log_with_queue_job_and_iteration(
    redis_url: str, redis_client: redis.Redis
) -> None:
    def talk(i: int) -> None:
        print(f"line of {i}")
        print(f"end of {i}", end="")

    job = Job(redis_client, talk)
    with worker(redis_url) as agent:
        job.push(job.block({"i": 4}, {"i": 5}, first=4))
        job.results(1)
        job.push(job.block({"i": 6}, first=6))
        job.results(2)
        for iteration in (4, 5, 6):
            wait_until(
                lambda n=iteration: f"[{QUEUE} {job.id} {n}] line of {n}\n" in agent.output,  # type: ignore[misc]
                f"line of {iteration}",
            )
        assert f"[{QUEUE} {job.id} 4] end of 4\n" in agent.output
        assert "\x1e" not in agent.output


@pytest.mark.needs_r
@pytest.mark.parametrize("engine", R_ENGINES)
def test_what_r_bodies_print_is_in_the_log_too(
    engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    job = Job(redis_client, peer().make("job({ cat('line of', i); message('told by ', i); i })"))
    with worker(redis_url, "--codec", "r", "--r-engine", engine) as agent:
        job.push(job.adopt(peer().make("task(i = 1:3)")))
        job.results(1)
        for iteration in (1, 2, 3):
            wait_until(
                lambda n=iteration: (
                    f"{job.id} {n}] line of {n}" in agent.output  # type: ignore[misc]
                    and f"told by {n}\n" in agent.output
                ),
                f"both lines of {iteration}",
            )
        assert "\x1e" not in agent.output


def prints_unless_it_dies(i: int) -> int:
    if i == 3:
        os._exit(3)
    print("I am", i)
    return i


EXECUTORS = [
    pytest.param("python", "", id="python"),
    *(pytest.param("r", engine, id=engine, marks=pytest.mark.needs_r) for engine in R_ENGINES),
]


@pytest.mark.parametrize(("language", "engine"), EXECUTORS)
def test_each_line_is_put_down_to_the_iteration_that_printed_it(
    language: str, engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """Tasks of microseconds, of which many are in the pipe when the agent gets to read what they print."""
    options = ("--codec", "r", "--r-engine", engine) if language == "r" else ()
    with worker(redis_url, *options) as agent:
        if language == "r":
            job = Job(redis_client, peer().make(r"job({ cat('I am', i, '\n'); i })"))
            one = peer().make("task(i = 1:2)")
            job.push(*(job.adopt(peer().make(f"task(i = {n}, first = {n}L)")) for n in range(10, 310)))
            job.push(job.adopt(one))
        else:
            job = Job(redis_client, prints_unless_it_dies)
            job.push(*(job.block({"i": n}, first=n) for n in range(10, 310)))
            job.push(job.block({"i": 1}, {"i": 2}))
        job.results(301)
        expected = [f"{n}] I am {n}" for n in (*range(10, 310), 1, 2)]
        wait_until(lambda: agent.output.count("I am") >= len(expected), "all lines")
        found = re.findall(rf"\[{QUEUE} {job.id} (.*\] I am \d+)", agent.output)
        # A task that the machine was slow on sends those behind it back: another order is right, too.
        assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("language", "engine"), EXECUTORS)
def test_a_crash_is_reported_with_what_belongs_to_it(
    language: str, engine: str, redis_url: str, redis_client: redis.Redis
) -> None:
    options = ("--codec", "r", "--r-engine", engine) if language == "r" else ()
    with worker(redis_url, "--max-crashes", "1", *options):
        if language == "r":
            job = Job(
                redis_client, peer().make(r"job({ if (i == 3) quit('no', 3); cat('I am', i, '\n'); i })")
            )
            job.push(job.adopt(peer().make("task(i = 1:4)")))
        else:
            job = Job(redis_client, prints_unless_it_dies)
            job.push(job.block(*({"i": n} for n in range(1, 5))))
        found = job.results(1)
        kind, message = found.pop("3")
        assert kind == "pydoredis_crash"
        assert re.search(r"ended with exit status 3 \(peak memory \d+ MB\)$", message)
        assert len(found) == 3
        assert "pydoredis_crash" not in str(found)
