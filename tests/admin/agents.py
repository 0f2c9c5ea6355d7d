"""Agents as they stand in Redis, without the agents."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence
from pydoredis.protocol.telemetry import Activity, Counters, ExecutorState, Stopwatch, Warned
from pydoredis.store.agent import AgentWire


def presence(name: str, workers: int = 2, pids: tuple[int, ...] = (71, 72)) -> Presence:
    """An agent of this name, on a host of this name."""
    return Presence(name, name, 70, workers, ("r", "cloudpickle"), "3.11.7", "4.2.2", "0.1", pids)


def activity(queue: str = "", job: str = "", *, done: int = 0, warned: Sequence[Warned] = ()) -> Activity:
    """What an agent with two executors does: the first one runs a task of the job, if there is one."""
    run, wait = Stopwatch(), Stopwatch()
    for _ in range(done):
        run.note(0.5)
        wait.note(0.002)
    counters = Counters(done, 2 * done, 1, 0, 3, run.histogram(), wait.histogram())
    busy = ExecutorState(71, "r", 50_000_000, queue, job, 4, 6, 12.5) if job else ExecutorState(71, "r")
    return Activity(60.0, 30_000_000, counters, (busy, ExecutorState(72, "r", 40_000_000)), tuple(warned))


def announce(client: redis.Redis, queues: Sequence[str], agent: Presence, does: Sequence[Activity]) -> None:
    """An agent's heartbeat, on queues that it opens."""
    keys = [QueueKeys(queue) for queue in queues]
    wire = AgentWire(agent.id, agent.host, {each.tasks: each for each in keys})
    client.script_load(wire.scripts()["announce"])
    for words in wire.encode(commands.Announce(agent, True, does)):
        if words[0] == "EVALSHA":  # the others have the server watch keys, for nobody
            client.execute_command(*words)  # type: ignore[no-untyped-call]
