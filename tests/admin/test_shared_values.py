"""Values that Python and R sessions leave for each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

import rinterop
from pydoredis.errors import RemoteProtocolError
from pydoredis.settings import ConnectionSettings
from pydoredis.shared_values import redis_delete, redis_get, redis_set
from tests.peers.pool import Pool


@pytest.fixture
def connection(redis_url: str) -> ConnectionSettings:
    return ConnectionSettings(redis_url)


def test_a_value_is_stored_fetched_and_removed(connection: ConnectionSettings) -> None:
    redis_set("größe 1", {"a": 1.5, "b": ["x", "y"]}, connection=connection)
    assert redis_get("größe 1", connection=connection)["a"] == 1.5
    assert redis_delete("größe 1", connection=connection)
    assert not redis_delete("größe 1", connection=connection)
    assert redis_get("größe 1", "nothing", connection=connection) == "nothing"


def test_as_an_r_value(connection: ConnectionSettings) -> None:
    value = rinterop.values.character("x")
    redis_set("key", value, connection=connection)
    assert redis_get("key", convert=False, connection=connection) == value


def test_none_is_rs_null(connection: ConnectionSettings) -> None:
    redis_set("key", None, connection=connection)
    assert redis_get("key", "default", connection=connection) is None


def test_text_of_other_programs_is_text(connection: ConnectionSettings, redis_client: redis.Redis) -> None:
    redis_client.set("key", "größe")
    assert redis_get("key", connection=connection) == "größe"


@pytest.mark.parametrize("content", [b"\0\1\2", b"X\n\0\0", b"\xff\xfe"])
def test_what_nobody_can_read(
    content: bytes, connection: ConnectionSettings, redis_client: redis.Redis
) -> None:
    redis_client.set("key", content)
    with pytest.raises(RemoteProtocolError, match="key"):
        redis_get("key", connection=connection)


def test_what_is_no_value_at_all(connection: ConnectionSettings, redis_client: redis.Redis) -> None:
    redis_client.rpush("key", "x")
    with pytest.raises(RemoteProtocolError, match="key"):
        redis_get("key", connection=connection)


@pytest.mark.rpeer
def test_r_sessions_see_the_same(connection: ConnectionSettings, new_pool: Callable[[str], Pool]) -> None:
    redis_set("from python", {"a": [1, 2], "b": "größe"}, connection=connection)
    pool = new_pool("jobs")
    said = pool.run("""
        redisSet("from r", list(x = c(1.5, NA), y = "größe", z = NULL))
        say(redisGet("from python"))
    """)
    assert said == 'list(a = list(1L, 2L), b = "größe")'
    value = redis_get("from r", connection=connection)
    assert value["x"][0] == 1.5
    assert value["y"] == "größe"
    assert value["z"] is None
