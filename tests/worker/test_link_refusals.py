"""The agent's link at servers that do not let it in, or do not do all that it asks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest
import redis

from pydoredis.errors import ConfigError, StoreUnavailable
from pydoredis.worker.link_events import Connected, Lost, Replied
from tests.conftest import wait_until
from tests.redis_process import RedisProcess, needs_server
from tests.worker.link_loop import BLOCKING_S, Loop

pytestmark = needs_server

ECHO = {"echo": "return ARGV[1]"}

OLD_READONLY = (
    "ERR Error running script (call to f_0123): @user_script:1: @user_script: 1: -READONLY You can't write "
    "against a read only replica."
)
"""As Redis 6.2 has it."""


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


def user(server: RedisProcess, *commands: str) -> str:
    """An address for a user who may do all but what `commands` say."""
    with server.client() as client:
        client.acl_setuser(
            "ada", enabled=True, passwords=["+x"], categories=["+@all"], commands=[*commands], keys=["*"]
        )
    return f"redis://ada:x@127.0.0.1:{server.port}/0"


# --- who we are -------------------------------------------------------------------------------------------


def test_a_password_that_is_wrong_and_then_right() -> None:
    with (
        RedisProcess(password="new") as server,
        server.client() as client,
        Loop(f"redis://:old@127.0.0.1:{server.port}/0") as loop,
    ):
        lost = loop.next(Lost)
        assert isinstance(lost.error, ConfigError)
        assert "the right user and password" in lost.reason
        assert "WRONGPASS" in lost.reason or "invalid" in lost.reason
        assert "old" not in lost.reason, "no password is shown"
        began_s = time.monotonic()
        for _ in range(4):
            loop.next(Lost)
        assert time.monotonic() - began_s > 0.4, "tried again, with pauses"
        client.config_set("requirepass", "old")
        loop.connect()
        assert loop.ask(("PING",)) == [b"PONG"]


def test_no_password_where_one_is_needed() -> None:
    with RedisProcess(password="x") as server, Loop(f"redis://127.0.0.1:{server.port}/0") as loop:
        lost = loop.next(Lost)
        assert isinstance(lost.error, ConfigError)
        assert "Authentication required" in lost.reason


def test_a_password_that_changes_behind_an_open_connection(server: RedisProcess) -> None:
    """Redis ends connections of a user that is deleted; what comes then is told as at the beginning."""
    url = user(server)
    with server.client() as client, Loop(url) as loop:
        loop.connect()
        client.acl_deluser("ada")
        assert "closed" in loop.next(Lost).reason
        assert isinstance(loop.next(Lost).error, ConfigError)
        user(server)
        loop.connect()


@pytest.mark.parametrize("rule", ["-client|tracking", "-client|caching", "-client"])
def test_a_user_to_whom_no_changes_are_told(server: RedisProcess, rule: str) -> None:
    no_changes_are_told(server, user(server, rule))


class WithoutHello(RedisProcess):
    """Its clients speak RESP2."""

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, protocol=2)


def test_a_server_without_hello(tmp_path: Path) -> None:
    """ACLs cannot forbid it, but a server may have it renamed. Replies are RESP2's then."""
    settings = tmp_path / "redis.conf"
    settings.write_text('rename-command HELLO ""\n')
    with WithoutHello(include=str(settings)) as server:
        no_changes_are_told(server, server.url)


def no_changes_are_told(server: RedisProcess, url: str) -> None:
    with server.client() as client, Loop(url, ECHO) as loop:
        connected = loop.connect()
        assert not connected.tracking
        assert loop.ask(("GET", "a"), ("EVALSHA", connected.shas["echo"], 0, "x")) == [None, b"x"]
        client.set("a", 1)
        assert loop.ask(("GET", "a"), ("PING",)) == [b"1", b"PONG"]
        assert [type(event) for event in loop.events] == [Connected, Replied, Replied]


def test_a_user_who_may_not_do_what_is_needed(server: RedisProcess) -> None:
    for rule, kind in (("-info", ConfigError), ("-script|load", StoreUnavailable)):
        with Loop(user(server, rule), ECHO) as loop:
            lost = loop.next(Lost)
            assert isinstance(lost.error, kind)
            assert "permission" in lost.reason
        with server.client() as client:
            client.acl_deluser("ada")


def test_a_command_that_is_not_permitted_is_a_value(server: RedisProcess) -> None:
    with Loop(user(server, "-get")) as loop:
        loop.connect()
        refused, done = loop.ask(("GET", "a"), ("INCR", "a"))
        assert isinstance(refused, hiredis.ReplyError)
        assert str(refused).startswith("NOPERM")
        assert done == 1
        assert not loop.told(Lost)


# --- what the server is -----------------------------------------------------------------------------------


def test_a_server_that_becomes_a_replica(server: RedisProcess) -> None:
    with RedisProcess() as master, server.client() as client, Loop(server.url) as loop:
        loop.connect()
        assert loop.ask(("SET", "a", 1)) == [b"OK"]
        client.replicaof("127.0.0.1", str(master.port))
        number = loop.send(("EVAL", "return redis.call('INCR', KEYS[1])", 1, "a"))
        lost = loop.next(Lost)
        assert lost.batch == number
        assert "READONLY" in lost.reason
        client.replicaof("NO", "ONE")
        assert loop.ask_again(("SET", "a", 1), ("INCR", "a")) == [b"OK", 2]


@pytest.mark.parametrize(
    "text",
    [
        "READONLY You can't write against a read only replica.",
        OLD_READONLY,
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "ASK 3999 127.0.0.1:6381",
        "NOREPLICAS Not enough good replicas to write.",
        "NOAUTH Authentication required.",
    ],
    ids=lambda text: text.split()[0],
)
def test_replies_that_end_a_connection(redis_url: str, text: str) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        commands = [("SET", "a", 1), ("EVAL", "return redis.error_reply(ARGV[1])", 0, text), ("PING",)]
        number = loop.send(*commands)
        lost = loop.next(Lost)
        assert (lost.batch, lost.reason) == (number, text)
        assert len(loop.told(Replied)) == 0
        loop.connect()
        assert loop.ask(("GET", "a")) == [b"1"]


@pytest.mark.parametrize(
    "text",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR the word READONLY, in a sentence",
        "MOVEDX is another word",
        "lower case",
    ],
    ids=lambda text: text.split()[0],
)
def test_replies_that_end_none(redis_url: str, text: str) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        error, pong = loop.ask(("EVAL", "return redis.error_reply(ARGV[1])", 0, text), ("PING",))
        assert isinstance(error, hiredis.ReplyError)
        assert text in str(error)
        assert pong == b"PONG"


def test_a_server_that_always_refuses_is_not_hammered(redis_url: str) -> None:
    with Loop(redis_url) as loop:
        began_s = time.monotonic()
        for _ in range(5):
            loop.connect()
            loop.send(("EVAL", "return redis.error_reply('READONLY no')", 0))
        assert time.monotonic() - began_s > 0.4


def test_a_server_that_is_busy_with_a_script(server: RedisProcess) -> None:
    with server.client() as client, Loop(server.url) as loop:
        client.config_set("lua-time-limit", 50)
        loop.connect()

        def block() -> None:
            with server.client() as other, contextlib.suppress(redis.exceptions.ResponseError):
                other.eval("while true do end", 0)

        thread = threading.Thread(target=block, daemon=True)
        thread.start()
        wait_until(lambda: is_busy(client), "the script runs")
        number = loop.send(("GET", "a"))
        lost = loop.next(Lost)
        assert lost.batch == number
        assert "BUSY" in lost.reason
        assert "BUSY" in loop.next(Lost).reason, "at connecting, too"
        client.script_kill()
        thread.join()
        assert loop.ask_again(("GET", "a")) == [None]
        assert loop.longest_s < BLOCKING_S


def is_busy(client: redis.Redis) -> bool:
    try:
        client.get("a")
    except redis.exceptions.ResponseError:
        return True
    return False
