"""The link to Redis in a loop that it never blocks, on real servers that hang, restart and refuse."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import hiredis
import pytest

from tests.faults.proxy import Proxy
from tests.redis_process import RedisProcess
from tests.worker.link_loop import Connected, Invalidated, LinkLoop, Lost, Replied

SCRIPTS = {"double": "return ARGV[1] * 2"}


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@pytest.fixture
def loop(server: RedisProcess) -> Iterator[LinkLoop]:
    with LinkLoop(server.url, SCRIPTS) as made:
        yield made


def test_a_batch(loop: LinkLoop, server: RedisProcess) -> None:
    connected = loop.next(Connected)
    with server.client() as client:
        assert connected.run_id == client.info("server")["run_id"]
    assert connected.tracking
    sha = connected.shas["double"]
    replies = loop.ask(
        ("SET", "a", b"1"), ("GET", "a"), ("EVALSHA", sha, 0, 21), ("GET", "none"), ("LPOP", "a")
    )
    assert replies[:4] == [b"OK", b"1", 42, None]
    assert isinstance(replies[4], hiredis.ReplyError)
    assert loop.link.idle


def test_one_batch_at_a_time(loop: LinkLoop) -> None:
    with pytest.raises(RuntimeError, match="no connection"):
        loop.send(("PING",))
    loop.next(Connected)
    loop.send(("PING",))
    with pytest.raises(RuntimeError, match="under way"):
        loop.send(("PING",))
    assert loop.next(Replied).replies == [b"PONG"]
    with pytest.raises(ValueError, match="without commands"):
        loop.send()


def test_large_values_both_ways(loop: LinkLoop) -> None:
    loop.next(Connected)
    value = random.Random(1).randbytes(48 << 20)
    assert loop.ask(("SET", "large", memoryview(value)), ("PING",)) == [b"OK", b"PONG"]
    assert loop.ask(("GET", "large"))[0] == value


def test_changes_of_keys_that_were_read_are_told(loop: LinkLoop, server: RedisProcess) -> None:
    loop.next(Connected)
    loop.ask(("LLEN", "list"), ("EVAL", "return redis.call('EXISTS', KEYS[1])", 1, "in a script"))
    with server.client() as client:
        client.rpush("list", "1")
        assert loop.next(Invalidated).keys == (b"list",)
        client.set("in a script", "1")
        assert loop.next(Invalidated).keys == (b"in a script",)
        loop.ask(("LLEN", "list"))
        client.rpush("list", "2")
        # Whoever asks after the change hears of it before the reply.
        loop.send(("LLEN", "other"))
        assert loop.next(Invalidated).keys == (b"list",)
        loop.ask(("LLEN", "list"))
        client.flushall()
        assert loop.next(Invalidated).keys is None


def test_of_ones_own_changes_nothing_is_told(loop: LinkLoop, server: RedisProcess) -> None:
    loop.next(Connected)
    loop.ask(("LLEN", "list"))
    loop.ask(("RPUSH", "list", "1"))
    loop.ask(("LLEN", "list"))
    with server.client() as client:
        client.rpush("list", "2")
    loop.next(Invalidated)
    assert not [event for event in loop.heard if isinstance(event, Invalidated)]


def test_a_server_that_hangs_blocks_nothing(server: RedisProcess) -> None:
    with LinkLoop(server.url, timeout_s=1.0) as loop:
        loop.next(Connected)
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            number = loop.send(("SET", "key", bytes(32 << 20)))  # more than sockets hold
            loop.longest_s = 0.0
            began_s = time.monotonic()
            lost = loop.next(Lost)
            assert lost.batch == number
            assert "no answer for 1 s" in lost.reason
            assert 0.9 < time.monotonic() - began_s < 5.0
            loop.next(Lost)  # nor can another connection be made
            assert loop.longest_s < 0.5
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        loop.next(Connected)
        assert loop.ask(("PING",)) == [b"PONG"]


def test_a_restart(loop: LinkLoop, server: RedisProcess) -> None:
    first = loop.next(Connected)
    server.stop()
    assert loop.next(Lost).batch is None
    server.start()
    second = loop.next(Connected)
    assert second.run_id != first.run_id
    assert loop.ask(("EVALSHA", second.shas["double"], 0, 2)) == [4]


def test_a_batch_whose_connection_breaks_is_lost(loop: LinkLoop, server: RedisProcess) -> None:
    loop.next(Connected)
    number = loop.send(("BLPOP", "none", 0))
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert loop.next(Lost).batch == number
    loop.next(Connected)
    assert loop.ask(("PING",)) == [b"PONG"]


@pytest.mark.parametrize("command", ["SCRIPT FLUSH", "REPLICAOF 127.0.0.1 1"])
def test_a_server_that_is_not_what_we_need_any_more(
    loop: LinkLoop, server: RedisProcess, command: str
) -> None:
    connected = loop.next(Connected)
    with server.client() as client:
        client.execute_command(*command.split())
        number = loop.send(("SET", "key", "value"), ("EVALSHA", connected.shas["double"], 0, 2))
        lost = loop.next(Lost)
        assert lost.batch == number
        client.replicaof("NO", "ONE")
    loop.next(Connected)
    assert loop.ask(("SET", "key", "value")) == [b"OK"]


def test_without_the_right_to_be_told(server: RedisProcess) -> None:
    with server.client() as client:
        client.acl_setuser(
            "ada", enabled=True, passwords=["+x"], categories=["+@all"], commands=["-client"], keys=["*"]
        )
    with LinkLoop(server.url.replace("//", "//ada:x@")) as loop:
        assert not loop.next(Connected).tracking
        assert loop.ask(("PING",)) == [b"PONG"]


def test_a_password_that_is_wrong_for_a_while(server: RedisProcess) -> None:
    with server.client() as client, LinkLoop(server.url.replace("//", "//ada:x@")) as loop:
        assert "password" in loop.next(Lost).reason
        client.acl_setuser("ada", enabled=True, passwords=["+x"], categories=["+@all"], keys=["*"])
        loop.next(Connected)


def test_nobody_there() -> None:
    with LinkLoop("redis://127.0.0.1:1/0") as loop:
        assert "refused" in loop.next(Lost).reason
        loop.next(Lost)
        assert loop.longest_s < 0.5


def test_replies_in_any_pieces(server: RedisProcess) -> None:
    """A network that is slow: a batch is lost only if nothing moves, however long it takes in all."""
    with Proxy(server.port) as proxy, LinkLoop(proxy.url, timeout_s=2.0) as loop:
        loop.next(Connected)
        proxy.delay_s = 0.05
        value = bytes(1 << 20)
        assert loop.ask(("SET", "key", value), *[("GET", "key")] * 3)[1:] == [value] * 3
        proxy.stall()
        assert loop.send(("PING",)) == loop.next(Lost).batch
        proxy.resume()
        proxy.delay_s = 0.0
        loop.next(Connected)


def test_closing_waits_for_nobody(server: RedisProcess) -> None:
    assert server.process is not None
    loop = LinkLoop(server.url)
    loop.next(Connected)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        loop.send(("SET", "key", bytes(32 << 20)))
        began_s = time.monotonic()
        loop.close()
        with LinkLoop(server.url):
            pass  # an attempt to connect is under way
        assert time.monotonic() - began_s < 1.0
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
