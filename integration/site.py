"""A site: a network with Redis, workers of every kind and coordinators in R and in Python on one queue."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import redis

import rinterop
from integration import images
from integration.machines import Machine, Wire, wait_for
from tests.conftest import has_r, missing_r_packages
from tests.peers.pool import MARK, PREAMBLE
from tests.peers.processes import r_address, r_string

R_LIBRARY = "/usr/local/lib/R/site-library"

# Numbers as JSON, with all their digits, from either language.
R_TELL = f"""
tell <- function(x) {{
  cat("\\n{MARK}[", paste(sprintf("%.17g", as.numeric(x)), collapse = ", "), "]\\n", sep = "")
}}
"""
PYTHON_PREAMBLE = f"""
import json, os, time
import numpy as np
import pydoredis as dr
def tell(values):
    print("\\n{MARK}" + json.dumps(np.asarray(values, dtype=float).ravel().tolist()), flush=True)
"""

# Workers of a pool: R's own; ours, with R; ours, without.
KINDS = {"R": ("R", "R"), "ours": ("ours", "ours"), "mixed": ("R", "ours", "python")}


@dataclass(frozen=True)
class Server:
    """How a site's Redis is run and reached.

    Attributes:
        command: What its container runs.
        url: Its address for workers and coordinators.
        client_options: What a client here needs besides the machine's address.
        mounts: Directories that every machine of the site sees.
        image: What it is run from.
    """

    command: Sequence[str] = ("redis-server", "--bind", "*", "--protected-mode", "no", "--save", "")
    url: str = "redis://redis:6379/0"
    client_options: Mapping[str, Any] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    image: str = images.REDIS


@functools.cache
def r_peer_mounts() -> dict[str, str] | str:
    """What R's peers need mounted to have doRedis; or, as a text, why they cannot have it.

    That is a library for R's peers that PYDOREDIS_R_LIBRARY names; else, without CRAN, that of this machine.
    """
    library = os.environ.get("PYDOREDIS_R_LIBRARY", "")
    if not library:
        if images.cran_is_reachable():
            return {}
        if not has_r() or missing_r_packages(("doRedis",)):
            return "doRedis is not to be had: CRAN cannot be reached, and it is not installed on this machine"
        where = ["Rscript", "-e", 'cat(dirname(system.file(package = "doRedis")))']
        library = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    mounts = {library: R_LIBRARY}
    with_library = ["--volume", f"{library}:{R_LIBRARY}:ro"]
    tried = subprocess.run(
        ["docker", "run", "--rm", *with_library, images.R_PEER, "Rscript", "-e", "library(doRedis)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"this machine's doRedis does not work in a container: {tried.stderr.strip()[-200:]}"
    return mounts


class Session(Machine):
    """A coordinator at work on a program."""

    def values(self, timeout_s: float = 90.0) -> list[str]:
        """What the program said, in the order in which it did. Fails with its messages if it fails."""
        status = self.wait(timeout_s)
        assert status == 0, self.tail(40)
        lines = self.output(errors=False).splitlines()
        return [line[len(MARK) :] for line in lines if line.startswith(MARK)]

    def value(self, timeout_s: float = 90.0) -> str:
        """The one thing that it said."""
        (only,) = self.values(timeout_s)
        return only

    def numbers(self, timeout_s: float = 90.0) -> list[float]:
        """The one row of numbers that it told."""
        numbers: list[float] = json.loads(self.value(timeout_s))
        return numbers

    @property
    def found_faults(self) -> bool:
        """Whether it missed a worker or a task."""
        return "resubmitting" in self.errors or "submitted again" in self.errors


class Site:
    """Redis and, on its queue, whatever is added. A context manager; what is wrong at its end is an error."""

    def __init__(self, server: Server | None = None, queue: str = "jobs") -> None:
        self.server = server or Server()
        self.queue = queue
        self.wire = Wire()
        self.machines: list[Machine] = []
        self.sessions: list[Session] = []
        self._client: tuple[str, redis.Redis] | None = None
        try:
            self.redis = Machine(
                self.wire,
                "redis",
                self.server.image,
                self.server.command,
                known=True,
                mounts=self.server.mounts,
            )
            self.machines.append(self.redis)
            wait_for(self.answers, f"Redis answers\n{self.redis.tail()}")
        except BaseException:
            self.close()
            raise

    def answers(self) -> bool:
        """Whether Redis does."""
        try:
            return bool(self.client.ping())
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return False

    @property
    def client(self) -> redis.Redis:
        """A client of its Redis, where that is now."""
        address = self.redis.address
        if self._client is None or self._client[0] != address:
            options = {"socket_connect_timeout": 2, "socket_timeout": 5, **self.server.client_options}
            self._client = (address, redis.Redis(host=address, **options))
        return self._client[1]

    # --- workers ------------------------------------------------------------------------------------------

    def add(self, *kinds: str, workers: int = 1, settings: Mapping[str, str] | None = None) -> list[Machine]:
        """Start workers and wait until they are counted.

        Args:
            kinds: Of each: `R` (R's own), `ours` (with R), `python` (ours without R).
            workers: Executors of each machine of ours.
            settings: Variables for those of ours.
        """
        before = self.count
        made = [self._worker(kind, workers, settings or {}) for kind in kinds]
        self.machines += made
        counted = sum(1 if kind == "R" else workers for kind in kinds)
        self.wait_for(lambda: self.count >= before + counted or self._dead(), "workers are counted", 60)
        assert not self._dead(), self.tails()
        return made

    def _worker(self, kind: str, workers: int, settings: Mapping[str, str]) -> Machine:
        if kind == "R":
            where = f"{r_string(self.queue)}, {r_address(self.server.url)}"
            program = f"suppressMessages(library(doRedis)); redisWorker({where}, linger = 1L)"
            return Machine(
                self.wire, "r-worker", images.R_PEER, ["Rscript", "-e", program], mounts=self._r_mounts()
            )
        environment = {
            "PYDOREDIS_URL": self.server.url,
            "PYDOREDIS_QUEUE": self.queue,
            "PYDOREDIS_WORKERS": str(workers),
            "PYDOREDIS_LINGER": "1",
            **settings,
        }
        image = images.WORKER if kind == "ours" else images.WORKER_PYTHON
        return Machine(self.wire, kind, image, environment=environment, mounts=self.server.mounts)

    def _r_mounts(self) -> dict[str, str]:
        mounts = r_peer_mounts()
        assert not isinstance(mounts, str), mounts
        return {**mounts, **self.server.mounts}

    @property
    def count(self) -> int:
        """How many workers say that they listen."""
        return int(self.client.get(f"{self.queue}.count") or 0)

    def keys(self, kind: str) -> list[str]:
        """The queue's keys of a kind: start, alive, env, out."""
        prefix = f"{self.queue}.{kind}."
        return sorted(key.decode() for key in self.client.scan_iter(match=f"{prefix}*", count=1000))

    def works(self, machine: Machine) -> bool:
        """Whether a task is marked as running there."""
        return any(f" host {machine.name} pid " in key for key in self.keys("start"))

    def is_thought_alive(self, machine: Machine) -> bool:
        """Whether one of its signs of life has not expired yet."""
        return any(f" host {machine.name} pid " in key for key in self.keys("alive"))

    # --- coordinators -------------------------------------------------------------------------------------

    def coordinator(
        self, program: str, *, chunk_size: int = 1, ftinterval: int = 30, registered: bool = True
    ) -> Session:
        """An R session with the queue registered, at work on `program`; `queue` is its name there."""
        options = f"chunkSize = {chunk_size}, ftinterval = {ftinterval}"
        register = f"registerDoRedis(queue, {r_address(self.server.url)}, {options})"
        text = (
            f"{PREAMBLE}{R_TELL}queue <- {r_string(self.queue)}\n{register if registered else ''}\n{program}"
        )
        return self._session("r-coordinator", images.R_PEER, ["Rscript", "-e", text], mounts=self._r_mounts())

    def python_coordinator(self, program: str, *, chunk_size: int = 1, ftinterval: int = 30) -> Session:
        """A Python program, with its `queue` made and `dr` and `np` imported."""
        text = f"""{PYTHON_PREAMBLE}
queue = dr.Queue({self.queue!r}, chunk_size={chunk_size}, ftinterval={ftinterval})
{program}
"""
        return self._session(
            "coordinator",
            images.WORKER,
            [text],
            entrypoint=["tini", "--", "python", "-c"],
            environment={"PYDOREDIS_URL": self.server.url},
            mounts=self.server.mounts,
        )

    def plain_r(self, program: str) -> Session:
        """R alone, with `tell`: what a value should be."""
        return self._session(
            "r", images.WORKER, [R_TELL + program], entrypoint=["tini", "--", "Rscript", "-e"]
        )

    def job(
        self, coordinator: str, iterations: int, seconds: float, *, until_hurried: bool = False
    ) -> Session:
        """A coordinator, `R` or `Python`, that wants `iterations` tasks done that take so long each.

        It tells `expected(iterations)`. If `until_hurried`, tasks take no time any more after `hurry()`: so a
        job lasts as long as a case needs it, on machines of any speed. That takes workers of ours and a Redis
        that stays.
        """
        if coordinator == "R":
            unless = 'if (is.null(redisGet("hurry"))) ' if until_hurried else ""
            body = f"{{ {unless}Sys.sleep({seconds}); i * 11 }}"
            program = f"tell(foreach(i = 1:{iterations}, .combine = c) %dopar% {body})"
            return self.coordinator(program, ftinterval=3)
        program = f"""
def body(i):
    if not {until_hurried} or dr.redis_get("hurry") is None:
        time.sleep({seconds})
    return i * 11

tell(queue.foreach(i=range(1, {iterations} + 1)).dopar(body))
"""
        return self.python_coordinator(program, ftinterval=3)

    def hurry(self) -> None:
        """Let the rest of a job that runs `until_hurried` take no time."""
        self.client.set("hurry", rinterop.dumps(rinterop.to_r(True)), ex=600)

    def _session(self, name: str, image: str, command: Sequence[str], **options: Any) -> Session:
        session = Session(self.wire, name, image, command, **options)
        self.sessions.append(session)
        return session

    # --- watching -----------------------------------------------------------------------------------------

    def wait_for(self, condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        """Poll; a failure shows what everybody printed last."""
        try:
            wait_for(condition, what, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tails()}") from None

    def tails(self) -> str:
        """The last words of all machines."""
        return "\n".join(machine.tail() for machine in [*self.machines, *self.sessions])

    def _dead(self) -> list[str]:
        return [machine.name for machine in self.machines if machine.meant_to_run and not machine.running]

    def forever(self) -> list[str]:
        """Keys that neither belong to the open queue nor expire."""
        own = {f"{self.queue}.live", f"{self.queue}.count"}
        client = self.client
        found = [key.decode() for key in client.scan_iter(count=1000)]
        return sorted(key for key in found if key not in own and client.pttl(key) == -1)

    def check(self) -> None:
        """After a job: nobody is lost, and nothing is left that does not go away by itself."""
        assert not self._dead(), f"lost: {self._dead()}\n{self.tails()}"
        wait_for(lambda: not self.forever(), f"no key is left: {self.forever()}", 15)

    def close(self) -> None:
        """Remove everything."""
        for machine in [*self.sessions, *reversed(self.machines)]:
            machine.close()
        self.wire.close()

    def __enter__(self) -> Site:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.check()
        finally:
            self.close()


def expected(iterations: int) -> list[float]:
    """What `Site.job` tells."""
    return [11.0 * number for number in range(1, iterations + 1)]


def temporary_certificates(directory: Path) -> None:
    """Let the Redis image make a key and a self-signed certificate for the name `redis` in `directory`."""
    directory.chmod(0o777)
    command = [
        *("docker", "run", "--rm", "--volume", f"{directory}:/tls", "--entrypoint", "openssl", images.REDIS),
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", "/tls/redis.key", "-out", "/tls/redis.crt", "-days", "2"),
        *("-subj", "/CN=redis", "-addext", "subjectAltName=DNS:redis"),
    ]
    subprocess.run(command, check=True, capture_output=True)
