"""The agent's link when Redis hangs, dies, is restarted, or the network gives up: nothing waits."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoredis.errors import StoreUnavailable
from pydoredis.worker.link_channel import Command
from pydoredis.worker.link_events import Connected, Invalidated, Lost
from tests.faults.proxy import Proxy
from tests.redis_process import RedisProcess, needs_server
from tests.worker.link_loop import BLOCKING_S, MANY_TURNS, Loop, turn_for

pytestmark = needs_server


ECHO = {"echo": "return ARGV[1]"}


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    with RedisProcess() as running:
        yield running


@contextlib.contextmanager
def hanging(server: RedisProcess) -> Iterator[None]:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- a server that hangs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 64 << 20], ids=["small", "large"])
def test_a_server_that_hangs_holds_nobody_up(server: RedisProcess, size: int) -> None:
    value = bytearray(size)
    with Loop(server.url, timeout_s=1.5) as loop:
        loop.connect()
        with hanging(server):
            began_s = time.monotonic()
            number = loop.send(("SET", "a", value), ("GET", "a"))
            turns = loop.turns
            lost = loop.next(Lost)
            assert lost.batch == number
            assert lost.reason == "no answer for 1.5 s"
            assert 1.4 < time.monotonic() - began_s < 6
            assert loop.turns - turns > MANY_TURNS, "the loop went on"
            value += b"!"  # the link has let go of it: else a BufferError
            assert not loop.link.idle
            turn_for(loop, 2)  # an attempt to connect times out meanwhile, or is about to
        loop.connect()
        assert loop.ask_again(("SET", "a", value), ("STRLEN", "a")) == [b"OK", size + 1]
        assert loop.longest_s < BLOCKING_S


def test_a_server_that_hangs_from_the_beginning(server: RedisProcess) -> None:
    with hanging(server), Loop(server.url, timeout_s=2) as loop:
        lost = loop.next(Lost)
        assert lost.batch is None
        assert isinstance(lost.error, StoreUnavailable)
        assert "Timeout" in lost.reason
        assert server.url in str(lost.error)
        assert loop.longest_s < BLOCKING_S


@pytest.mark.parametrize("connected", [True, False])
def test_closing_waits_for_nobody(server: RedisProcess, connected: bool) -> None:
    with Loop(server.url, timeout_s=5) as loop:
        before = threading.active_count()
        if connected:
            loop.connect()
        with hanging(server):
            if connected:
                loop.send(("SET", "a", bytes(32 << 20)))
            turn_for(loop, 0.1)
            began_s = time.monotonic()
            loop.link.close()
            assert time.monotonic() - began_s < BLOCKING_S
            assert loop.link.due_s == float("inf")
            turn_for(loop, 0.1)
    end_s = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < end_s, "a thread stays"
        time.sleep(0.01)


def test_a_connection_that_nobody_wants_any_more_is_closed(server: RedisProcess) -> None:
    """The attempt ends after the link: the server has no client of ours left."""
    with Loop(server.url, timeout_s=20) as loop, hanging(server):
        turn_for(loop, 0.05)
        loop.link.close()
    with server.client() as client:
        end_s = time.monotonic() + 20
        while len(client.client_list()) > 1:
            assert time.monotonic() < end_s, client.client_list()
            time.sleep(0.01)


def test_a_large_value_may_take_longer_than_the_timeout(server: RedisProcess) -> None:
    """What counts is whether anything moves."""
    value = os.urandom(2 << 20)
    with Proxy(server.port) as proxy, Loop(proxy.url, timeout_s=0.6) as loop:
        loop.connect()
        assert loop.ask(("SET", "a", value)) == [b"OK"]
        proxy.delay_s = 0.05  # for up to 64 KB
        began_s = time.monotonic()
        assert loop.ask(("GET", "a")) == [value]
        assert time.monotonic() - began_s > 1.2
        proxy.delay_s = 0


def test_a_network_that_passes_nothing_on(server: RedisProcess) -> None:
    with Proxy(server.port) as proxy, Loop(proxy.url, timeout_s=2) as loop:
        loop.connect()
        proxy.stall()
        number = loop.send(("INCR", "a"))
        assert loop.next(Lost).batch == number
        proxy.resume()
        assert loop.ask_again(("SET", "a", 5), ("GET", "a")) == [b"OK", b"5"]
        assert loop.longest_s < BLOCKING_S


# --- connections that break -------------------------------------------------------------------------------


def test_a_connection_that_is_killed_with_a_batch_under_way(server: RedisProcess) -> None:
    with Loop(server.url, ECHO) as loop, server.client() as client:
        first = loop.connect()
        turn_for(loop, 1.1)
        number = loop.send(("SET", "a", 1), ("BLPOP", "list", 20), ("SET", "b", 1))
        while not client.exists("a"):
            loop.turn()
        client.client_kill_filter(_type="normal", skipme=True)
        while not loop.told(Lost):
            assert loop.link.due_s > time.monotonic()
            loop.events += loop.link.ready(selectors.EVENT_READ)
        assert loop.link.due_s == 0, "a connection that held is replaced at once"
        lost = loop.next(Lost)
        assert (lost.batch, lost.reason) == (number, "the server closed the connection")
        second = loop.connect()
        assert first == second
        assert not client.exists("b")
        assert loop.ask(("EVALSHA", second.shas["echo"], 0, "x")) == [b"x"]


def test_a_connection_that_is_killed_while_nothing_is_under_way(server: RedisProcess) -> None:
    with Loop(server.url) as loop, server.client() as client:
        loop.connect()
        client.client_kill_filter(_type="normal", skipme=True)
        assert loop.next(Lost).batch is None
        loop.connect()
        assert loop.ask(("PING",)) == [b"PONG"]


def test_a_batch_on_a_connection_that_has_just_broken(server: RedisProcess) -> None:
    """`send` itself raises nothing; the loss is told next, once."""
    with Loop(server.url) as loop, server.client() as client:
        loop.connect()
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.05)
        number = loop.send(("SET", "a", bytes(1 << 20)))
        assert loop.next(Lost).batch == number
        loop.connect()
        assert len(loop.told(Lost)) == 1


def test_a_connection_that_is_cut_again_and_again(server: RedisProcess) -> None:
    before = descriptors()
    with Proxy(server.port) as proxy, Loop(proxy.url, ECHO) as loop:
        began_s = time.monotonic()
        for n in range(12):
            loop.connect()
            assert loop.ask_again(("SET", "a", n), ("GET", "a")) == [b"OK", b"%d" % n]
            loop.send(("GET", "a"), ("BLPOP", "list", 10))
            proxy.cut()
            assert loop.next(Lost).batch is not None
        loop.connect()
        assert loop.longest_s < BLOCKING_S
        assert time.monotonic() - began_s < 12, "it was of use each time, so pauses did not grow"
    assert descriptors() <= before


def test_a_server_that_is_killed_and_started_again(server: RedisProcess) -> None:
    with Loop(server.url, ECHO) as loop:
        first = loop.connect()
        number = loop.send(("SET", "a", 1), ("BLPOP", "list", 20))
        turn_for(loop, 0.05)
        server.stop()
        assert loop.next(Lost).batch == number
        refused = loop.next(Lost)
        assert refused.batch is None
        assert "refused" in refused.reason
        began_s = time.monotonic()
        for _ in range(4):
            loop.next(Lost)
        assert time.monotonic() - began_s > 0.4, "pauses between attempts"
        server.start()
        second = loop.connect()
        assert first.run_id != second.run_id
        assert loop.ask(("EXISTS", "a"), ("EVALSHA", second.shas["echo"], 0, "x")) == [0, b"x"]


def test_scripts_that_were_flushed(server: RedisProcess) -> None:
    with Loop(server.url, ECHO) as loop, server.client() as client:
        connected = loop.connect()
        call: Command = ("EVALSHA", connected.shas["echo"], 0, "x")
        assert loop.ask(call) == [b"x"]
        client.flushall()
        client.script_flush()
        number = loop.send(("INCR", "a"), call)
        lost = loop.next(Lost)
        assert lost.batch == number
        assert "NOSCRIPT" in lost.reason
        loop.connect()
        assert loop.ask(call, ("GET", "a")) == [b"x", b"1"]


def test_what_was_read_is_forgotten_with_the_connection(server: RedisProcess) -> None:
    """The owner has to read again after `Connected`."""
    with Loop(server.url) as loop, server.client() as client:
        loop.connect()
        loop.watch("a")
        client.client_kill_filter(_type="normal", skipme=True)
        loop.next(Lost)
        loop.connect()
        client.set("a", 1)
        loop.watch("a")
        assert not loop.told(Invalidated)
        client.set("a", 2)
        assert loop.next(Invalidated) == Invalidated((b"a",))


def test_the_owner_may_ask_for_another_connection(server: RedisProcess) -> None:
    with Loop(server.url) as loop, server.client() as client:
        loop.connect()
        number = loop.send(("BLPOP", "list", 10))
        loop.link.reconnect("it says OOM")
        assert not loop.link.idle
        lost = loop.next(Lost)
        assert (lost.batch, lost.reason) == (number, "it says OOM")
        loop.connect()
        assert loop.ask(("PING",)) == [b"PONG"]
        assert len(loop.told(Connected)) == 2
        assert len(client.client_list()) == 2, "the one before is closed"
        loop.link.close()
        loop.link.reconnect("too late")
        assert loop.link.due_s == float("inf")


def test_a_system_that_has_no_more_threads(server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Loop(server.url) as loop:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", full)
            assert loop.next(Lost).reason == "can't start new thread"
            began_s = time.monotonic()
            for _ in range(4):
                loop.next(Lost)
            assert time.monotonic() - began_s > 0.4
        loop.connect()


def test_a_reply_that_nobody_has_asked_for(server: RedisProcess) -> None:
    """Then replies and commands do not belong together any more: better a new connection."""
    with Loop(server.url) as loop, server.client() as client:
        loop.connect()
        assert loop.ask(("MONITOR",)) == [b"OK"]
        client.ping()
        lost = loop.next(Lost)
        assert (lost.batch, lost.reason) == (None, "a reply came that nobody has asked for")
        loop.connect()
        assert loop.ask(("ECHO", "x")) == [b"x"]


# --- what is no Redis -------------------------------------------------------------------------------------


def test_something_else_that_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(1000)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with Loop(f"redis://127.0.0.1:{port}/0", timeout_s=1) as loop:
            assert "no Redis" in loop.next(Lost).reason


def test_nobody_is_there(tmp_path: Path) -> None:
    for url in ("redis://127.0.0.1:1/0", "redis://no.such.host.invalid/0", f"unix://{tmp_path}/none.sock"):
        with Loop(url, timeout_s=1) as loop:
            lost = loop.next(Lost)
            assert isinstance(lost.error, StoreUnavailable)
            assert "Error" in lost.reason
            assert loop.longest_s < BLOCKING_S
