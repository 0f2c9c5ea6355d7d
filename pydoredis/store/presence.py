"""Where agents are listed: a set of their names, and a hash of each that expires."""

from __future__ import annotations

import contextlib
from typing import cast

import redis

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence

LIST_TTL_S = 3600
"""How long the set of names outlives the last agent."""


def living(client: redis.Redis, keys: QueueKeys) -> list[Presence]:
    """The agents that serve a queue."""
    names = sorted(name.decode("utf-8", "replace") for name in cast("list[bytes]", client.hkeys(keys.agents)))
    if not names:
        return []
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.hgetall(keys.agent(name))
    found: list[Presence] = []
    for fields in pipe.execute():
        if fields:  # else it has died, and is forgotten by the next one that sweeps
            with contextlib.suppress(RemoteProtocolError):
                found.append(Presence.decode(fields))
    return found
