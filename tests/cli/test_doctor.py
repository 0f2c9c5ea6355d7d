"""`pydoredis doctor` as a user or a script calls it."""

from __future__ import annotations

import pytest
import redis

from pydoredis.protocol.keys import QueueKeys
from pydoredis.server import free_port
from tests.admin.queues import job_id, names, submit
from tests.cli.test_admin import at_a_terminal, document, pydoredis
from tests.redis_process import RedisProcess

MINE = job_id(349)


@pytest.fixture
def left_over(redis_url: str, redis_client: redis.Redis) -> str:
    """The address of a server with a job that is over and left two tasks."""
    submit(redis_client, "q", MINE, [1, 2])
    redis_client.delete(QueueKeys("q").env(MINE))
    return redis_url


def test_findings_for_people(redis_url: str) -> None:
    done = pydoredis(redis_url, "doctor")
    assert done.exit_code == 0, "warnings are no errors"
    lines = done.stdout.splitlines()
    assert ["ok", "timeout"] in [line.split()[:2] for line in lines]
    warned = next(n for n, line in enumerate(lines) if line.startswith("warning persistence"))
    assert "CONFIG SET appendonly yes" in lines[warned + 1], "what to do stands below"


def test_findings_for_programs(left_over: str) -> None:
    said = document(left_over, "doctor")
    assert {"check", "severity", "finding", "advice", "queue"} == {*said["findings"][0]}
    (orphan,) = said["orphans"]
    assert (orphan["kind"], orphan["name"], orphan["tasks"]) == ("job", MINE, 2)
    assert "removed" not in said


def test_an_error_is_an_exit_status() -> None:
    with RedisProcess(timeout="5") as hasty:
        done = pydoredis(hasty.url, "doctor")
        assert done.exit_code == 1
        assert done.stdout.splitlines()[-2].startswith("error   timeout"), "the worst comes last"
    done = pydoredis(f"redis://127.0.0.1:{free_port()}/0", "doctor", "--json")
    assert done.exit_code == 1


def test_nothing_is_removed_unasked(left_over: str, redis_client: redis.Redis) -> None:
    before = names(redis_client)
    done = pydoredis(left_over, "doctor", "--clean")
    assert (done.exit_code, "say --yes" in done.stderr) == (2, True)
    assert f"Left over: queue q: 2 waiting tasks, 0 unread results, 0 marks of job {MINE}" in done.stderr
    status, shown = at_a_terminal(left_over, "n", "doctor", "--clean")
    assert (status, "Remove what is left over (1)?" in shown) == (1, True)
    assert names(redis_client) == before


def test_what_is_left_over_is_removed(left_over: str, redis_client: redis.Redis) -> None:
    status, _ = at_a_terminal(left_over, "y", "doctor", "--clean")
    assert status == 0
    assert not redis_client.exists("q")
    assert document(left_over, "doctor", "--clean", "--yes")["removed"] == []


def test_a_queue_of_that_name(redis_url: str) -> None:
    assert pydoredis(redis_url, "doctor", "--queue", "q*").exit_code == 2
    done = pydoredis(redis_url, "doctor", "--queue", "q")
    assert "there is no such queue" in done.stdout
