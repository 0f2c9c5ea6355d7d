"""What befalls the pool of a chaos run: deaths, standstills, cuts, restarts, strangers."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

import redis

from tests.faults.chaos_loops import ENDLESS, Loop, PythonLoop
from tests.faults.machines import signal_machine
from tests.faults.proxy import Proxy
from tests.peers.pool import Pool, Session
from tests.peers.processes import Peer, executors, pydoredis_worker
from tests.redis_process import RedisProcess


class Monkey:
    """Strikes at random. With the same dice it chooses the same strikes; what they hit depends on the moment.

    Attributes:
        strikes: How often it did what.
        peers: All machines that it ever started; of them `machines` are up.

    Args:
        dice: Its choices.
        server: Redis.
        proxy: Through which our machines reach it.
        pool: The queue.
        codec: What our machines serve.
        r_sessions: Whether R, with doRedis, is there to be called.
        harsh: Whether the server is restarted, all connections are cut, and R's `removeJob` is called: what
            doRedis's own coordinators do not survive.
    """

    def __init__(
        self,
        dice: random.Random,
        server: RedisProcess,
        proxy: Proxy,
        pool: Pool,
        *,
        codec: str,
        r_sessions: bool,
        harsh: bool,
    ) -> None:
        self.strikes: Counter[str] = Counter()
        self.peers: list[Peer] = []
        self.machines: list[Peer] = []
        self._dice = dice
        self._server = server
        self._proxy = proxy
        self._pool = pool
        self._codec = codec
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()  # so that no two in `_later` are equal
        self._sessions: list[Session] = []
        self._strikes: list[tuple[int, Callable[[Sequence[Loop]], bool]]] = [
            (6, self.kill_an_executor),
            (3, self.kill_a_machine),
            (4, self.stop_a_machine),
            (4, self.cut_connections),
            (2, self.slow_the_network),
            (8, self.push_results_again),
        ]
        if harsh:
            self._strikes += [(2, self.restart_the_server), (3, self.cut_by_the_server)]
        if harsh and r_sessions:
            self._strikes += [(2, self.remove_a_job_from_r)]

    def start_machine(self) -> None:
        """One more machine of ours with two executors."""
        options = ("--codec", self._codec, "--max-crashes", str(ENDLESS))
        peer = pydoredis_worker(self._proxy.url, [self._pool.queue], workers=2, options=options)
        self.machines.append(peer)
        self.peers.append(peer)

    def strike(self, loops: Sequence[Loop]) -> None:
        """Do one of its things to the pool; `loops` are those under way."""
        weights, kinds = zip(*self._strikes, strict=True)
        (kind,) = self._dice.choices(kinds, weights)
        with contextlib.suppress(redis.exceptions.ConnectionError):
            if kind(loops):
                self.strikes[kind.__name__.replace("_", " ")] += 1

    def pass_time(self) -> None:
        """Do what is due: wake what stands still, replace what is dead."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        for peer in [peer for peer in self.machines if not peer.running]:
            self.machines.remove(peer)
            self.start_machine()

    def calm(self) -> None:
        """Undo what does not end by itself."""
        while self._later:
            heapq.heappop(self._later)[2]()
        for session in self._sessions:
            session.close()
        self.pass_time()

    # --- strikes: whether there was something to strike at ------------------------------------------------

    def kill_an_executor(self, loops: Sequence[Loop]) -> bool:
        pids = [pid for peer in self.machines for pid in executors(peer)]
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._dice.choice(pids), signal.SIGKILL)
        return True

    def kill_a_machine(self, loops: Sequence[Loop]) -> bool:
        signal_machine(self._dice.choice(self.machines), signal.SIGKILL)
        return True

    def stop_a_machine(self, loops: Sequence[Loop]) -> bool:
        """For a moment, or for longer than an alive key lives."""
        peer = self._dice.choice(self.machines)
        seconds = self._dice.choice([0.3, 2.0, 11.0, 14.0])
        signal_machine(peer, signal.SIGSTOP)
        self._in(seconds, lambda: signal_machine(peer, signal.SIGCONT))
        return True

    def cut_connections(self, loops: Sequence[Loop]) -> bool:
        return self._proxy.cut() > 0

    def slow_the_network(self, loops: Sequence[Loop]) -> bool:
        self._proxy.delay_s = self._dice.choice([0.01, 0.1])
        self._in(2.0, self._end_delay)
        return True

    def push_results_again(self, loops: Sequence[Loop]) -> bool:
        """Results that lie unread come once more: nothing that an R coordinator could bear (12.1)."""
        jobs = [loop.job.id for loop in loops if isinstance(loop, PythonLoop)]
        if not jobs:
            return False
        out = f"{self._pool.queue}.out.{self._dice.choice(jobs)}"
        with self._server.client() as client:
            for _ in range(200):
                messages = client.lrange(out, 0, -1)
                if messages and client.lpushx(out, *messages):
                    return True
                time.sleep(0.002)
        return False

    def restart_the_server(self, loops: Sequence[Loop]) -> bool:
        self._server.stop()
        time.sleep(self._dice.choice([0.0, 0.5, 2.0]))
        self._server.start()
        return True

    def cut_by_the_server(self, loops: Sequence[Loop]) -> bool:
        with self._server.client() as client:
            client.client_kill_filter(_type="normal", skipme=True)
        return True

    def remove_a_job_from_r(self, loops: Sequence[Loop]) -> bool:
        """R's removeJob, of which no Python coordinator hears: it empties the queue of everybody's tasks,
        deletes all start keys, and sometimes all keys of all jobs of that process (protocol 12.5)."""
        program = "found <- jobs(queue); if (nrow(found) > 0) removeJob(found[1, ])"
        self._sessions.append(self._pool.coordinator(program))
        return True

    # --- details ------------------------------------------------------------------------------------------

    def _in(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), work))

    def _end_delay(self) -> None:
        self._proxy.delay_s = 0.0
