"""Each role's user on a real server: it suffices for all that the role does, and no more is possible."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cloudpickle
import numpy as np
import pytest
import redis

import pydoredis as dr
from pydoredis import acl
from pydoredis.admin import Admin
from pydoredis.doctor.examination import examine
from pydoredis.errors import ConfigError, JobCancelled, TaskError
from pydoredis.protocol import parts
from pydoredis.protocol.keys import QueueKeys
from pydoredis.queue import Queue
from pydoredis.settings import ConnectionSettings
from pydoredis.shared_values import redis_get, redis_set
from tests.admin.queues import job_id, mark, submit, task_tag
from tests.conftest import wait_until
from tests.peers.pool import Pool
from tests.redis_process import RedisProcess, needs_server
from tests.worker.agent_process import worker

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = needs_server

QUEUE = "Q"
VALUES = "shared:*"


def run(client: redis.Redis, command: str) -> None:
    """What redis-cli does with a line."""
    client.execute_command(*shlex.split(command))  # type: ignore[no-untyped-call]


class Guarded:
    """A server with a user for each role, and a password for everybody else."""

    def __init__(self) -> None:
        self.server = RedisProcess(password=secrets.token_hex(8))
        self.admin = self.server.client()

    def user(self, role: acl.Role, **more: Any) -> str:
        """The address with a new user for a role."""
        password = secrets.token_hex(8)
        rules = acl.acl_rules(
            role, [QUEUE], password_hash=acl.hash_password(password), values=[VALUES], **more
        )
        name = f"{role}-{secrets.token_hex(4)}"
        run(self.admin, acl.acl_command(name, rules))
        return f"redis://{name}:{password}@127.0.0.1:{self.server.port}/0"

    def denied(self) -> list[str]:
        """What somebody wanted to do, and was not allowed to."""
        entries = cast("list[dict[str, Any]]", self.admin.acl_log())
        # redis-py says its name, and does without if it may not.
        said = [f"{entry['reason']}: {entry['object']} ({entry['context']})" for entry in entries]
        return [text for text in said if "client|setinfo" not in text.lower()]

    def close(self) -> None:
        self.admin.close()
        self.server.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Guarded]:
    guarded = Guarded()
    yield guarded
    guarded.close()


@pytest.fixture
def guarded(shared: Guarded) -> Iterator[Guarded]:
    """The server, without data and without entries in its log; nothing was denied at the end."""
    shared.admin.flushall()
    shared.admin.acl_log_reset()
    yield shared
    assert shared.denied() == []


def test_loops_of_all_kinds(guarded: Guarded, tmp_path: Path) -> None:
    with worker(guarded.user("worker"), workers=2) as agent:
        queue = Queue(QUEUE, guarded.user("coordinator"), ftinterval=3)
        assert queue.foreach(x=range(50)).dopar(lambda x: x * x) == [x * x for x in range(50)]
        assert [value for _, value in queue.foreach(x=[1, 2]).stream(lambda x: -x)] == [-1, -2]

        large = np.arange((parts.PIECE_BYTES + parts.LEAST_BYTES) // 8)
        assert queue.foreach(i=[1, 2]).dopar(lambda i: int(large[-i])) == [len(large) - 1, len(large) - 2]
        results = queue.foreach(i=range(3)).dopar(lambda i: bytes(1_000_000))
        assert [len(result) for result in results] == [1_000_000] * 3

        def dies_once(i: int) -> int:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(tmp_path / "died", os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
            return i

        assert queue.foreach(i=[1, 2]).dopar(dies_once) == [1, 2]

        def inner(i: int) -> int:
            return sum(dr.foreach(j=range(i)).dopar(lambda j: j))

        assert queue.foreach(i=[3, 4]).dopar(inner) == [3, 6]
        with pytest.raises(TaskError):
            queue.foreach(i=range(5)).dopar(lambda i: 1 // i)
        with dr.Executor(queue=queue) as calls:
            assert calls.submit(pow, 2, 10).result() == 1024
        redis_set("shared:a", 1.5, connection=queue.connection)
        assert redis_get("shared:a", connection=queue.connection) == 1.5
        guarded.admin.rpush(QUEUE, b"no task at all")
        wait_until(lambda: guarded.admin.llen(QueueKeys(QUEUE).dead) == 1, "it is set aside")
        agent.terminate()
        assert agent.wait() == 0
    assert guarded.admin.get("Q.count") == b"0"


def test_loops_that_end_before_they_are_done(guarded: Guarded, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    gate = str(tmp_path / "gate")

    def waits(i: int) -> str:
        return Path(gate).read_text()

    with worker(guarded.user("worker"), "--grace", "0.1", workers=2) as agent:
        queue = Queue(QUEUE, guarded.user("coordinator"))
        first = queue.foreach(i=range(10)).submit(waits)
        wait_until(lambda: len(queue.tasks()) == 2, "two tasks run")
        first.cancel()
        with pytest.raises(JobCancelled):
            first.result(timeout=20)
        second = queue.foreach(i=range(10)).submit(waits)
        wait_until(lambda: len(queue.tasks(second.id)) == 2, "two tasks run")
        assert queue.remove_job(second.id).tasks > 0
        with pytest.raises(JobCancelled):
            second.result(timeout=20)
        third = queue.foreach(i=range(10)).submit(waits)
        wait_until(lambda: len(queue.tasks(third.id)) == 2, "two tasks run")
        agent.terminate()  # which gives back what runs
        agent.wait()
        assert [(row.queued, row.running) for row in queue.jobs()] == [(8, 0)]
        third.cancel()
        queue.remove()


def test_a_worker_machine_that_dies(guarded: Guarded, tmp_path: Path) -> None:
    def kills_its_agent_once(i: int) -> int:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(tmp_path / "died", os.O_CREAT | os.O_EXCL))
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()
        return i

    queue = Queue(QUEUE, guarded.user("coordinator"), ftinterval=3)
    with worker(guarded.user("worker")) as first:
        job = queue.foreach(i=[1, 2]).submit(kills_its_agent_once)
        first.wait()
        with worker(guarded.user("worker")):
            for key in guarded.admin.scan_iter("Q.alive.*"):
                guarded.admin.delete(key)  # and not after 10 s
            assert job.result(timeout=60) == [1, 2]


@pytest.mark.needs_r
def test_values_that_r_bodies_share(guarded: Guarded) -> None:
    with worker(guarded.user("worker"), "--codec", "r"):
        queue = Queue(QUEUE, guarded.user("coordinator"))
        body = dr.rexpr('redisSet("shared:x", i * 2); y <- redisGet("shared:x"); redisDelete("shared:x"); y')
        assert queue.foreach(i=[4.0]).dopar(body) == [8.0]


@pytest.mark.rpeer
def test_peers_of_r(guarded: Guarded) -> None:
    """They know the default user alone."""
    other = Guarded()
    try:
        rules = acl.acl_rules(
            "worker", [QUEUE], password_hash=acl.hash_password("of everybody"), r_peers=True
        )
        run(other.admin, "ACL SETUSER root on >root ~* &* +@all")
        other.admin = redis.Redis(port=other.server.port, username="root", password="root")
        run(other.admin, acl.acl_command("default", rules))
        pool = Pool(f"redis://:of%20everybody@127.0.0.1:{other.server.port}/0", other.admin, QUEUE)
        try:
            pool.add_r_worker()
            pool.add_agent()
            assert pool.run("say(foreach(i = 1:6, .combine = c) %dopar% i)") == "1:6"
            assert "data.frame" in pool.run("say(class(jobs()))")
            assert pool.run("removeQueue(queue); say(1)") == "1"
        finally:
            pool.close()
        assert other.denied() == []
    finally:
        other.close()


def test_a_viewer_sees_it_all(guarded: Guarded) -> None:
    left, running = job_id(1), job_id(2)
    submit(guarded.admin, QUEUE, left, [1])
    guarded.admin.delete(QueueKeys(QUEUE).env(left))
    guarded.admin.zadd(QueueKeys(QUEUE).over, {left: 1e12})
    guarded.admin.lpush(QueueKeys(QUEUE).out(left), b"late")
    submit(guarded.admin, QUEUE, running, [1, 2])
    mark(guarded.admin, QUEUE, running, task_tag(1))
    mark(guarded.admin, QUEUE, running, task_tag(2), alive=False)
    guarded.admin.set("Q.count", 2)
    before = sorted(guarded.admin.scan_iter())
    connection = ConnectionSettings(guarded.user("viewer"))
    with Admin(connection) as admin:
        assert [(row.job, row.state, row.queued) for row in admin.jobs(QUEUE)] == [
            (left, "left over", 1),
            (running, "open", 2),
        ]
        assert [row.state for row in admin.tasks(QUEUE)] == ["running", "lapsed"]
        assert {row.state for row in admin.workers(QUEUE)} == {"busy", "idle"}
        assert {row.queue for row in admin.jobs()} == {QUEUE}
    findings = {found.check: found.severity for found in examine(connection, QUEUE).findings}
    assert (findings["timeout"], findings["lapsed"]) == ("unknown", "warning")
    assert sorted(guarded.admin.scan_iter()) == before
    guarded.admin.acl_log_reset()  # it was denied CONFIG and CLIENT LIST, and to sweep


FORBIDDEN = [
    *(
        "CONFIG GET timeout",
        "CONFIG SET timeout 1",
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "SHUTDOWN",
        "BGSAVE",
    ),
    *(
        "ACL LIST",
        "ACL SETUSER default on nopass",
        "CLIENT LIST",
        "CLIENT KILL 127.0.0.1:1",
        "MONITOR",
        "SAVE",
    ),
    *("REPLICAOF 127.0.0.1 1", "MIGRATE 127.0.0.1 1 Q 0 100", "MODULE LIST", "SCRIPT FLUSH", "SCRIPT KILL"),
    *("SORT Q BY nosort GET other.env.1", "SWAPDB 0 1", "RENAME Q other", "COPY Q other", "SUBSCRIBE all"),
    *(
        "PUBLISH all x",
        "FUNCTION LIST",
        "SLOWLOG GET",
        "LATENCY DOCTOR",
        "RANDOMKEY",
        "DUMP Q",
        "OBJECT FREQ Q",
    ),
]

OTHERS = [
    *("GET other.env.1", "SET other.live x", "LRANGE other 0 -1", "RPUSH other x", "DEL other", "UNLINK Qx"),
    *(
        "GET secret",
        "SET secret x",
        "HGETALL pydoredis:{other}:agents",
        "LMOVE Q other LEFT LEFT",
        "GET Qx.env.1",
    ),
    "MGET Q.count other.count",
    "EVAL return(redis.call('GET','other.env.1')) 0",
    "EVAL return(redis.call('FLUSHALL')) 0",
    "EVAL return(redis.call('LRANGE',KEYS[1],0,-1)) 1 other",
]

WRITES = [
    *(
        "SET Q.live x",
        "RPUSH Q x",
        "LPUSH Q.out.1 x",
        "DEL Q",
        "UNLINK Q",
        "EXPIRE Q 1",
        "HSET pydoredis:{Q}:a b c",
    ),
    *(
        "LPOP Q",
        "LTRIM Q 0 1",
        "SET shared:a 1",
        "LMOVE Q Q LEFT RIGHT",
        "GETDEL Q.count",
        "GETEX Q.count EX 1",
    ),
    "EVALSHA {sha} 1 Q x",
]


@pytest.mark.parametrize("role", ["worker", "coordinator", "viewer"])
def test_no_more_is_possible(role: acl.Role, shared: Guarded) -> None:
    url = shared.user(role)
    shared.admin.rpush(QUEUE, b"task")
    shared.admin.set("other.env.1", b"of others")
    sha = shared.admin.script_load("return redis.call('RPUSH', KEYS[1], ARGV[1])")
    forbidden = [*FORBIDDEN, *OTHERS, *(WRITES if role == "viewer" else ())]
    with redis.Redis.from_url(url) as client:
        assert client.ping()
        for command in forbidden:
            words = command.format(sha=sha) if "{sha}" in command else command
            with pytest.raises(redis.ResponseError, match=r"(?i)permission|user executing the script can't"):
                client.execute_command(*words.split())
        assert client.llen(QUEUE) == shared.admin.llen(QUEUE)
    assert shared.admin.get("other.env.1") == b"of others"
    shared.admin.delete(QUEUE)
    shared.admin.acl_log_reset()


def test_nobody_gets_in_with_another_password(shared: Guarded) -> None:
    url = re.sub(":[0-9a-f]{16}@", ":other@", shared.user("worker"))
    with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    shared.admin.acl_log_reset()


def test_the_placeholder_is_no_password(shared: Guarded) -> None:
    line = acl.acl_command("somebody", acl.acl_rules("worker", [QUEUE]))
    with pytest.raises(redis.ResponseError):
        run(shared.admin, line)
    run(shared.admin, "ACL DELUSER somebody")


@pytest.mark.parametrize("queue", ["a b", "{jobs}:urgent", "größe"])
def test_queues_of_any_name(queue: str, shared: Guarded) -> None:
    rules = acl.acl_rules("worker", [queue], password_hash=acl.hash_password("p"))
    run(shared.admin, acl.acl_command("odd", rules))
    keys = QueueKeys(queue)
    with redis.Redis(port=shared.server.port, username="odd", password="p") as client:
        for name in (keys.queue, keys.live, keys.env("1"), keys.agents, keys.python):
            assert client.exists(name) == 0
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.exists("other")
    shared.admin.acl_log_reset()


def test_a_file_of_users(tmp_path: Path) -> None:
    rules = acl.acl_rules("viewer", [QUEUE], password_hash=acl.hash_password("p"))
    everybody = "user default on nopass ~* &* +@all"
    (tmp_path / "users.acl").write_text(f"{everybody}\n{acl.acl_file_line('ada', rules)}\n")
    with (
        RedisProcess(aclfile=str(tmp_path / "users.acl")) as server,
        redis.Redis(port=server.port, username="ada", password="p") as client,
    ):
        assert client.llen(QUEUE) == 0
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.lpush(QUEUE, "task")


def test_commands_of_scripts_are_allowed() -> None:
    """Those that no loop above may happen to need, too."""
    scripts = (Path(acl.__file__).parent / "lua").glob("*.lua")
    used = {word.lower() for path in scripts for word in re.findall(r"call\('([A-Z]+)'", path.read_text())}
    assert used <= {*acl.COMMANDS["worker"]}
    assert "set" in used


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"queues": []}, "queue"),
        ({"queues": ["a*"]}, "queue"),
        ({"queues": ["a"], "values": ["a b"]}, "values"),
    ],
)
def test_mistakes(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        acl.acl_rules("worker", **arguments)
    assert caught.value.setting == named
    with pytest.raises(ConfigError):
        acl.acl_command("a b", [])
    with pytest.raises(ConfigError):
        acl.hash_password("")
