"""A Redis server and workers on one queue, for as long as they are in use."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Final

import redis

from pydoredis.demo.child import Child
from pydoredis.errors import DoRedisError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.server import EmbeddedServer
from pydoredis.worker.core.supervision import START_TIMEOUT_S

QUEUE: Final = QueueKeys("DEMO")


class Pool:
    """An embedded server with `pydoredis worker` on the queue `QUEUE`; a context manager.

    Args:
        workers: How many executors.
        r_engine: How they run R: "rpy2" or "rscript"; None if they don't.

    Attributes:
        server: The server.
        client: A connection to it.
        environ: An environment for processes that use it: ours, without settings of the user's own, and with
            the address and the password, which a command line would show to everyone on the machine.
    """

    def __init__(self, workers: int, r_engine: str | None) -> None:
        self.server = EmbeddedServer()
        self.client: redis.Redis
        self.environ: dict[str, str] = {}
        self._workers = workers
        self._r_engine = r_engine
        self._agent: Child
        self._resources = ExitStack()

    def __enter__(self) -> Pool:
        """Start all of it and wait until the workers listen.

        Raises:
            StoreUnavailable: If there is no server's program here, or it does not start.
            DoRedisError: If the workers don't.
        """
        with ExitStack() as started:
            started.enter_context(self.server)
            self.client = started.enter_context(self.server.client())
            self.environ = {
                **{name: text for name, text in os.environ.items() if not _is_a_setting(name)},
                # An empty file in place of whatever this user has: the demo is the same for everyone.
                "PYDOREDIS_CONFIG": os.devnull,
                "PYDOREDIS_URL": self.server.url,
                "PYDOREDIS_PASSWORD": self.server.password,
            }
            self._agent = started.enter_context(Child("pydoredis worker", self._command(), self.environ))
            self._wait_for_workers()
            self._resources = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def check(self) -> None:
        """Return if the workers are there.

        Raises:
            DoRedisError: If they are not; says what they said last.
        """
        if not self._agent.running:
            raise DoRedisError(self._agent.obituary())

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "pydoredis", "worker", "--queue", QUEUE.queue]
        command += ["--workers", str(self._workers), "--grace", "1"]
        if self._r_engine is None:
            return [*command, "--codec", "cloudpickle"]
        return [*command, "--codec", "auto", "--r-engine", self._r_engine]

    def _wait_for_workers(self) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while int(self.client.get(QUEUE.count) or 0) < self._workers:
            self.check()
            if time.monotonic() > deadline_s:
                raise DoRedisError(f"the workers are not ready after {START_TIMEOUT_S:.0f} s")
            time.sleep(0.01)


def _is_a_setting(variable: str) -> bool:
    """Whether it would change how our workers behave; which R to use is the machine's business."""
    return variable.startswith(("PYDOREDIS_", "REDIS_")) and variable != "PYDOREDIS_RSCRIPT"
