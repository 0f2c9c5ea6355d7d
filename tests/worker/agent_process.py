"""A real `pydoredis worker` on a real Redis, and jobs whose bodies wait until a test lets them go on."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import redis

import rinterop
from pydoredis.errors import WorkerCrashed
from pydoredis.protocol.wire import CRASH_CLASS
from rinterop import values
from tests.conftest import wait_until
from tests.peers.processes import Peer, children, command_line, pydoredis_worker
from tests.worker import test_executor_python as python_codec

cloudpickle.register_pickle_by_value(sys.modules[__name__])

QUEUE = "Q"
PYTHON = ("--codec", "cloudpickle")

_job_numbers = itertools.count(1)


@contextmanager
def worker(
    url: str, *options: str, queues: Sequence[str] = (QUEUE,), workers: int = 1, linger_s: int = 30
) -> Iterator[Peer]:
    """A worker that has counted itself in."""
    peer = pydoredis_worker(
        url, queues, workers=workers, linger_s=linger_s, options=(*PYTHON, "--loglevel", "DEBUG", *options)
    )
    with peer, redis.Redis.from_url(url) as client:
        before = int(client.get(f"{queues[-1]}.count") or 0)
        wait_until(
            lambda: int(client.get(f"{queues[-1]}.count") or 0) > before or not peer.running, "it is up", 40
        )
        assert peer.running, peer.tail(40)
        yield peer


def executors(agent: Peer) -> list[int]:
    """Process numbers of an agent's executors."""
    return [pid for pid in children(agent.pid) if "executor" in command_line(pid) or "R" in command_line(pid)]


class Job:
    """A job as a coordinator puts it on the server.

    Args:
        client: The server.
        environment: Value of the environment key; or a Python function, the body.
        queue: Name of its queue.
    """

    def __init__(
        self, client: redis.Redis, environment: bytes | Callable[..., Any], queue: str = QUEUE
    ) -> None:
        self.client = client
        self.queue = queue
        # As long as the ID in the messages that it is put in place of.
        self.id = f"{next(_job_numbers):06d}_u_h_2026-11-23-11:45:31.773"
        if not isinstance(environment, bytes):
            environment = python_codec.environment(environment)
        client.set(f"{queue}.env.{self.id}", environment)

    def block(self, *arguments: dict[str, Any], first: int = 1) -> bytes:
        """A task message: Python iterations with these arguments."""
        return self.adopt(python_codec.task(*arguments, first=first))

    def adopt(self, task: bytes) -> bytes:
        """A task message of another job, under this job's ID."""
        message = rinterop.loads(task)
        assert isinstance(message, values.List)
        names = [str(name) for name in values.names(message) or ()]
        fields = dict(zip(names, message, strict=True), ID=values.character(self.id))
        return rinterop.dumps(values.named_list(list(fields.items())))

    def push(self, *payloads: bytes) -> None:
        """Put task messages on the queue."""
        self.client.rpush(self.queue, *payloads)

    def submit(self, count: int, **arguments: Any) -> list[bytes]:
        """Put `count` tasks on the queue, iterations 1, 2 ... as the argument `i`."""
        payloads = [self.block({"i": n, **arguments}, first=n) for n in range(1, count + 1)]
        self.push(*payloads)
        return payloads

    def raw_results(self) -> list[bytes]:
        """Result messages so far, oldest first."""
        found = self.client.lrange(f"{self.queue}.out.{self.id}", 0, -1)
        return [bytes(message) for message in reversed(found)]  # type: ignore[arg-type]

    def results(self, count: int) -> dict[str, Any]:
        """What the iterations came to, once `count` result messages are there; never one more."""
        wait_until(lambda: len(self.raw_results()) >= count, f"{count} results are there", 30)
        found: dict[str, Any] = {}
        messages = self.raw_results()
        assert len(messages) == count
        for message in messages:
            for name, value in elements(message).items():
                assert name not in found, f"iteration {name} came twice"
                found[name] = value
        return found

    def keys(self, kind: str) -> list[bytes]:
        """The start or alive keys of the job's tasks."""
        prefix = f"{self.queue}.{kind}.{self.id}".encode()
        return [key for key in self.client.scan_iter(count=1000) if key.startswith(prefix)]

    def queued(self) -> list[bytes]:
        """What waits on the queue."""
        return [bytes(payload) for payload in self.client.lrange(self.queue, 0, -1)]  # type: ignore[arg-type]


def elements(message: bytes) -> dict[str, Any]:
    """A result message by iteration: a Python outcome, an R value, or an R condition as `Condition`."""
    result = rinterop.loads(message)
    assert isinstance(result, values.List)
    found: dict[str, Any] = {}
    for name, value in zip(values.names(result) or (), result, strict=True):
        if isinstance(value, values.List):
            classes, text = values.class_(value), values.strings(value.get("message"))
            assert text
            found[str(name)] = (classes[0], text[0])
        else:
            found[str(name)] = value
    if isinstance(result.values[0], values.Raw):
        for name, outcome in zip(found, cloudpickle.loads(bytes(result.values[0])), strict=True):
            found[name] = outcome
            if outcome is not None and outcome[0] == "error":
                error = outcome[1].again()
                crashed = isinstance(error, WorkerCrashed)
                found[name] = (CRASH_CLASS, error.message) if crashed else ("error", error)
    return found


class Gate:
    """Where iterations wait until the test lets them go on: a named pipe for each, at which a reader waits
    until a writer has come and gone.

    Attributes:
        path: What `pass_gate` is to be called with.
    """

    def __init__(self, directory: Path, iterations: int = 3) -> None:
        self.path = str(directory)
        for iteration in range(1, iterations + 1):
            os.mkfifo(self._pipe(iteration))

    @contextmanager
    def held(self, iteration: int = 1) -> Iterator[None]:
        """Wait until the iteration is at the gate, and keep it there for the length of the context."""
        opened: list[int] = []

        def reader_is_there() -> bool:
            with contextlib.suppress(OSError):  # ENXIO: nobody reads
                opened.append(os.open(self._pipe(iteration), os.O_WRONLY | os.O_NONBLOCK))
            return bool(opened)

        wait_until(reader_is_there, "a body is at the gate", 15)
        try:
            yield
        finally:
            os.close(opened[0])

    def _pipe(self, iteration: int) -> str:
        return f"{self.path}/gate-{iteration}"


def pass_gate(path: str, iteration: int) -> None:
    """Wait at a gate; called in bodies."""
    with open(f"{path}/gate-{iteration}") as gate:
        gate.read()
