"""Loops without end on a pool that is never left in peace: `make chaos`, or

    python -m tests.faults.chaos --seed 7 --minutes 3

Phases alternate. In *mixed* ones R coordinators (where doRedis is installed) and Python coordinators share a
queue whose machines are killed, stopped and cut off, and results of Python jobs come twice; R's have a chunk
size of 1, for they do not survive the loss of a larger task (protocol 12.4). In *harsh* ones there are Python
coordinators only; besides, Redis is restarted (it keeps its data: `appendonly yes`), all connections are cut,
and R's `removeJob` is let loose.

Every loop must come to exactly its value, no key may stay and no process. How often iterations ran is counted
on a second server that is left in peace, and told: an iteration whose machine died, or was taken for dead,
before its result was published has to run again; nobody can know how far it had come. So "more than once" is
not zero; "not at all" must be.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pydoredis.queue import Queue
from tests.conftest import has_r, missing_r_packages
from tests.faults.chaos_loops import FTINTERVAL_S, Loop, Plan, PythonLoop, RLoop
from tests.faults.machines import left_running
from tests.faults.monkey import Monkey
from tests.faults.proxy import Proxy
from tests.faults.scene import lasting_keys
from tests.peers.pool import Pool
from tests.redis_process import RedisProcess

QUEUE = "chaos"
PHASE_S = 30.0
LOOP_TIMEOUT_S = 180.0
"""How long a loop may take to its end once the pool is left in peace."""


@dataclass
class Tally:
    """What came of it all."""

    loops: Counter[str] = field(default_factory=Counter)
    iterations: int = 0
    runs: Counter[int] = field(default_factory=Counter)
    strikes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def count_runs(self, loop: Loop, counter: RedisProcess) -> None:
        """How often each iteration of a loop ran."""
        with counter.client() as client:
            counts = {int(name): int(n) for name, n in client.hgetall(loop.plan.name).items()}
        self.iterations += loop.plan.iterations
        self.runs.update(counts.get(i, 0) for i in range(1, loop.plan.iterations + 1))

    def text(self) -> str:
        """The table at the end."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.loops.items()))
        again = sum(count for runs, count in self.runs.items() if runs > 1)
        strikes = ", ".join(f"{count} {what}" for what, count in self.strikes.most_common())
        share, most = 100 * again / max(1, self.iterations), max(self.runs, default=0)
        lines = [
            f"loops                {sum(self.loops.values())} ({kinds})",
            f"iterations           {self.iterations}",
            f"  ran not at all     {self.runs[0]}",
            f"  ran more than once {again} ({share:.1f} %), at most {most} times",
            f"strikes              {strikes}",
            f"problems             {len(self.problems)}",
        ]
        return "\n".join(lines)


class Phase:
    """One server, one queue, machines, and loops that follow one another until the time is over."""

    def __init__(self, seed: int, number: int, *, harsh: bool, with_r: bool) -> None:
        self.name = f"phase {number}, {'harsh' if harsh else 'mixed'}"
        self._dice = random.Random(f"{seed}/{number}")
        self._number = number
        self._names = itertools.count(1)
        self._server = RedisProcess(appendonly="yes", appendfsync="always")
        self._counter = RedisProcess()
        self._proxy = Proxy(self._server.port)
        self._pool = Pool(self._server.url, self._server.client(), QUEUE)
        # Python coordinators share the fate of the machines, R's have a way of their own.
        self._queue = Queue(QUEUE, self._proxy.url, ftinterval=FTINTERVAL_S)
        self._monkey = Monkey(
            self._dice,
            self._server,
            self._proxy,
            self._pool,
            codec="auto" if with_r else "cloudpickle",
            r_sessions=with_r,
            harsh=harsh,
        )
        self._slots: list[tuple[str, Callable[[Plan], Loop]]] = [("Python", self._python)] * 2
        self._slots.append(("Python with loops in bodies", self._python_that_nests))
        if with_r:
            self._slots.append(("Python with R bodies", self._python_with_r_body))
        if with_r and not harsh:
            self._slots.append(("R", self._r))
        self._loops: list[tuple[str, Loop]] = []
        # Dice of their own: which kind of loop ends first is not to decide what is thrown for the others.
        self._plans = {kind: random.Random(f"{seed}/{number}/{kind}") for kind, _ in self._slots}

    def run(self, seconds: float, tally: Tally) -> None:
        """Let loops run and the monkey strike; then look whether all is as it should be."""
        for _ in range(3):
            self._monkey.start_machine()
        end_s = time.monotonic() + seconds
        strike_s = time.monotonic() + 3.0
        for kind, make in self._slots:
            self._loops.append((kind, make(self._plan(kind))))
        while time.monotonic() < end_s:
            self._monkey.pass_time()
            if time.monotonic() >= strike_s:
                self._monkey.strike([loop for _, loop in self._loops])
                strike_s = time.monotonic() + self._dice.uniform(0.1, 1.5)
            self._follow(tally, again=True)
            time.sleep(0.02)
        self._monkey.calm()
        deadline_s = time.monotonic() + LOOP_TIMEOUT_S
        while self._loops and time.monotonic() < deadline_s:
            self._monkey.pass_time()
            self._follow(tally, again=False)
            time.sleep(0.05)
        for kind, loop in self._loops:
            tally.problems.append(f"{self.name}: {kind} loop {loop.plan} has not ended")
        self._look_around(tally)
        tally.strikes.update(self._monkey.strikes)

    def _follow(self, tally: Tally, *, again: bool) -> None:
        """Check the loops that have ended, and start others in their place."""
        for place, (kind, loop) in reversed(list(enumerate(self._loops))):
            if loop.running:
                continue
            del self._loops[place]
            tally.loops[kind] += 1
            tally.count_runs(loop, self._counter)
            if problem := loop.problem():
                tally.problems.append(f"{self.name}: {kind} loop {loop.plan}: {problem}")
            if again:
                make = dict(self._slots)[kind]
                self._loops.append((kind, make(self._plan(kind))))

    def _look_around(self, tally: Tally) -> None:
        for _, loop in self._loops:
            loop.close()
        deadline_s = time.monotonic() + 20
        while (keys := self._lasting_keys()) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if keys:
            tally.problems.append(f"{self.name}: keys were left: {sorted(keys)}")
        for peer in self._monkey.machines:
            peer.terminate()
        for peer in self._monkey.machines:
            if (status := peer.wait(60)) != 0:
                tally.problems.append(f"{self.name}: a worker ended with status {status}\n{peer.tail(30)}")
        deadline_s = time.monotonic() + 10
        while (left := left_running(self._monkey.peers)) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if left:
            tally.problems.append(f"{self.name}: processes were left: {left}")

    def close(self) -> None:
        """Leave nothing, whatever happened."""
        for peer in self._monkey.peers:
            peer.close()
        self._proxy.close()
        self._pool.close()
        self._server.close()
        self._counter.close()

    # --- loops --------------------------------------------------------------------------------------------

    def _plan(self, kind: str) -> Plan:
        dice = self._plans[kind]
        return Plan(
            name=f"{self._number}-{next(self._names)}",
            iterations=dice.choice([1, 7, 40, 150]),
            chunk_size=1 if kind == "R" else dice.choice([1, 1, 3, 7]),
            pause_s=dice.choice([0.0, 0.02, 0.1, 0.4]),
        )

    def _python(self, plan: Plan) -> Loop:
        return PythonLoop(plan, self._queue, self._counter)

    def _python_that_nests(self, plan: Plan) -> Loop:
        return PythonLoop(plan, self._queue, self._counter, nests=True)

    def _python_with_r_body(self, plan: Plan) -> Loop:
        return PythonLoop(plan, self._queue, self._counter, r_body=True)

    def _r(self, plan: Plan) -> Loop:
        return RLoop(plan, self._pool, self._counter)

    def _lasting_keys(self) -> set[str]:
        with self._server.client() as client:
            return lasting_keys(client, QUEUE)


def main() -> int:
    """Run phases until the time is over; exit status 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(description="Loops on a pool that is never left in peace.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    logging.getLogger("pydoredis").setLevel(logging.ERROR)  # all else is expected here
    with_r = has_r() and not missing_r_packages()
    print(f"seed {options.seed}; R peers: {'yes' if with_r else 'no, doRedis is not installed'}")
    tally = Tally()
    end_s = time.monotonic() + 60 * options.minutes
    for number in itertools.count(1):
        left_s = end_s - time.monotonic()
        if left_s <= 0 and number > 2:
            break
        phase = Phase(options.seed, number, harsh=number % 2 == 0, with_r=with_r)
        problems = len(tally.problems)
        try:
            phase.run(min(PHASE_S, max(10.0, left_s)), tally)
        finally:
            phase.close()
        print(f"{phase.name}: {sum(tally.loops.values())} loops so far", flush=True)
        for problem in tally.problems[problems:]:
            print(f"PROBLEM {problem}", flush=True)
    print(tally.text())
    return 1 if tally.problems or tally.runs[0] else 0


if __name__ == "__main__":
    sys.exit(main())
