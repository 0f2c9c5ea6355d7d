"""A queue with real workers on it, R's and ours, and R sessions that use it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import redis

from tests.peers.processes import Peer, clean_environment, pydoredis_worker, r_address, r_string, r_worker

# Two workers each: R's, ours (one agent with two executors), one of each.
POOLS = ("RR", "PP", "RP")

# Values are compared as text with all digits, one line after this mark; other output does not matter.
MARK = "=> "
PREAMBLE = f"""
suppressMessages(library(doRedis))
options(digits = 15, width = 200, warn = 1)
say <- function(value) {{
  cat("\\n{MARK}", paste(deparse(value, width.cutoff = 500L), collapse = " "), "\\n", sep = "")
}}
"""


class Session:
    """An R process that runs a program; the values that it says, and afterwards its `errors` (stderr)."""

    def __init__(self, command: list[str]) -> None:
        self.errors = ""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            text=True,
        )

    @property
    def running(self) -> bool:
        """Whether the program is still at it."""
        return self._process.poll() is None

    def values(self, timeout_s: float = 60.0) -> list[str]:
        """All that the program said, deparsed. Fails with R's messages if R fails."""
        try:
            out, err = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, err = self._process.communicate()
            raise AssertionError(f"the R program is not done after {timeout_s} s\n{out}\n{err}") from None
        self.errors = err
        assert self._process.returncode == 0, f"{out}\n{err}"
        return [line[len(MARK) :] for line in out.splitlines() if line.startswith(MARK)]

    def value(self, timeout_s: float = 60.0) -> str:
        """The one thing that it said."""
        (only,) = self.values(timeout_s)
        return only

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End it if it still runs."""
        if self.running:
            self._process.kill()
            self._process.communicate()


class Pool:
    """Workers on a queue."""

    def __init__(self, url: str, client: redis.Redis, queue: str = "jobs") -> None:
        self.url = url
        self.client = client
        self.queue = queue
        self.peers: list[Peer] = []
        self.sessions: list[Session] = []

    def add_r_worker(self) -> Peer:
        """One more R process that waits for tasks."""
        return self._add(lambda: r_worker(self.url, [self.queue], name="R worker"), 1)

    def add_agent(self, workers: int = 1, *, options: tuple[str, ...] = (), url: str = "") -> Peer:
        """One more agent of ours; `url`, if it reaches the server on a way of its own."""
        return self._add(
            lambda: pydoredis_worker(url or self.url, [self.queue], workers=workers, options=options), workers
        )

    def fill(self, kind: str) -> None:
        """Start the two workers of a pool in `POOLS`."""
        if kind == "PP":
            self.add_agent(2)
        else:
            for letter in kind:
                if letter == "R":
                    self.add_r_worker()
                else:
                    self.add_agent()

    def _add(self, start: Callable[[], Peer], workers: int) -> Peer:
        before = self.count  # before the start: on a busy machine it may count itself sooner than we look
        peer = start()
        self.peers.append(peer)
        self.wait_for(lambda: self.count >= before + workers or not peer.running, "workers are counted", 40)
        assert peer.running, peer.tail(30)
        return peer

    @property
    def count(self) -> int:
        """How many workers say that they listen."""
        return int(self.client.get(f"{self.queue}.count") or 0)

    def keys(self, kind: str) -> list[str]:
        """The queue's keys of a kind: start, alive, env, out."""
        prefix = f"{self.queue}.{kind}."
        return sorted(key.decode() for key in self.client.scan_iter(match=f"{prefix}*", count=1000))

    def coordinator(
        self, program: str, *, chunk_size: int = 1, ftinterval: int = 30, registered: bool = True
    ) -> Session:
        """An R session with the queue registered, at work on `program`; `queue` is its name there."""
        options = f"chunkSize = {chunk_size}, ftinterval = {ftinterval}"
        register = f"registerDoRedis(queue, {r_address(self.url)}, {options})"
        text = f"{PREAMBLE}\nqueue <- {r_string(self.queue)}\n{register if registered else ''}\n{program}"
        session = Session(["Rscript", "-e", text])
        self.sessions.append(session)
        return session

    def run(self, program: str, *, chunk_size: int = 1, ftinterval: int = 30, timeout_s: float = 60.0) -> str:
        """The value that a coordinator's program says."""
        return self.coordinator(program, chunk_size=chunk_size, ftinterval=ftinterval).value(timeout_s)

    def wait_for(self, condition: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
        """Poll; a failure shows what the workers printed last."""
        until = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > until:
                tails = "\n".join(peer.tail() for peer in self.peers)
                raise AssertionError(f"after {timeout_s} s still not: {what}\n{tails}")
            time.sleep(0.02)

    def close(self) -> None:
        """End sessions and workers."""
        for session in self.sessions:
            session.close()
        for peer in self.peers:
            peer.terminate()
        for peer in self.peers:
            peer.close()
