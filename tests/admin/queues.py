"""Keys and messages as doRedis peers write them, without the peers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import redis

import rinterop
from pydoredis.protocol import wire
from pydoredis.protocol.keys import QueueKeys
from rinterop import values


def job_id(pid: int = 1, user: str = "root", host: str = "node", milliseconds: int = 0) -> str:
    """A job ID as R writes it, with whatever names."""
    return f"{pid}_{user}_{host}_2026-11-23-11:45:31.{milliseconds:03d}"


def task_tag(first: int, last: int | None = None, host: str = "w1", pid: int = 70) -> str:
    """The tag of a task in a worker's hands."""
    return f"iters {first}...{last or first} host {host} pid {pid} begin 2026-11-23-11:45:3{first % 10}"


def task(job: str, number: int, argument: str = "x") -> bytes:
    """A task of one iteration."""
    iteration = values.named_list(x=values.character(argument))
    return rinterop.dumps(
        values.named_list(ID=values.character(job), argsList=values.named_list(**{str(number): iteration}))
    )


def submit(client: redis.Redis, queue: str, job: str, numbers: Iterable[int], argument: str = "x") -> None:
    """What a coordinator does: the queue, the environment, the tasks."""
    keys = QueueKeys(queue)
    pipe = client.pipeline(transaction=True)
    pipe.set(keys.live, wire.LIVE_VALUE)
    pipe.set(keys.env(job), b"environment")
    for number in numbers:
        pipe.rpush(queue, task(job, number, argument))
    pipe.execute()


def mark(client: redis.Redis, queue: str, job: str, tag: str, *, alive: bool = True) -> None:
    """What a worker says of a task that it has taken."""
    keys = QueueKeys(queue)
    if alive:
        # Longer than doRedis has it: nobody refreshes it while a slow test looks.
        client.set(keys.alive(job, tag), b"OK", ex=600)
    client.set(keys.start(job, tag), wire.encode_start([1]))


def take(client: redis.Redis, queue: str, job: str, tag: str, *, alive: bool = True) -> None:
    """What a worker does with the first task of a queue: it is taken, and marked as taken."""
    client.lpop(queue)
    mark(client, queue, job, tag, alive=alive)


def names(client: redis.Redis) -> set[str]:
    """All keys of the server."""
    return {name.decode() for name in client.scan_iter(count=1000)}


def waiting(client: redis.Redis, queue: str) -> list[tuple[str, int]]:
    """Job and first iteration of the tasks on a list."""
    payloads = cast("list[bytes]", client.lrange(queue, 0, -1))
    tasks = [wire.decode_task(payload) for payload in payloads]
    return [(task.job, task.first) for task in tasks]
