"""Very large environments: in pieces, which come before the environment and go with it, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

import pytest
import redis

from pydoredis.errors import StoreFull
from pydoredis.protocol import parts
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.parts import Message
from pydoredis.settings import ConnectionSettings
from pydoredis.store import job as job_module
from pydoredis.store.job import LEASE_S, SMALL_JOB_BYTES, JobStore

KEYS = QueueKeys("Q")
ENV = KEYS.env("J")
BODY = b"0123456789" * SMALL_JOB_BYTES
PIECE = len(BODY) // 4 - 1


@pytest.fixture
def message(monkeypatch: pytest.MonkeyPatch) -> Message:
    monkeypatch.setattr(parts, "PIECE_BYTES", PIECE)
    return parts.message(b"stream", [memoryview(BODY)])


@pytest.fixture
def job(redis_url: str, message: Message) -> Iterator[JobStore]:
    with contextlib.closing(JobStore(ConnectionSettings(redis_url), KEYS, "J", message)) as store:
        yield store


def pieces(client: redis.Redis) -> list[bytes]:
    return sorted(client.scan_iter(f"{KEYS.pieces('J')}*"))


def test_all_of_it_is_there(job: JobStore, message: Message, redis_client: redis.Redis) -> None:
    told: list[tuple[int, int]] = []
    assert job.open([b"task"], report=lambda sent, of: told.append((sent, of))) == 0
    names = [KEYS.piece("J", message.name, number) for number in range(1, 6)]
    assert pieces(redis_client) == [name.encode() for name in names]
    assert b"".join(cast("list[bytes]", redis_client.mget(names))) == BODY
    assert all(LEASE_S - 10 < redis_client.ttl(name) <= LEASE_S for name in (ENV, *names))
    assert redis_client.get(ENV) == message.value
    assert redis_client.lrange(KEYS.queue, 0, -1) == [b"task"]
    assert [sent for sent, _ in told] == [*range(PIECE, len(BODY), PIECE), len(BODY)]
    assert {of for _, of in told} == {message.size}


def test_an_id_that_is_taken(job: JobStore, redis_client: redis.Redis) -> None:
    redis_client.set(ENV, "theirs")
    assert job.open([b"task"]) is None
    job.renew()  # which reads what was posted before
    assert pieces(redis_client) == []
    assert redis_client.get(ENV) == b"theirs"
    assert not redis_client.exists(KEYS.queue)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_of_what_was_broken_off(
    job: JobStore, redis_client: redis.Redis, error: type[BaseException]
) -> None:
    def stop(sent: int, of: int) -> None:
        assert len(pieces(redis_client)) == 1
        raise error

    with pytest.raises(error):
        job.open([b"task"], report=stop)
    job._line.settle()
    assert redis_client.keys("*") == []


def test_the_lease_is_for_all_of_it(job: JobStore, message: Message, redis_client: redis.Redis) -> None:
    job.open()
    names = [ENV.encode(), *pieces(redis_client)]
    for name in names:
        redis_client.expire(name, 100)
    assert job.renew()
    assert all(redis_client.ttl(name) > 100 for name in names)
    redis_client.delete(names[2])
    assert not job.renew(), "one is gone"
    job.restore()
    assert job.renew()
    assert [ENV.encode(), *pieces(redis_client)] == names


@pytest.mark.parametrize("head", [None, b"head"])
@pytest.mark.parametrize("cancelled", [False, True])
def test_they_go_with_the_job(
    job: JobStore, redis_client: redis.Redis, head: bytes | None, cancelled: bool
) -> None:
    job.open()
    job.close_job(head, cancelled=cancelled)
    job._line.settle()
    assert pieces(redis_client) == []
    assert not redis_client.exists(ENV)


def test_a_server_without_room_is_sent_nothing(
    job: JobStore, message: Message, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "CHECKED_BYTES", len(BODY))
    used = redis_client.info("memory")["used_memory"]
    limit = used + message.size // 2
    redis_client.config_set("maxmemory", limit)
    try:
        with pytest.raises(StoreFull, match=r"no room for 0\.7 MB: .* are free\. Raise maxmemory") as caught:
            job.open([b"task"], report=lambda sent, of: pytest.fail("something was sent"))
        assert (caught.value.needed, caught.value.limit) == (message.size + 4, limit)
        assert 0 <= caught.value.free < message.size
        assert redis_client.keys("*") == []
    finally:
        redis_client.config_set("maxmemory", 0)
    assert job.open([b"task"]) == 0


def test_who_may_not_ask_for_the_room_may_send(
    redis_url: str, message: Message, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "CHECKED_BYTES", len(BODY))
    redis_client.acl_setuser("modest", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"])
    try:
        url = redis_url.replace("redis://", "redis://modest:any@")
        with contextlib.closing(JobStore(ConnectionSettings(url), KEYS, "J", message)) as job:
            assert job.open() == 0
            job.close_job(None, cancelled=False)
    finally:
        redis_client.acl_deluser("modest")
