"""`pydoredis jobs | tasks | workers | remove-job | remove-queue` as a user or a script calls them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any, NamedTuple

import pytest
import redis
from typer.testing import CliRunner

from pydoredis.cli import app
from pydoredis.server import free_port
from tests.admin.queues import job_id, names, submit, take, task_tag
from tests.peers.processes import clean_environment
from tests.redis_process import RedisProcess

MINE, OTHER = job_id(349, "svc_batch", "node-1.example.org"), job_id(350)


class Done(NamedTuple):
    """What a command did."""

    exit_code: int
    stdout: str
    stderr: str


def pydoredis(url: str, *arguments: str) -> Done:
    """Run a command; nobody is at the keyboard."""
    result = CliRunner().invoke(app, [*arguments, "--url", url])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def document(url: str, *arguments: str) -> Any:
    """The one JSON document that a command prints."""
    done = pydoredis(url, *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def busy(redis_url: str, redis_client: redis.Redis) -> str:
    """The address of a server with two jobs, a running task and three workers."""
    submit(redis_client, "a.b_c", MINE, range(1, 5))
    submit(redis_client, "a.b_c", OTHER, [1])
    take(redis_client, "a.b_c", MINE, task_tag(1))
    redis_client.set("a.b_c.count", 3)
    return redis_url


def test_tables_for_people(busy: str) -> None:
    jobs, tasks, workers = (pydoredis(busy, command) for command in ("jobs", "tasks", "workers"))
    assert jobs.exit_code == tasks.exit_code == workers.exit_code == 0
    header, *rows = jobs.stdout.splitlines()
    assert header.split() == ["queue", "job", "state", "queued", "running", "lapsed", "results", "done"]
    assert rows[0].split() == ["a.b_c", MINE, "open", "3", "1", "0", "0", "-"]
    assert "1...1" in tasks.stdout
    assert "running" in tasks.stdout
    assert ["a.b_c", "idle", "2"] in [line.split()[:3] for line in workers.stdout.splitlines()]


def test_documents_for_programs(busy: str) -> None:
    first, second = document(busy, "jobs")
    assert (first["user"], first["host"], first["queued"]) == ("svc_batch", "node-1.example.org", 3)
    assert first["time"] == "2026-11-23T11:45:31"
    assert second["job"] == OTHER
    (task,) = document(busy, "tasks", "--job", "349")
    assert (task["iter"], task["host"], task["pid"], task["state"]) == ("1...1", "w1", 70, "running")
    assert document(busy, "tasks", "--job", "350") == []
    assert [row["workers"] for row in document(busy, "workers")] == [1, 2]
    assert [row["job"] for row in document(busy, "jobs", "--queue", "a.b_c")] == [MINE, OTHER]


def test_a_server_without_queues(redis_url: str) -> None:
    for command in ("jobs", "tasks", "workers"):
        assert document(redis_url, command) == []
        done = pydoredis(redis_url, command)
        assert (done.exit_code, done.stdout.count("\n")) == (0, 1)


def test_one_job_is_removed(busy: str, redis_client: redis.Redis) -> None:
    done = pydoredis(busy, "remove-job", "349", "--yes")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"Removed job {MINE} of queue a.b_c: 3 waiting tasks and 3 keys.\n"
    assert "1 tasks are running" in done.stderr
    assert [row["job"] for row in document(busy, "jobs")] == [OTHER]
    assert redis_client.llen("a.b_c") == 1


def test_a_queue_is_removed(busy: str, redis_client: redis.Redis) -> None:
    redis_client.set("kept", 1)
    assert document(busy, "remove-queue", "a.b_c", "--yes") == {
        "queue": "a.b_c",
        "job": None,
        "tasks": 4,
        "keys": 7,
        "running": 1,
    }
    assert names(redis_client) == {"kept"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("remove-job", "35"), 1, "there is no job '35'"),
        (("remove-job", "1_"), 1, "2 jobs"),
        (("remove-queue", "jobs"), 1, "there is no queue 'jobs'"),
        (("remove-queue", "text"), 1, "'text' is no queue"),
        (("remove-queue", "*"), 2, "queue"),
        (("remove-queue", ""), 2, "queue"),
        (("remove-job", ""), 1, "there is no job ''"),
        (("remove-job",), 2, "JOB"),
        (("jobs", "--queue", "a*"), 2, "queue"),
        (("jobs", "--queue", "a"), 1, "there is no queue 'a'"),
        (("jobs", "--queue", "text"), 1, "'text' is no queue"),
        (("workers", "--queue", "a"), 1, "there is no queue 'a'"),
        (("tasks", "--queue", "a"), 1, "there is no queue 'a'"),
        (("tasks", "--job", "35"), 1, "there is no job '35'"),
        (("tasks", "--job", ""), 1, "there is no job ''"),
        (("tasks", "--queue", "q", "--job", "349"), 1, "there is no job '349'"),
        # Nobody can be asked here.
        (("remove-job", "349"), 2, "say --yes"),
        (("remove-queue", "a.b_c"), 2, "say --yes"),
        (("remove-queue", "a.b_c", "--json"), 2, "say --yes"),
    ],
)
def test_mistakes(
    arguments: tuple[str, ...], status: int, message: str, busy: str, redis_client: redis.Redis
) -> None:
    redis_client.set("text", "of a user")
    submit(redis_client, "q", job_id(1), [1])
    submit(redis_client, "q", job_id(1, milliseconds=1), [1])
    before = names(redis_client)
    done = pydoredis(busy, *arguments)
    assert done.exit_code == status
    assert message in done.stderr
    assert done.stdout == ""
    assert names(redis_client) == before


def test_a_queue_without_jobs_is_one(redis_url: str, redis_client: redis.Redis) -> None:
    redis_client.set("waiting.count", 2)  # workers that wait for a first job
    for command in ("jobs", "tasks"):
        assert document(redis_url, command, "--queue", "waiting") == []
    (row,) = document(redis_url, "workers", "--queue", "waiting")
    assert row["workers"] == 2


def test_what_is_called_like_a_pattern_can_be_removed(redis_url: str, redis_client: redis.Redis) -> None:
    """R's peers take any name; and `jobs` lists it."""
    submit(redis_client, "q[1]", MINE, [1])
    submit(redis_client, "q1", OTHER, [1])
    assert [row["queue"] for row in document(redis_url, "jobs", "--queue", "q[1]")] == ["q[1]"]
    assert document(redis_url, "remove-job", "349", "--yes")["tasks"] == 1
    assert document(redis_url, "remove-queue", "q[1]", "--yes")["keys"] > 0
    assert [row["queue"] for row in document(redis_url, "jobs")] == ["q1"]


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_somebody_at_a_terminal_is_asked(
    answer: str, status: int, busy: str, redis_client: redis.Redis
) -> None:
    returned, shown = at_a_terminal(busy, answer, "remove-job", OTHER)
    assert returned == status
    assert "Remove job" in shown
    assert redis_client.exists(f"a.b_c.env.{OTHER}") == (status != 0)


def test_yes_is_an_answer(busy: str, redis_client: redis.Redis) -> None:
    returned, shown = at_a_terminal(busy, "", "remove-queue", "a.b_c", "--yes")
    assert returned == 0
    assert "?" not in shown
    assert names(redis_client) == set()


def test_no_server_there() -> None:
    done = pydoredis(f"redis://127.0.0.1:{free_port()}/0", "jobs")
    assert done.exit_code == 3
    assert "not available" in done.stderr
    assert done.stdout == ""


def test_a_wrong_password_is_not_shown() -> None:
    with RedisProcess(password="right") as server:
        done = pydoredis(f"redis://:wrong-secret@127.0.0.1:{server.port}/0", "jobs")
        assert done.exit_code == 2
        assert "password" in done.stderr
        assert "wrong-secret" not in done.stderr + done.stdout
        assert pydoredis(server.url, "jobs").exit_code == 0


def at_a_terminal(url: str, answer: str, *arguments: str) -> tuple[int, str]:
    """Run a command at a terminal, where `answer` is typed; exit status, and what standard error shows."""
    controller, terminal = pty.openpty()
    try:
        os.write(controller, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "pydoredis", *arguments, "--url", url],
            stdin=terminal,
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    return done.returncode, done.stderr
