"""Places where recordings are played: a Redis server with workers of one kind, started when first needed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.peers.processes import Peer, pydoredis_worker, r_worker
from tests.redis_process import RedisProcess
from tests.wire.driver import Outcome, Replay
from tests.wire.recording import Recording

R_PEER = "R"
ENGINES = (R_PEER,) if os.environ.get("PYDOREDIS_WORKER") == R_PEER else ("rpy2", "rscript")
MARKS = {
    R_PEER: [pytest.mark.rpeer],
    "rpy2": [pytest.mark.needs_r],
    # Both engines run the same R code: the fast suite is content with the usual one.
    "rscript": [pytest.mark.needs_r, pytest.mark.slow],
}
each_engine = pytest.mark.parametrize("engine", [pytest.param(name, marks=MARKS[name]) for name in ENGINES])

# What sleeps longer than this is played beside others, on a pool of its own.
LONG_S = 1.5
LONG_WORKERS = 12


def start_workers(
    kind: str,
    url: str,
    queues: tuple[str, ...],
    count: int = 1,
    *,
    linger_s: int = 1,
    iterations: int | None = None,
) -> list[Peer]:
    """`count` workers: as many R processes, or one agent of ours with as many executors."""
    if kind == R_PEER:
        return [
            r_worker(url, queues, linger_s=linger_s, iterations=iterations, name=f"R worker {n + 1}")
            for n in range(count)
        ]
    return [
        pydoredis_worker(url, queues, workers=count, engine=kind, linger_s=linger_s, iterations=iterations)
    ]


def is_long(recording: Recording) -> bool:
    """Whether the recording mostly sleeps."""
    return recording.seconds > LONG_S


@dataclass(frozen=True, slots=True)
class Place:
    """What a recording needs of its site."""

    queues: tuple[str, ...]
    password: bool
    workers: int

    @classmethod
    def of(cls, recording: Recording) -> Place:
        """Recordings of the same place share workers, as jobs of a real pool do."""
        return cls(recording.queues, recording.password, LONG_WORKERS if is_long(recording) else 1)


class Site:
    """A server with workers. The workers are replaced when they died or a replay got stuck."""

    def __init__(self, kind: str, place: Place) -> None:
        self.kind = kind
        self.place = place
        self.server = RedisProcess(password="golden-secret" if place.password else None)
        self.peers: list[Peer] = []

    def play(self, recording: Recording, timeout_s: float) -> Outcome:
        """Replay the recording; a worker's last words are added to what went wrong."""
        with self.server.client() as client:
            if not self.peers or not all(peer.running for peer in self.peers):
                self.restart_workers()
            replay = Replay(client, recording, strict=self.kind != R_PEER, timeout_s=timeout_s)
            outcome = replay.run()
        dead = [peer for peer in self.peers if not peer.running]
        outcome.problems += [f"the worker ended: status {peer.process.poll()}" for peer in dead]
        if outcome.problems:
            outcome.problems += [peer.tail() for peer in dead or self.peers]
        if outcome.timed_out and self.place.workers == 1:
            self.restart_workers()
        return outcome

    def restart_workers(self) -> None:
        """End the workers, if any, and wait until new ones listen."""
        self._end_workers()
        with self.server.client() as client:
            for queue in self.place.queues:
                client.delete(f"{queue}.count", f"{queue}.live", queue)
        self.peers = start_workers(self.kind, self.server.url, self.place.queues, self.place.workers)
        until = time.monotonic() + 100  # twelve Rs at a time take long on a machine with few processors
        while self.counts() != [self.place.workers] * len(self.place.queues):
            if time.monotonic() > until or not all(peer.running for peer in self.peers):
                tails = "\n".join(peer.tail() for peer in self.peers)
                raise AssertionError(f"workers did not start: counts are {self.counts()}\n{tails}")
            time.sleep(0.02)

    def counts(self) -> list[int]:
        """`Q.count` of each queue."""
        with self.server.client() as client:
            return [int(client.get(f"{queue}.count") or 0) for queue in self.place.queues]

    def _end_workers(self) -> None:
        for peer in self.peers:
            peer.terminate()
        for peer in self.peers:
            peer.close()
        self.peers = []

    def close(self) -> None:
        """End workers and server."""
        self._end_workers()
        self.server.close()


class Theatre:
    """All sites of one kind of worker; the `long` recordings are played side by side, from the beginning."""

    def __init__(self, kind: str, long: list[Recording]) -> None:
        self.kind = kind
        self._sites: dict[Place, Site] = {}
        self._locks: dict[Place, threading.Lock] = {}
        self._guard = threading.Lock()
        self._broken: dict[Place, str] = {}
        self._pool = ThreadPoolExecutor(max_workers=max(len(long), 1))
        self._futures: dict[str, Future[Outcome]] = {
            recording.scenario: self._pool.submit(self._play_long, recording) for recording in long
        }

    def site(self, place: Place) -> Site:
        """The site for a place, with its workers up."""
        with self._guard:
            lock = self._locks.setdefault(place, threading.Lock())
        with lock:
            # Workers that do not start the first time will not start the next fifty times.
            assert place not in self._broken, f"workers did not start before: {self._broken[place]}"
            if place not in self._sites:
                self._sites[place] = Site(self.kind, place)
                try:
                    self._sites[place].restart_workers()
                except AssertionError as error:
                    self._broken[place] = str(error).splitlines()[-1]
                    raise
            return self._sites[place]

    def play(self, recording: Recording) -> Outcome:
        """What comes of the recording."""
        if not is_long(recording):
            return self.site(Place.of(recording)).play(recording, 20)
        return self._futures[recording.scenario].result()

    def _play_long(self, recording: Recording) -> Outcome:
        return self.site(Place.of(recording)).play(recording, 60)

    def close(self) -> None:
        """End everything."""
        self._pool.shutdown(cancel_futures=True)
        for site in self._sites.values():
            with contextlib.suppress(OSError):
                site.close()
