"""The agent's link to Redis while all is well: batches, large values, what the server tells by itself."""

from __future__ import annotations

import hiredis
import pytest
import redis

from pydoredis.store.agent import WATCH
from pydoredis.worker.link_channel import Word
from pydoredis.worker.link_events import Connected, Invalidated, Lost, Replied
from tests.redis_process import RedisProcess, needs_server
from tests.worker.link_loop import Loop

pytestmark = needs_server

LARGE = 64 << 20

SCRIPTS = {
    "double": "return 2 * tonumber(ARGV[1])",
    "read": "return redis.call('GET', KEYS[1])",
}


def test_what_is_told_of_a_connection(redis_url: str, redis_client: redis.Redis) -> None:
    with Loop(redis_url, SCRIPTS) as loop:
        assert not loop.link.idle
        connected = loop.connect()
        info = redis_client.info("server")
        assert (connected.run_id, connected.version) == (info["run_id"], info["redis_version"])
        assert connected.tracking
        assert loop.events == [connected]
        assert loop.link.idle
        assert loop.ask(("EVALSHA", connected.shas["double"], 0, 21)) == [42]


def test_batches_are_answered_in_order(redis_url: str) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        for n in range(100):
            commands = [("RPUSH", "list", b"%d" % n), ("LLEN", "list"), ("LRANGE", "list", -1, -1)]
            assert loop.ask(*commands) == [n + 1, n + 1, [b"%d" % n]]
        assert loop.ask(*[("INCR", "n")] * 5000) == list(range(1, 5001))
        assert len(loop.told(Connected)) == 1


def test_kinds_of_words(redis_url: str) -> None:
    words: list[Word] = [
        b"b",
        bytearray(b"ba"),
        memoryview(b"mv"),
        "größer",
        7,
        -0.5,
        b"",
        memoryview(b"abcdef")[::2],
    ]
    numbers = memoryview(b"\1\2\3\4\5\6\7\0").cast("H")  # four items, eight bytes
    with Loop(redis_url) as loop:
        loop.connect()
        with pytest.raises((TypeError, ValueError), match="contiguous"):
            loop.send(("RPUSH", "list", *words))
        assert loop.ask(("RPUSH", "list", *words[:-1], numbers), ("LRANGE", "list", 0, -1))[1] == [
            *(b"b", b"ba", b"mv", "größer".encode(), b"7", b"-0.5", b"", numbers.tobytes())
        ]


def test_a_refused_command_is_a_value_among_the_replies(redis_url: str) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        first, second, third = loop.ask(("SET", "a", "x"), ("INCR", "a"), ("GET", "a"))
        assert (first, third) == (b"OK", b"x")
        assert isinstance(second, hiredis.ReplyError)
        assert "not an integer" in str(second)
        (failed,) = loop.ask(("EVAL", "return redis.call('INCR', KEYS[1])", 1, "a"))
        assert isinstance(failed, hiredis.ReplyError)
        assert loop.ask(("PING",)) == [b"PONG"]
        assert not loop.told(Lost)


def test_replies_that_mean_nothing_and_no(redis_url: str) -> None:
    """Null and false are replies, and are not taken for "there is no reply yet"."""
    with Loop(redis_url) as loop:
        loop.connect()
        script = "redis.setresp(3); return {map = {a = 1, b = 2}}"
        commands = [
            ("GET", "none"),
            ("EVAL", "redis.setresp(3); return false", 0),
            ("EVAL", script, 0),
            ("PING",),
        ]
        assert loop.ask(*commands) == [None, False, {b"a": 1, b"b": 2}, b"PONG"]


def test_large_values_both_ways(redis_url: str) -> None:
    value = bytearray(b"0123456789abcdef" * (LARGE // 16))
    with Loop(redis_url) as loop:
        loop.connect()
        turns = loop.turns
        replies = loop.ask(("SET", "a", value), ("STRLEN", "a"), ("GET", "a"), ("ECHO", "end"))
        assert replies[:2] == [b"OK", LARGE]
        assert replies[2] == value
        assert replies[3] == b"end"
        assert loop.turns - turns > 2 * LARGE / (2 << 20), "others of the loop had their turn"
        value += b"!"  # nobody holds on to it any more: else a BufferError
        del replies
        assert loop.ask(("UNLINK", "a")) == [1]


def test_many_values_of_all_sizes(redis_url: str) -> None:
    sizes = [
        0,
        1,
        100,
        (1 << 14) - 1,
        1 << 14,
        (1 << 14) + 1,
        1 << 16,
        (1 << 16) + 1,
        300_000,
        5,
        (3 << 20) + 7,
    ]
    values = [bytes([n]) * size for n, size in enumerate(sizes)]
    with Loop(redis_url) as loop:
        loop.connect()
        stored = loop.ask(*(("SET", n, value) for n, value in enumerate(values)))
        assert stored == [b"OK"] * len(values)
        assert loop.ask(("MGET", *range(len(values)))) == [values]


def test_use_before_it_is_idle(redis_url: str) -> None:
    with Loop(redis_url) as loop:
        with pytest.raises(RuntimeError):
            loop.send(("PING",))
        loop.connect()
        with pytest.raises(ValueError, match="without commands"):
            loop.send()
        number = loop.send(("PING",))
        with pytest.raises(RuntimeError):
            loop.send(("PING",))
        assert loop.next(Replied) == Replied(number, [b"PONG"])
        assert loop.ask(("PING",)) == [b"PONG"]


# --- keys that were read ----------------------------------------------------------------------------------


def test_changes_of_what_was_read_are_told(redis_url: str, redis_client: redis.Redis) -> None:
    with Loop(redis_url, SCRIPTS) as loop:
        connected = loop.connect()
        loop.ask(WATCH, ("LLEN", "a"), ("LLEN", "other"), WATCH, ("EVALSHA", connected.shas["read"], 1, "b"))
        redis_client.rpush("other", 1)
        redis_client.rpush("a", 1)
        assert loop.next(Invalidated) == Invalidated((b"a",))
        redis_client.set("b", 1)
        assert loop.next(Invalidated) == Invalidated((b"b",))
        redis_client.rpush("a", 2)
        loop.ask(("PING",))
        assert len(loop.told(Invalidated)) == 2, "told once, until it is read again"


def test_a_change_is_told_before_a_later_reply(redis_url: str, redis_client: redis.Redis) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        for n in range(200):
            loop.watch("a")
            redis_client.set("a", n)
            before = len(loop.events)
            assert loop.watch("a") == b"%d" % n
            told = loop.events[before:]
            assert [type(event) for event in told] == [Invalidated, Replied]


def test_own_changes_are_not_told(redis_url: str) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        for n in range(20):
            loop.watch("a")
            assert loop.ask(("SET", "a", n), WATCH, ("LLEN", "l"), ("LPUSH", "l", n))[-1] == n + 1
        assert not loop.told(Invalidated)


def test_all_keys_at_once(redis_url: str, redis_client: redis.Redis) -> None:
    with Loop(redis_url) as loop:
        loop.connect()
        loop.watch("a")
        redis_client.flushall()
        assert loop.next(Invalidated) == Invalidated(None)


def test_keys_that_expire_are_told() -> None:
    with RedisProcess(hz="100") as server, Loop(server.url) as loop:
        loop.connect()
        loop.ask(("SET", "a", 1, "PX", 20), WATCH, ("GET", "a"))
        assert loop.next(Invalidated, 10) == Invalidated((b"a",))


def test_a_unix_socket(redis_process: RedisProcess, redis_url: str) -> None:
    with Loop(f"unix://{redis_process.socket_path}?db=3") as loop:
        loop.connect()
        assert loop.ask(("SET", "a", "3"), ("GET", "a")) == [b"OK", b"3"]
        with redis_process.client() as client:
            assert not client.exists("a")
            client.select(3)
            assert client.get("a") == b"3"
            client.flushdb()
