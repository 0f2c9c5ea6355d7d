"""Tasks of loops inside of bodies have lists of their own, by depth: how they are taken and put back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from pydoredis.protocol.agent_commands import TakenTask
from pydoredis.settings import ConnectionSettings
from pydoredis.store.job import is_served_by
from tests.agent_store import HERE, KEYS, AgentStore
from tests.worker import test_executor_python as python_codec

LISTS = [KEYS.at_depth(2), KEYS.at_depth(1), KEYS]


@pytest.fixture
def store(redis_url: str) -> Iterator[AgentStore]:
    with AgentStore(ConnectionSettings(redis_url), LISTS) as store:
        yield store


@pytest.fixture
def tasks(redis_client: redis.Redis) -> dict[int, list[bytes]]:
    """Three tasks at each depth."""
    redis_client.set(KEYS.env("J"), b"environment")
    made = {
        keys.depth: [python_codec.task({"i": n}, first=10 * keys.depth + n) for n in (1, 2, 3)]
        for keys in LISTS
    }
    for keys in LISTS:
        redis_client.rpush(keys.tasks, *made[keys.depth])
    return made


def places(taken: tuple[TakenTask, ...]) -> list[int]:
    return [task.keys.depth for task in taken]


def test_the_deepest_come_first(store: AgentStore, tasks: dict[int, list[bytes]]) -> None:
    taken = store.take(4)
    assert [task.payload for task in taken.tasks] == [*tasks[2], tasks[1][0]]
    assert places(taken.tasks) == [2, 2, 2, 1]
    assert taken.more
    assert taken.deeper == (1,)


def test_there_may_be_room_for_deeper_ones_alone(store: AgentStore, tasks: dict[int, list[bytes]]) -> None:
    taken = store.take(0, deeper=(1, 4))
    assert places(taken.tasks) == [2, 2, 2], "those are enough for what is less deep, too"
    assert taken.deeper == (1,)
    again = store.take(1, deeper=(2, 5))
    assert places(again.tasks) == [1, 1]
    assert places(store.take(1, deeper=(1, 1)).tasks) == [1]
    last = store.take(1, deeper=(1, 1))
    assert places(last.tasks) == [0]
    assert last.more
    assert last.deeper == ()


def test_what_is_held_ahead_is_counted_by_job_at_any_depth(
    store: AgentStore, tasks: dict[int, list[bytes]]
) -> None:
    taken = store.take(0, {KEYS.env("J"): 2}, deeper=(0, 2))
    assert places(taken.tasks) == [2, 2, 2, 1]


def test_the_same_batch_again_gives_the_same(store: AgentStore, tasks: dict[int, list[bytes]]) -> None:
    first = store.take(5, batch=7)
    assert store.take(5, batch=7) == first


def test_they_go_back_to_where_they_came_from(
    store: AgentStore, redis_client: redis.Redis, tasks: dict[int, list[bytes]]
) -> None:
    from pydoredis.protocol.claims import Claim
    from pydoredis.protocol.wire import decode_task

    taken = store.take(1).tasks[0]
    assert taken.tag is not None
    claim = Claim(taken.keys, decode_task(taken.payload), taken.tag, f"{taken.tag} claim 1")
    assert redis_client.lrange(LISTS[0].tasks, 0, -1) == tasks[2][1:]
    assert store.give_back([claim], "head") == ["given-back"]
    assert redis_client.lrange(LISTS[0].tasks, 0, -1) == tasks[2]


def test_whose_queue_it_is(store: AgentStore, redis_url: str) -> None:
    connection = ConnectionSettings(redis_url)
    assert not is_served_by(connection, KEYS, HERE.id)
    store.announce(open=True)
    assert is_served_by(connection, KEYS, HERE.id)
    assert not is_served_by(connection, KEYS, "another")
