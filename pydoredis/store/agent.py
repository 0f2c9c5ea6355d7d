"""The commands of an agent as Redis commands, and their replies as values. Nothing here sends anything."""

from __future__ import annotations

import functools
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol import wire
from pydoredis.protocol.agent_commands import (
    KNOWN,
    UNREAD,
    Announced,
    Command,
    RefusedError,
    Taken,
    TakenTask,
)
from pydoredis.protocol.claims import Claim, Crash
from pydoredis.protocol.keys import QueueKeys, block_name
from pydoredis.protocol.presence import TTL_S as PRESENCE_TTL_S
from pydoredis.protocol.telemetry import ACTIVITY_TTL_S
from pydoredis.store.connection import Script
from pydoredis.store.late_results import sweep_call
from pydoredis.store.presence import LIST_TTL_S

ALIVE_TTL_S = 10
"""How long an alive key outlives its last refresh: fixed by doRedis (protocol, section 6)."""

ALIVE_AFTER_PUBLISH_MS = 3000
"""How long alive outlives start after a result: more than the 2 s of protocol 12.6, less than R's 10 s, so
that `tasks()` forgets finished tasks soon."""

GIVEN_TTL_S = 60
"""How long it is remembered that a claim was given back: longer than any retry of the same command."""

BATCH_TTL_S = 30
"""How long the tasks that were taken last are kept for an agent that lost the reply. Later their marks have
expired, and their coordinators submit them again."""

ASIDE_TTL_S = 24 * 3600
"""How long tasks that were set aside are kept if nobody is left to see to them."""

RECORD_TTL_S = 600
"""How long the record of a job's published blocks outlives its last refresh (`KeepRecords`)."""

CRASH_TTL_S = 24 * 3600
"""How long a queue's crash counts outlive the last crash."""

SWEPT_JOBS = 100
"""How many jobs that are over a sweep looks at."""

MAX_DEAD = 1000
"""How many unreadable payloads of a queue are kept for a human; the oldest go first."""

LARGE_RESULT = 256 * 1024
"""Bytes from which on a result is no argument of a script, which would copy it several times."""

SMALL_ENVIRONMENT = 64 * 1024
"""Bytes up to which a job environment is read while tasks are taken."""

Lists = Mapping[str, QueueKeys]
"""Keys of lists to take tasks from, in order of preference, and the queues that they belong to."""

Words = tuple[Any, ...]
"""A Redis command."""

WATCH: Final = ("CLIENT", "CACHING", "YES")
"""Has the server tell of the next change of each key that the command behind this one reads."""

_OUTCOMES: Final = ("published", "duplicate", "resubmitted", "job-gone")
_LOOKS: Final = {0: None, 2: KNOWN, 3: UNREAD}


@functools.cache
def _scripts() -> Mapping[str, Script]:
    """All scripts of an agent, by name."""
    alone = ("announce", "beat", "bury", "crashes", "give_back", "keep_records", "mark_aside", "publish")
    return {
        **{name: Script.read(name) for name in alone},
        "claim": Script.read("read_task", "claim"),
        "leave_queues": Script.read("forget", "leave_queues"),
        "sweep": Script.read("forget", "sweep"),
    }


def _has_large(command: commands.Publish) -> bool:
    return max([len(result) for _, result in command.results]) >= LARGE_RESULT


class AgentWire:
    """Turns commands of one agent into Redis commands, and the replies back.

    Args:
        agent: The agent's ID.
        host: The machine's name, as it stands in tags.
        lists: Where it takes tasks from; those of loops inside of bodies first.
    """

    def __init__(self, agent: str, host: str, lists: Lists) -> None:
        self._agent = agent
        self._host = host
        self._lists = lists
        self._queues = list(dict.fromkeys(keys.at_depth(0) for keys in lists.values()))
        self._inner = sum(1 for keys in lists.values() if keys.depth)
        self._origins: list[Any] = [self._queues.index(keys.at_depth(0)) + 1 for keys in lists.values()]
        for keys in self._queues:
            start, alive = (name("", "").removesuffix(".") for name in (keys.start, keys.alive))
            self._origins += (keys.env(""), start, alive, keys.crashes, keys.aside(agent))
        self._batch_key = self._queues[0].batch(agent)

    def encode(self, command: Command) -> list[Words]:
        """The Redis commands that carry a command out, in their order. The last one's reply is what counts;
        those before it have the server watch keys, if it does that for this connection."""
        words = _CODERS[type(command)][0](self, command)
        if isinstance(command, commands.Publish) and _has_large(command):
            return self._with_large_results(command, words)
        return [*self._watch(command), words]

    def decode(self, command: Command, replies: Sequence[Any]) -> Any:
        """What the replies to these commands say, as the type of the command has it.

        Raises:
            RefusedError: If the one that counts is an error.
        """
        reply = replies[-1]
        if isinstance(command, commands.Publish) and _has_large(command):
            # The last of those of the transaction; if it was given up, what was the matter first.
            errors = (each for each in replies if isinstance(each, Exception))
            reply = next(errors, None) or reply[-1]
        if isinstance(reply, Exception):
            raise RefusedError(str(reply))
        return _CODERS[type(command)][1](self, command, reply)

    def _watch(self, command: Command) -> Sequence[Words]:
        """What has the server tell us of the next change of keys that a command reads: of lists, of which
        queues are open, of environments. No other command is watched: a Redis before 7.2 notes all keys of a
        script with each of its reads, which takes 0.4 ms for each of 300 results."""
        match command:
            case commands.Take():
                return (WATCH,)
            case commands.Announce():
                return WATCH, ("EXISTS", *(keys.live for keys in self._queues))
            case commands.KeepAlive():
                return WATCH, ("EXISTS", *dict.fromkeys(claim.env for claim in command.claims))
            case _:
                return ()

    def _with_large_results(self, command: commands.Publish, publish: Words) -> list[Words]:
        """A transaction that pushes results and then publishes them.

        The script is sent as text. One that the server had forgotten would leave the results pushed, and not
        published: an R coordinator would get them again.
        """
        pushes = [("LPUSH", claim.out, result) for claim, result in command.results]
        source = _scripts()["publish"].source
        return [("MULTI",), *pushes, ("EVAL", source, *publish[2:]), ("EXEC",)]

    def scripts(self) -> Mapping[str, str]:
        """Lua sources that the server has to know, by name."""
        return {name: script.source for name, script in _scripts().items()}

    def _script(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Words:
        return ("EVALSHA", _scripts()[name].sha, len(keys), *keys, *arguments)

    def _nothing(self, command: Command, reply: Any) -> None:
        return None

    # --- the agent ----------------------------------------------------------------------------------------

    def _announce(self, command: commands.Announce) -> Words:
        agent = command.agent
        keys = [
            key
            for queue in self._queues
            for key in (
                *(queue.live, queue.count, queue.agents),
                *(queue.agent(agent.id), queue.activity(agent.id), queue.drain(agent.id)),
            )
        ]
        activities = [activity.encode() for activity in command.activities]
        fields = [word for field in agent.encode().items() for word in field]
        times = (PRESENCE_TTL_S, LIST_TTL_S, ACTIVITY_TTL_S)
        fixed = (agent.id, agent.workers, int(command.open), wire.LIVE_VALUE, *times)
        return self._script("announce", keys, (*fixed, len(activities), *activities, *fields))

    def _announced(self, command: commands.Announce, reply: Any) -> Announced:
        is_open, agents, draining, *joined = reply
        queues = tuple(self._queues[n - 1] for n in joined)
        return Announced(bool(is_open), max(1, agents), queues, bool(draining))

    def _leave(self, command: commands.Leave) -> Words:
        agent = command.agent.id
        keys: list[str] = []
        for queue in self._queues:
            keys += (queue.live, queue.count, queue.agents, queue.queue)
            keys += (queue.agent(agent), queue.aside(agent), queue.batch(agent))
            keys.append(queue.activity(agent))
        return self._script("leave_queues", keys, (agent,))

    def _sweep(self, command: commands.Sweep) -> Words:
        sweep, lot = _scripts()["sweep"], random.random()
        script, keys, arguments = sweep_call(sweep, command.keys, most=SWEPT_JOBS, lot=lot)
        return ("EVALSHA", script.sha, len(keys), *keys, *arguments)

    # --- tasks --------------------------------------------------------------------------------------------

    def _take(self, command: commands.Take) -> Words:
        fixed = (
            *(command.batch, command.free, self._host, command.begin),
            *(wire.FIRST_ALIVE_VALUE, ALIVE_TTL_S, wire.encode_start(())[:-4]),
            *(BATCH_TTL_S, ASIDE_TTL_S, SMALL_ENVIRONMENT),
            *(len(command.pids), len(command.ahead), len(command.known)),
            *(self._inner, len(self._queues), len(command.deeper) and self._inner),
        )
        rooms = [command.room(keys.depth) for keys in self._lists.values() if keys.depth and command.deeper]
        ahead = [word for item in command.ahead.items() for word in item]
        known = [word for item in command.known.items() for word in item]
        keys = (self._batch_key, *self._lists)
        return self._script("claim", keys, (*fixed, *rooms, *self._origins, *command.pids, *ahead, *known))

    def _taken(self, command: commands.Take, reply: Any) -> Taken:
        found, looks, more, *inner = reply
        lists = list(self._lists.values())
        tasks = tuple(
            TakenTask(lists[number - 1], message, tag.decode("utf-8", "replace") or None, bool(crashed))
            for number, message, tag, crashed in zip(*[iter(found)] * 4, strict=True)
        )
        environments = {
            env.decode("utf-8", "replace"): value if kind == 1 else _LOOKS[kind]
            for env, kind, value in zip(*[iter(looks)] * 3, strict=True)
        }
        deeper = tuple(dict.fromkeys(lists[number - 1].depth for number in inner))
        return Taken(tasks, environments, bool(more), deeper)

    def _fetch(self, command: commands.Fetch) -> Words:
        return "GET", command.env

    def _fetched(self, command: Command, reply: Any) -> bytes | None:
        return reply  # type: ignore[no-any-return]

    def _fetch_piece(self, command: commands.FetchPiece) -> Words:
        name = command.keys.piece(command.job, command.name, command.number)
        return "GETRANGE", name, command.first, command.first + command.size - 1

    def _mark(self, command: commands.Mark) -> Words:
        claim = command.claim
        keys = (claim.keys.aside(self._agent), claim.env, claim.start, claim.alive)
        values = (claim.task.payload, claim.start_value, wire.FIRST_ALIVE_VALUE, ALIVE_TTL_S)
        return self._script("mark_aside", keys, values)

    def _bury(self, command: commands.Bury) -> Words:
        keys = (command.keys.aside(self._agent), command.keys.dead)
        return self._script("bury", keys, (command.payload, int(command.keep), MAX_DEAD))

    def _publish(self, command: commands.Publish) -> Words:
        keys: list[str] = []
        pushed = _has_large(command)
        heads: list[Any] = [RECORD_TTL_S, int(pushed)]
        tasks: list[Any] = []
        numbers: dict[tuple[str, bool], int] = {}
        queue = command.results[0][0].keys
        for claim, result in command.results:
            job, ours = claim.task.job, claim.ours
            number = numbers.get((job, ours))
            if number is None:
                number = numbers[job, ours] = len(numbers) + 1
                keys += (claim.env, claim.out, claim.published)
                stay_ms = 0 if ours else ALIVE_AFTER_PUBLISH_MS
                heads += (queue.start(job, ""), queue.alive(job, ""), stay_ms)
            tasks += (number, claim.tag, claim.name, int(claim.lapsed), b"" if pushed else result)
        return self._script("publish", keys, heads + tasks)

    def _published(self, command: commands.Publish, reply: Any) -> list[str | None]:
        said = [outcome.decode() for outcome in reply]
        return [outcome if outcome in _OUTCOMES else None for outcome in said]

    def _give_back(self, command: commands.GiveBack) -> Words:
        queue = command.claims[0].keys
        keys = [queue.python if command.end == "python" else queue.tasks]
        arguments: list[Any] = [command.end, GIVEN_TTL_S]
        for claim in command.claims:
            keys += (claim.env, claim.start, claim.given, claim.alive)
            arguments += (claim.task.payload, int(claim.lapsed))
        return self._script("give_back", keys, arguments)

    def _texts(self, command: Command, reply: Any) -> list[str]:
        return [word.decode() for word in reply]

    def _drop(self, command: commands.Drop) -> Words:
        return ("DEL", *(claim.start for claim in command.claims))

    def _keep_alive(self, command: commands.KeepAlive) -> Words:
        keys: list[str] = []
        arguments: list[Any] = [wire.ALIVE_VALUE, ALIVE_TTL_S]
        for claim in command.claims:
            keys += (claim.env, claim.start, claim.alive, claim.published, claim.given)
            keys.append(claim.keys.cancelled(claim.task.job))
            arguments += (int(claim.lapsed), claim.start_value, claim.block, claim.name)
        return self._script("beat", keys, arguments)

    # --- deaths and jobs ----------------------------------------------------------------------------------

    def _count_crash(self, command: commands.CountCrash) -> Words:
        iteration = command.iteration
        guilty = command.claim.block if iteration is None else block_name(iteration, iteration)
        death = f"by:{command.claim.name}:{command.death}"
        return self._crash_words(command.claim, (death, guilty, command.cause, CRASH_TTL_S))

    def _look_up_crashes(self, command: commands.LookUpCrashes) -> Words:
        return self._crash_words(command.claim, ("", "", "", CRASH_TTL_S))

    def _crash_words(self, claim: Claim, death: Sequence[Any]) -> Words:
        task = claim.task
        numbers = struct.pack(f">{len(task.iterations)}i", *task.iterations)
        return self._script("crashes", (claim.keys.crashes,), (task.job, claim.block, numbers, *death))

    def _crashes(self, command: Command, reply: Any) -> tuple[Crash, ...]:
        return tuple(
            Crash(int(iteration) if iteration else None, deaths, cause.decode("utf-8", "replace"))
            for iteration, deaths, cause in zip(*[iter(reply)] * 3, strict=True)
        )

    def _keep_records(self, command: commands.KeepRecords) -> Words:
        keys = [key for queue, job in command.jobs for key in (queue.env(job), queue.published(job))]
        return self._script("keep_records", keys, (RECORD_TTL_S,))

    def _kept_records(self, command: commands.KeepRecords, reply: Any) -> list[bool]:
        return [bool(lives) for lives in reply]


_CODERS: Final[
    dict[type[Any], tuple[Callable[[AgentWire, Any], Words], Callable[[AgentWire, Any, Any], Any]]]
] = {
    commands.Announce: (AgentWire._announce, AgentWire._announced),
    commands.Leave: (AgentWire._leave, AgentWire._nothing),
    commands.Sweep: (AgentWire._sweep, AgentWire._nothing),
    commands.Take: (AgentWire._take, AgentWire._taken),
    commands.Fetch: (AgentWire._fetch, AgentWire._fetched),
    commands.FetchPiece: (AgentWire._fetch_piece, AgentWire._fetched),
    commands.Mark: (AgentWire._mark, AgentWire._nothing),
    commands.Bury: (AgentWire._bury, AgentWire._nothing),
    commands.Publish: (AgentWire._publish, AgentWire._published),
    commands.GiveBack: (AgentWire._give_back, AgentWire._texts),
    commands.Drop: (AgentWire._drop, AgentWire._nothing),
    commands.KeepAlive: (AgentWire._keep_alive, AgentWire._texts),
    commands.CountCrash: (AgentWire._count_crash, AgentWire._crashes),
    commands.LookUpCrashes: (AgentWire._look_up_crashes, AgentWire._crashes),
    commands.KeepRecords: (AgentWire._keep_records, AgentWire._kept_records),
}
