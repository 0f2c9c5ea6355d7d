"""Everything at one moment, and what can happen next."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from pydoredis import backoff
from pydoredis.store.agent import AgentWire
from pydoredis.store.connection import Script
from pydoredis.worker.core import conversation, membership
from tests.model.agent import Action, Agent, uncounted
from tests.model.coordinator import Coordinator, Theatre
from tests.model.jobs import JOB, QUEUE, Job
from tests.model.r_peers import RCoordinator, RWorker
from tests.model.server import Server, Words
from tests.model.states import Fingerprint, States

DEAD = -1
"""Stands for an agent that is no more."""


@dataclass(frozen=True)
class Scenario:
    """A world to explore.

    Attributes:
        job: The job.
        agents: How many agents there are.
        r_worker: Whether one of R's workers is there, too.
        faults: What may go wrong.
        fine: Whether others come in between the commands of one request.
        most_faults: How often, on the way to one state.
        most_looks: How often, on such a way, a coordinator looks for lost tasks, or an agent's clock goes on.
        max_crashes: An iteration is given up after so many deaths.
    """

    job: Job
    agents: int = 2
    r_worker: bool = False
    faults: frozenset[str] = frozenset()
    fine: bool = False
    most_faults: int = 1
    most_looks: int = 3
    max_crashes: int = 2


class Line(NamedTuple):
    """What an agent's connection has to tell it.

    Attributes:
        watching: Whether the server will tell when the queue changes.
        before: Keys whose change it will be told before the reply that is under way.
        after: Those that changed after the last command was carried out.
    """

    watching: bool = False
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class World(NamedTuple):
    """Everything at one moment. Two that are equal go on in the same way.

    Attributes:
        redis: What the server holds.
        previous: What it held before the last write.
        agents: The agents, `DEAD` for one that is no more.
        lines: Their connections.
        ghosts: Commands of requests that were given up and may still come, of which agent.
        coordinator: Python's, by number, or R's.
        r_worker: R's worker, if there is one.
        run: Which run of the server this is.
        faults: How many more may happen.
        looks: How many more looks for lost tasks and ticks may happen.
        deaths: Deaths of executors so far.
        uncounted: How many of them perhaps will never be counted, and rightly so.
    """

    redis: int
    previous: int
    agents: tuple[int, ...]
    lines: tuple[Line, ...]
    ghosts: tuple[tuple[int, tuple[Words, ...]], ...]
    coordinator: int | RCoordinator
    r_worker: RWorker | None
    run: int
    faults: int
    looks: int
    deaths: int = 0
    uncounted: int = 0


class View(NamedTuple):
    """What is to be known of an agent without bringing it back to life."""

    words: tuple[Words, ...]
    position: int
    next_words: Words | None
    answered: bool
    connected: bool
    serving: bool
    stopped: bool
    stopping: bool
    due: bool
    pipes: tuple[tuple[int, int, int, int], ...]  # executor, tasks, iterations of the first, those finished
    unready: tuple[int, ...]
    uncounted: int
    leases: tuple[tuple[int, int, str, str, bool], ...]  # first, last, state, tag, lapsed


def _view(agent: Agent) -> View:
    pipes = tuple(
        (number, len(pipe), len(pipe[0].task.iterations), pipe[0].finished)
        for number, pipe in agent.pipes.items()
        if pipe
    )
    leases = tuple(
        (lease.task.first, lease.task.last, lease.state.name, lease.tag, lease.lapsed)
        for lease in agent.leases()
    )
    return View(
        agent.words,
        len(agent.replies),
        agent.next_words,
        agent.answered,
        agent.connected,
        agent.serving,
        agent.stopped,
        agent.stopping,
        agent.due,
        pipes,
        tuple(agent.unready),
        uncounted(agent),
        leases,
    )


class Universe:
    """All worlds of a scenario, and the ways between them.

    Args:
        server: The server.
        scenario: Who is there.
    """

    def __init__(self, server: Server, scenario: Scenario) -> None:
        self.server = server
        self.scenario = scenario
        self.job = scenario.job
        self.is_r = self.job.codec == "r"
        prints = Fingerprint()
        self.agents: States[Agent] = States(lambda agent: prints.of(agent, agent.now_s), _view)
        self.coordinators: States[Coordinator] = States(
            lambda each: prints.of(each.essence(), each.now_s), lambda each: each
        )
        self._next_agents: dict[tuple[int, Action], int] = {}
        self._next_coordinators: dict[tuple[int, Action], int] = {}
        self._replaced = contextlib.ExitStack()
        # With each beat: else states would differ by the number of beats since the last sweep.
        self._replace(membership, "SWEEP_BEATS", 1)
        for module in (backoff, conversation):
            self._replace(module, "random", SimpleNamespace(uniform=lambda least, most: (least + most) / 2))
        self.theatre: Theatre | None = None
        if not self.is_r:
            self.theatre = Theatre(self.job, self._replace, max_crashes=scenario.max_crashes)
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        self._replaced.callback(logging.disable, level)
        for source in AgentWire("", "", {QUEUE.queue: QUEUE}).scripts().values():
            server.load(source)
        for names in (("open_job",), ("collect",), ("fault",), ("withdraw",), ("forget", "sweep")):
            server.load(Script.read(*names).source)
        self._take_sha = Script.read("read_task", "claim").sha

    def _replace(self, module: Any, name: str, value: Any) -> None:
        self._replaced.enter_context(mock.patch.object(module, name, value))

    def close(self) -> None:
        """Put back what was replaced in modules."""
        self._replaced.close()

    # --- the beginning ------------------------------------------------------------------------------------

    def first(self) -> World:
        """All agents serve the queue, and the job was just submitted."""
        redis, agents = 0, []
        for name in "abcdefg"[: self.scenario.agents]:
            number, redis = self.arrive(name, redis)
            agents.append(number)
        coordinator: int | RCoordinator
        if self.theatre is None:
            coordinator = RCoordinator()
            _, redis = self.server.execute(redis, ("SET", QUEUE.env(JOB), self.job.environment))
            for payload in self.job.payloads.values():
                _, redis = self.server.execute(redis, ("RPUSH", QUEUE.queue, payload))
        else:
            held = [redis]

            def live(commands: tuple[Words, ...]) -> list[Any]:
                replies = []
                for words in commands:
                    reply, held[0] = self.server.execute(held[0], words)
                    replies.append(reply)
                return replies

            coordinator = self.coordinators.add(self.theatre.begin(live))
            redis = held[0]
        r_worker = None
        if self.scenario.r_worker:
            _, redis = self.server.execute(redis, ("INCR", QUEUE.count))
            r_worker = RWorker()
        lines = tuple(Line(before=(QUEUE.queue,)) for _ in agents)
        scenario = self.scenario
        return World(
            *(redis, redis, tuple(agents), lines, (), coordinator, r_worker),
            *(1, scenario.most_faults, scenario.most_looks),
        )

    def arrive(self, name: str, redis: int) -> tuple[int, int]:
        """An agent starts and joins the queue: it, and what the server holds then."""
        agent = Agent(name, self.job, max_crashes=self.scenario.max_crashes)
        agent.happen(("connect", 1))
        for executor in list(agent.unready):
            agent.happen(("ready", executor))
        while agent.words:
            while (words := agent.next_words) is not None:
                reply, redis = self.server.execute(redis, words)
                agent.happen(("executed", reply))
            agent.happen(("replied",))
        assert agent.serving
        return self.agents.add(agent), redis

    # --- changes ------------------------------------------------------------------------------------------

    def view(self, world: World, index: int) -> View:
        """What is to be known of an agent that lives."""
        view: View = self.agents.views[world.agents[index]]
        return view

    def living(self, world: World) -> list[int]:
        """The agents that live and have not ended."""
        return [
            n for n, agent in enumerate(world.agents) if agent != DEAD and not self.view(world, n).stopped
        ]

    def tell(self, world: World, index: int, action: Action) -> World:
        """Something happens to an agent."""
        before = world.agents[index]
        after = self._next_agents.get((before, action))
        if after is None:
            agent = self.agents.get(before)
            agent.happen(action)
            after = self._next_agents[before, action] = self.agents.add(agent)
        return world._replace(agents=with_(world.agents, index, after))

    def execute(self, world: World, words: Words, index: int | None) -> tuple[Any, World]:
        """The server carries out a command, of this agent or of somebody else."""
        reply, redis = self.server.execute(world.redis, words)
        lines = list(world.lines)
        if redis != world.redis:
            before, after = self.server.content(world.redis), self.server.content(redis)
            queue = before.get(_QUEUE) != after.get(_QUEUE) or before.get(_PYTHON) != after.get(_PYTHON)
            ended = (_ENV in before) != (_ENV in after)
            for n, line in enumerate(lines):
                keys = ((QUEUE.queue,) if queue and line.watching and n != index else ()) + (
                    (QUEUE.env(JOB),) if ended and n != index else ()
                )
                if queue:
                    line = line._replace(watching=False)
                if keys and world.agents[n] != DEAD:
                    late = self.view(world, n).answered
                    kept = (*line.after, *keys) if late else (*line.before, *keys)
                    kept = tuple(dict.fromkeys(kept))
                    line = line._replace(after=kept) if late else line._replace(before=kept)
                lines[n] = line
            world = world._replace(previous=world.redis)
        if index is not None and self.is_take(words):
            lines[index] = lines[index]._replace(watching=True)
        return reply, world._replace(redis=redis, lines=tuple(lines))

    def is_take(self, words: Words) -> bool:
        """Whether a command takes tasks."""
        return words[:2] == ("EVALSHA", self._take_sha)

    def turn(self, world: World, action: Action) -> World:
        """Something happens to Python's coordinator."""
        assert self.theatre is not None
        assert isinstance(world.coordinator, int)
        after = self._next_coordinators.get((world.coordinator, action))
        if after is None:
            coordinator = self.coordinators.get(world.coordinator)
            getattr(coordinator, action[0])(self.theatre, *action[1:])
            after = self._next_coordinators[world.coordinator, action] = self.coordinators.add(coordinator)
        return world._replace(coordinator=after)

    def python(self, world: World) -> Coordinator:
        """Python's coordinator; not to be changed."""
        assert isinstance(world.coordinator, int)
        coordinator: Coordinator = self.coordinators.views[world.coordinator]
        return coordinator


_QUEUE = QUEUE.queue.encode()
_PYTHON = QUEUE.python.encode()
_ENV = QUEUE.env(JOB).encode()


def with_(each: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*each[:index], value, *each[index + 1 :])
