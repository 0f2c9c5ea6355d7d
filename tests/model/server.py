"""A Redis server as a function: from what it holds and a command to a reply and what it holds then.

Each content is written down once and has a number; each command on each content is sent to the real server
once, then remembered.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias

import hiredis

from tests.redis_process import RedisProcess

Words: TypeAlias = tuple[Any, ...]
"""A command; or `MULTI` and the commands of a transaction, which is carried out as one."""

Entry: TypeAlias = tuple[str, int, Any]
"""Type of a key, seconds that it still lives (-1: for ever), and what it holds."""

Content: TypeAlias = Mapping[bytes, Entry]

_READ = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind, value = redis.call('TYPE', key).ok, false
    if kind == 'string' then
        value = redis.call('GET', key)
    elseif kind == 'list' then
        value = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'hash' then
        value = redis.call('HGETALL', key)
    elseif kind == 'zset' then
        value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif kind == 'set' then
        value = redis.call('SMEMBERS', key)
    end
    found[#found + 1] = {key, kind, redis.call('PTTL', key), value}
end
return found
"""

_WRITE = """
redis.call('FLUSHDB')
local at = 1
while at <= #ARGV do
    local command = {}
    for n = 1, tonumber(ARGV[at]) do
        command[n] = ARGV[at + n]
    end
    redis.call(unpack(command))
    at = at + #command + 1
end
"""

MULTI = b"MULTI"

_PUT = {"list": "RPUSH", "hash": "HSET", "zset": "ZADD", "set": "SADD"}


def _pairs(flat: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


class ServerError(Exception):
    """An error reply, as a value: two with the same text are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerError) and other.args == self.args

    def __hash__(self) -> int:
        return hash(self.args)


def _frozen(reply: Any) -> Any:
    if isinstance(reply, list):
        return tuple(map(_frozen, reply))
    return ServerError(str(reply)) if isinstance(reply, Exception) else reply


class Server:
    """A server whose contents have numbers; 0 is the empty one.

    Attributes:
        asked: How many commands were sent to the real server.
        remembered: How many were known already.
    """

    def __init__(self) -> None:
        self.process = RedisProcess()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(self.process.socket_path))
        self._reader = hiredis.Reader(notEnoughData=...)
        self._read, self._write = (self._call(("SCRIPT", "LOAD", source)) for source in (_READ, _WRITE))
        self._contents: list[dict[bytes, Entry]] = []
        self._numbers: dict[Any, int] = {}
        self._restoring: list[bytes] = []
        self._known: dict[tuple[int, Words], tuple[Any, int]] = {}
        self.asked = self.remembered = 0
        self._begun_s = int(time.time())
        self.number({})

    def load(self, source: str) -> None:
        """Make a script known."""
        self._call(("SCRIPT", "LOAD", source))

    # --- contents -----------------------------------------------------------------------------------------

    def content(self, number: int) -> Content:
        """What the server holds in this state. Not to be changed."""
        return self._contents[number]

    def number(self, content: dict[bytes, Entry]) -> int:
        """The number of a content."""
        name = tuple(sorted(content.items()))
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._contents)
            self._contents.append(content)
            self._restoring.append(hiredis.pack_command(self._restore(content)))
        return number

    def without(self, number: int, keys: Sequence[bytes]) -> int:
        """The content without some keys: they have expired."""
        gone = set(keys)
        content = self._contents[number]
        if gone.isdisjoint(content):
            return number
        return self.number({key: entry for key, entry in content.items() if key not in gone})

    def _restore(self, content: Mapping[bytes, Entry]) -> tuple[Any, ...]:
        words: list[Any] = ["EVALSHA", self._write, 0]
        for key, (kind, ttl_s, value) in content.items():
            if kind == "string":
                words += [3, "SET", key, value]
            elif kind == "zset":
                members = [word for member, score in value for word in (score, member)]
                words += [2 + len(members), "ZADD", key, *members]
            else:
                flat = [word for pair in value for word in pair] if kind == "hash" else list(value)
                words += [2 + len(flat), _PUT[kind], key, *flat]
            if ttl_s >= 0:
                words += [3, "EXPIRE", key, ttl_s]
        return tuple(words)

    def _tidy(self, found: Sequence[Any]) -> tuple[bytes, Entry]:
        """What was read of a key, in one form for each meaning: what is left of its life in whole seconds."""
        key, kind, ttl_ms, value = found
        kind = kind.decode()
        if kind == "hash":
            value = tuple(sorted(_pairs(value)))
        elif kind == "zset":
            # All scores are times, of a moment ago.
            value = tuple((member, self._begun_s) for member, _ in _pairs(value))
        elif kind == "set":
            value = tuple(sorted(value))
        elif kind == "list":
            value = tuple(value)
        return key, (kind, math.ceil(ttl_ms / 1000) if ttl_ms >= 0 else -1, value)

    # --- commands -----------------------------------------------------------------------------------------

    def execute(self, number: int, words: Words) -> tuple[Any, int]:
        """Carry out a command on a content: its reply, which may be an error as a value, and what is there
        then."""
        known = self._known.get((number, words))
        if known is None:
            self.asked += 1
            commands = [words] if words[0] != MULTI else [(MULTI,), *words[1:], ("EXEC",)]
            packed = b"".join(map(hiredis.pack_command, [*commands, ("EVALSHA", self._read, 0)]))
            self._socket.sendall(self._restoring[number] + packed)
            restored, *replies, found = (self._receive() for _ in range(len(commands) + 2))
            reply = replies[0] if words[0] != MULTI else tuple(replies)
            if isinstance(restored, Exception) or isinstance(found, Exception):
                raise AssertionError(restored, found)
            known = self._known[number, words] = reply, self.number(dict(map(self._tidy, found)))
        else:
            self.remembered += 1
        return known

    def answer(self, words: Words) -> Any:
        """The reply to a command that says and changes nothing about any content."""
        return self._call(words)

    def _call(self, words: Words) -> Any:
        self._socket.sendall(hiredis.pack_command(words))
        return self._receive()

    def _receive(self) -> Any:
        while (reply := self._reader.gets()) is ...:
            data = self._socket.recv(1 << 20)
            assert data, "the server is gone"
            self._reader.feed(data)
        return _frozen(reply)

    # --- life ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self.process.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
