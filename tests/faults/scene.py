"""A loop, half-way through, on two workers: the place where faults happen.

Two iterations have begun and wait at a gate; what the fault is to break is at work just then, and nothing is
under way on any connection. The test strikes, opens the gate, and looks at what the loop came to.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import redis

from pydoredis.coordinator.job import Job
from pydoredis.loops.bodies import rexpr
from pydoredis.queue import Queue
from tests.faults.machines import left_running
from tests.faults.proxy import Proxy
from tests.peers.pool import Pool, Session
from tests.peers.processes import Peer, executors, r_string
from tests.redis_process import RedisProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

QUEUE = "jobs"
ITERATIONS = 14
FTINTERVAL_S = 3
EXPECTED = [11 * i for i in range(1, ITERATIONS + 1)]


@dataclass(frozen=True)
class Setup:
    """Who works with whom.

    Attributes:
        coordinator: Whose loop it is.
        chunk_size: Iterations per task.
        workers: Two of ours (PP), each on a machine of its own; or one of R's and one of ours (RP).
    """

    coordinator: Literal["Python", "R"]
    chunk_size: int
    workers: Literal["PP", "RP"]

    def __str__(self) -> str:
        return f"{self.coordinator}-{self.chunk_size}-{self.workers}"

    @property
    def needs_r_peers(self) -> bool:
        """Whether doRedis must be installed."""
        return self.coordinator == "R" or self.workers == "RP"


def lasting_keys(client: redis.Redis, queue: str) -> set[str]:
    """Keys that would stay for ever, but for those that say that a queue is open."""
    lasting = {key.decode() for key in client.scan_iter(count=1000) if client.pttl(key) == -1}
    return lasting - {f"{queue}.live", f"{queue}.count"}


class Scene:
    """Workers, one of which (`victim`) reaches Redis through `proxy`, and one loop.

    Attributes:
        setup: Who works with whom.
        server: Redis.
        client: A client of it, for the test.
        proxy: Between the victim and Redis; a Python coordinator's connections go through it, too.
        pool: The workers.
        victim: An agent of ours with one executor, on which faults fall.
        other: The other worker.
    """

    def __init__(self, setup: Setup, server: RedisProcess, directory: Path) -> None:
        self.setup = setup
        self.server = server
        self.client: redis.Redis = server.client()
        self.proxy = Proxy(server.port)
        self.pool = Pool(server.url, self.client, QUEUE)
        self._directory = directory
        self._gate = directory / "gate"
        self._job: Job[Any, Any] | None = None
        self._session: Session | None = None
        codec = ("--codec", "auto" if setup.needs_r_peers else "cloudpickle", "--loglevel", "DEBUG")
        self.victim: Peer = self.pool.add_agent(options=codec, url=self.proxy.url)
        self.other: Peer = (
            self.pool.add_r_worker() if setup.workers == "RP" else self.pool.add_agent(options=codec)
        )
        self.victim_executor = executors(self.victim)[0]

    # --- the loop -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the loop; return when two iterations have begun."""
        if self.setup.coordinator == "R":
            self._session = self.pool.coordinator(
                f"values <- foreach(i = 1:{ITERATIONS}, .combine = c) %dopar% {self._r_body}\n"
                'say(paste(values, collapse = " "))',
                chunk_size=self.setup.chunk_size,
                ftinterval=FTINTERVAL_S,
            )
        else:
            queue = Queue(QUEUE, self.proxy.url, ftinterval=FTINTERVAL_S)
            loop = queue.foreach(i=range(1, ITERATIONS + 1), chunk_size=self.setup.chunk_size)
            body: Any = rexpr(self._r_body) if self.setup.needs_r_peers else self._python_body
            self._job = loop.submit(body)
        self.wait_for(lambda: len(self.begun()) >= 2 and self.started() == 2, "two iterations have begun")

    @property
    def _r_body(self) -> str:
        begun, gate = r_string(f"{self._directory}/begun-"), r_string(str(self._gate))
        return f"""{{
          file.create(paste0({begun}, i))
          while (!file.exists({gate})) Sys.sleep(0.02)
          i * 11
        }}"""

    @property
    def _python_body(self) -> Callable[[int], int]:
        directory = str(self._directory)

        def body(i: int) -> int:
            Path(f"{directory}/begun-{i}").touch()
            while not Path(f"{directory}/gate").exists():
                time.sleep(0.02)
            return i * 11

        return body

    def open_gate(self) -> None:
        """Let all iterations go on."""
        self._gate.touch()

    @property
    def job_id(self) -> str:
        """The job's ID."""
        (environment,) = self.pool.keys("env")
        return environment.removeprefix(f"{QUEUE}.env.")

    @property
    def running(self) -> bool:
        """Whether the coordinator is still at it."""
        if self._session is not None:
            return self._session.running
        return self._job is not None and not self._job.wait(0)

    def result(self, timeout_s: float = 90.0) -> list[int]:
        """What the loop came to."""
        assert self._job is not None or self._session is not None
        self.wait_for(lambda: not self.running, "the loop has ended", timeout_s)
        if self._session is not None:
            return [int(word) for word in self._session.value().strip('"').split()]
        return [int(value) for value in self._job.result()]  # type: ignore[union-attr]

    # --- what can be seen ---------------------------------------------------------------------------------

    def begun(self) -> list[Path]:
        """A file for each iteration that ever began."""
        return list(self._directory.glob("begun-*"))

    def started(self) -> int:
        """How many tasks are marked as taken."""
        return len(self.pool.keys("start"))

    def victim_keys(self, kind: str) -> list[str]:
        """The victim's start or alive keys."""
        return [key for key in self.pool.keys(kind) if f" pid {self.victim_executor} " in key]

    def wait_for_checks(self, count: int) -> None:
        """Wait until the coordinator has looked after its tasks so often, while all of them are held."""
        # R's looks for start keys; ours also asks how many workers there are. Nobody else does just now.
        command = "cmdstat_keys" if self.setup.coordinator == "R" else "cmdstat_get"

        def calls() -> int:
            stats: dict[str, dict[str, int]] = self.client.info("commandstats")
            return stats.get(command, {}).get("calls", 0)

        looks = 2 * count if self.setup.coordinator == "R" else count
        before = calls()
        self.wait_for(lambda: calls() >= before + looks, "the coordinator has looked after its tasks")

    def wait_for(self, condition: Callable[[], object], what: str, timeout_s: float = 40.0) -> None:
        """Poll; a failure shows what the workers printed last."""
        self.pool.wait_for(condition, what, timeout_s)

    # --- afterwards ---------------------------------------------------------------------------------------

    def lasting_keys(self) -> set[str]:
        """Keys that would stay for ever, but for those of the open queue itself."""
        return lasting_keys(self.client, QUEUE)

    def end(self) -> list[str]:
        """End the workers; processes that outlived their agents."""
        if self._job is not None:
            self._job.cancel()
        for session in self.pool.sessions:
            session.close()
        self.proxy.resume()
        for peer in self.pool.peers:
            peer.terminate()
        for peer in self.pool.peers:
            peer.wait(40)
        # An executor that lost its agent reads the end of its pipe, and needs a moment to go.
        until = time.monotonic() + 10
        while (left := left_running(self.pool.peers)) and time.monotonic() < until:
            time.sleep(0.02)
        return left

    def close(self) -> None:
        """Leave nothing, whatever happened."""
        self.proxy.close()
        self.pool.close()
        self.client.close()
