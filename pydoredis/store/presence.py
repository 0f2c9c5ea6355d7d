"""Where agents are listed: a set of their names, and a hash of each that expires."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, cast

import redis
from redis.client import Pipeline

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import TTL_S, Presence

LIST_TTL_S = 3600
"""How long the set of names outlives the last agent."""


def announce(pipe: Pipeline, queues: Sequence[QueueKeys], presence: Presence) -> None:
    """Say that an agent serves these queues, for the next seconds."""
    for keys in queues:
        name = keys.agent(presence.id)
        pipe.hset(name, mapping=cast("Any", presence.encode()))
        pipe.expire(name, TTL_S)
        pipe.sadd(keys.agents, presence.id)
        pipe.expire(keys.agents, LIST_TTL_S)


def withdraw(pipe: Pipeline, queues: Sequence[QueueKeys], presence: Presence) -> None:
    """Say that an agent has left."""
    for keys in queues:
        pipe.unlink(keys.agent(presence.id))
        pipe.srem(keys.agents, presence.id)


def living(client: redis.Redis, keys: QueueKeys) -> list[Presence]:
    """The agents that serve a queue. Takes names off the list that nobody answers to."""
    names = sorted(
        name.decode("utf-8", "replace") for name in cast("set[bytes]", client.smembers(keys.agents))
    )
    if not names:
        return []
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(keys.agent(name))
    found: list[Presence] = []
    gone: list[str] = []
    for name, fields in zip(names, pipe.execute(), strict=True):
        if not fields:
            gone.append(name)
            continue
        with contextlib.suppress(RemoteProtocolError):
            found.append(Presence.decode(fields))
    if gone:
        client.srem(keys.agents, *gone)
    return found
