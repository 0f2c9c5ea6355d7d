"""Bytes on the agent's link: however the network cuts them, replies and commands stay the same."""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoredis.worker.link_channel import Channel, Word, pack

SMALL_BUFFER = 4096
"""The least that Linux has."""


@contextmanager
def channel(*, small: bool = False) -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the server's end of it."""
    ours, theirs = socket.socketpair()
    if small:
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    theirs.settimeout(10)
    made = Channel(ours)
    try:
        yield made, theirs
    finally:
        made.close()
        theirs.close()


def is_readable(made: Channel) -> bool:
    return bool(select.select([made], [], [], 0)[0])


# --- replies ----------------------------------------------------------------------------------------------

Reply = tuple[bytes, Any]
"""As Redis writes it, and as Python has it."""


def blob(value: bytes) -> Reply:
    return b"$%d\r\n%b\r\n" % (len(value), value), value


def several(sign: bytes, kind: Callable[[list[Any]], Any]) -> Callable[[Sequence[Reply]], Reply]:
    def build(items: Sequence[Reply]) -> Reply:
        wire = b"".join(wire for wire, _ in items)
        return b"%b%d\r\n%b" % (sign, len(items), wire), kind([value for _, value in items])

    return build


def push(keys: Sequence[bytes]) -> Reply:
    wire, _ = several(b"*", list)([blob(key) for key in keys])
    return b">2\r\n$10\r\ninvalidate\r\n" + wire, ["invalidate", list(keys)]


scalars = st.one_of(
    st.binary(max_size=60).map(blob),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: (b":%d\r\n" % number, number)),
    st.sampled_from([(b"_\r\n", None), (b"$-1\r\n", None), (b"#t\r\n", True), (b"#f\r\n", False)]),
    st.from_regex(r"\A[a-zA-Z ]{0,20}\Z").map(lambda text: (f"+{text}\r\n".encode(), text.encode())),
    st.floats(allow_nan=False).map(lambda number: (f",{number!r}\r\n".encode(), number)),
)
replies = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5).map(several(b"*", list)), max_leaves=10
)
errors = st.from_regex(r"\A[A-Z]{1,8} [a-z ]{0,20}\Z").map(lambda text: (f"-{text}\r\n".encode(), text))
pushes = st.lists(st.binary(max_size=20), max_size=3).map(push)


def plain(value: Any) -> Any:
    """Told apart by type what `==` does not."""
    if isinstance(value, hiredis.ReplyError):
        return "error", str(value)
    if isinstance(value, hiredis.PushNotification):
        return "push", value[0].decode(), value[1]
    return type(value).__name__, value


def expected(kind: str, value: Any) -> Any:
    if kind == "push":
        return "push", value[0], value[1]
    return ("error", value) if kind == "error" else plain(value)


messages = st.one_of(
    replies.map(lambda reply: ("reply", *reply)),
    errors.map(lambda reply: ("error", *reply)),
    pushes.map(lambda reply: ("push", *reply)),
)


@settings(max_examples=50)
@given(st.lists(messages, max_size=6), st.randoms(use_true_random=False))
def test_replies_that_come_in_pieces(stream: list[tuple[str, bytes, Any]], chance: random.Random) -> None:
    wire = b"".join(piece for _, piece, _ in stream)
    longest = chance.choice([1, 2, 3, 20, 1000])
    came: list[Any] = []
    with channel() as (made, server):
        while wire:
            size = chance.randint(1, longest)
            server.sendall(wire[:size])
            wire = wire[size:]
            assert is_readable(made)
            came += made.ready(True, False)
        assert not is_readable(made)
    assert [plain(value) for value in came] == [expected(kind, value) for kind, _, value in stream]


def test_what_came_before_the_end_is_told_first() -> None:
    with channel() as (made, server):
        server.sendall(b"+a\r\n:1\r\n$5\r\nab")
        server.close()
        assert made.ready(True, False) == [b"a", 1]
        with pytest.raises(ConnectionError, match="closed the connection"):
            made.ready(True, False)
    wire = b"+%b\r\n" % (b"x" * ((1 << 17) - 3))  # fills the buffer, so that another read follows at once
    with channel() as (made, server):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        server.sendall(wire)
        server.close()
        (reply,) = made.ready(True, False)
        assert len(reply) == len(wire) - 3
        with pytest.raises(ConnectionError, match="closed the connection"):
            made.ready(True, False)


@given(st.binary(min_size=1, max_size=40))
def test_bytes_that_mean_nothing(wire: bytes) -> None:
    """They are replies, or not whole, or an error that says so; nothing else is raised."""
    with channel() as (made, server):
        server.sendall(wire)
        reason = "no Redis"
        try:
            made.ready(True, False)
        except ConnectionError as error:
            reason = str(error)
        assert "no Redis" in reason


def test_nothing_there_is_no_error() -> None:
    with channel() as (made, _):
        assert made.ready(True, True) == []
        assert made.ready(False, False) == []


# --- commands ---------------------------------------------------------------------------------------------


def packed(commands: Sequence[Sequence[bytes]]) -> bytes:
    return b"".join(
        b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        for words in commands
    )


words = st.one_of(
    st.binary(max_size=50),
    st.tuples(st.binary(min_size=1, max_size=3), st.sampled_from([5000, 16384, 16385, 65536, 65537])).map(
        lambda pair: pair[0] * (pair[1] // len(pair[0]))
    ),
)


@settings(max_examples=50)
@given(
    st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_commands_that_go_out_in_pieces(batch: list[list[bytes]], chance: random.Random) -> None:
    kinds = [bytes, bytearray, memoryview]
    sent = [[chance.choice(kinds)(word) for word in command] for command in batch]
    came = bytearray()
    with channel(small=True) as (made, server):
        made.send(sent)
        made.write()
        server.setblocking(False)
        while made.wants_write or select.select([server], [], [], 0)[0]:
            if select.select([server], [], [], 0)[0]:
                came += server.recv(chance.randint(1, 20_000))
            if made.wants_write and select.select([], [made], [], 0)[1]:
                assert made.ready(False, True) == []
    assert came == packed(batch)


def test_text_and_numbers() -> None:
    large = "ß" * 20_000
    kinds: list[Word] = ["größe", "A B", 7, -(10**30), 0.1, 1e300, memoryview(b"1234").cast("I")]
    written = [str(kind).encode() for kind in kinds[:-1]] + [b"1234"]
    for more in ([], [large]):
        wire = b"".join(pack([[*kinds, *more], ["PING"]]))
        assert wire == packed([[*written, *(text.encode() for text in more)], [b"PING"]])


def test_a_peer_that_reads_nothing_is_waited_for_by_nobody() -> None:
    with channel(small=True) as (made, server):
        made.send([("SET", "a", bytes(1 << 20))])
        made.write()
        made.write()
        assert made.wants_write
        before_s = made.moved_s
        made.ready(False, True)
        assert made.moved_s == before_s, "nothing has moved"
        made.send([("PING",)])
        made.write()
        assert made.moved_s > before_s, "but the wait for this one has just begun"
        before_s = made.moved_s
        while select.select([server], [], [], 0)[0]:
            server.recv(1 << 16)
        made.ready(False, True)
        assert made.moved_s > before_s
        server.close()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            made.write()


class Bottomless(socket.socket):
    """A socket whose peer takes whatever comes, as quickly as it comes."""

    def sendmsg(self, buffers: Any, *_: Any) -> int:
        return min(1 << 18, sum(map(len, buffers)))


def test_a_peer_that_takes_everything_leaves_time_for_others() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        made = Channel(Bottomless(fileno=ours.detach()))
        made.send([("SET", "a", bytes(8 << 20))])
        turns = 0
        while made.wants_write:
            made.write()
            turns += 1
        assert turns == 9
        made.close()
