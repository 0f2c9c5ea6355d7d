"""An agent's commands, carried out one by one on a connection that waits for each reply."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import redis

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Announced, Command, Taken
from pydoredis.protocol.claims import Claim, Crash
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Task
from pydoredis.protocol.presence import Presence
from pydoredis.settings import ConnectionSettings
from pydoredis.store import Store
from pydoredis.store.agent import AgentWire

KEYS = QueueKeys("Q")
JOB = "1_u_h_2026-11-23-11:45:31.773"
_numbers = itertools.count(1)

HERE = Presence("agent", "host", 1, 2, ("cloudpickle",), "3.11.7", "", "0.1")


def make_claim(
    *iterations: int, tag: str = "iters 1...1 host h pid 2 begin now", payload: bytes = b"task"
) -> Claim:
    """A claim on iterations of one job."""
    return Claim(KEYS, Task(JOB, iterations or (1,), payload), tag, f"{tag} claim {next(_numbers)}")


class AgentStore(Store):
    """One agent.

    Args:
        connection: Which server.
        queues: The queues that it serves; tasks are taken from their lists alone.
        agent: What it says of itself.
    """

    def __init__(
        self, connection: ConnectionSettings, queues: Sequence[QueueKeys], agent: Presence = HERE
    ) -> None:
        super().__init__(connection)
        self.agent = agent
        self.wire = AgentWire(agent.id, agent.host, {keys.tasks: keys for keys in queues})
        self._batches = itertools.count(1)

    def execute(self, command: Command) -> Any:
        """Carry out one command; what its reply says."""
        client: redis.Redis = self._client
        for source in self.wire.scripts().values():
            client.script_load(source)
        words = self.wire.encode(command)
        pipe = client.pipeline(transaction=False)
        for each in words:
            pipe.execute_command(*each)  # type: ignore[no-untyped-call]
        with self._translated():
            return self.wire.decode(command, pipe.execute(raise_on_error=False))

    # --- each of them -------------------------------------------------------------------------------------

    def announce(self, *, open: bool = False) -> Announced:
        """Say that the agent serves its queues."""
        return self.execute(commands.Announce(self.agent, open))  # type: ignore[no-any-return]

    def leave(self) -> None:
        """Forget the agent."""
        self.execute(commands.Leave(self.agent))

    def take(
        self,
        free: int,
        ahead: Mapping[str, int] | None = None,
        batch: int | None = None,
        deeper: tuple[int, ...] = (),
    ) -> Taken:
        """Take tasks."""
        number = next(self._batches) if batch is None else batch
        command = commands.Take(number, free, ahead or {}, {}, (70,), "2026-11-23-11:45:31", deeper)
        return self.execute(command)  # type: ignore[no-any-return]

    def mark(self, claims: Sequence[Claim]) -> None:
        """Mark tasks, as if they had been set aside."""
        for claim in claims:
            self._client.rpush(claim.keys.aside(self.agent.id), claim.task.payload)
            self.execute(commands.Mark(claim))

    def publish(self, *results: tuple[Claim, bytes]) -> list[str | None]:
        """Publish results."""
        return self.execute(commands.Publish(results))  # type: ignore[no-any-return]

    def give_back(self, claims: Sequence[Claim], end: commands.End) -> list[str]:
        """Put tasks back."""
        return self.execute(commands.GiveBack(claims, end))  # type: ignore[no-any-return]

    def beat(self, claims: Sequence[Claim]) -> list[str]:
        """Keep tasks alive, and note in the claims which have lapsed."""
        beats: list[str] = self.execute(commands.KeepAlive(claims))
        for claim, beat in zip(claims, beats, strict=True):
            claim.lapsed = claim.lapsed or beat == "lapsed"
        return beats

    def count_crash(self, claim: Claim, iteration: int | None, cause: str, death: int = 1) -> Sequence[Crash]:
        """Count a death."""
        command = commands.CountCrash(claim, death, iteration, cause)
        return self.execute(command)  # type: ignore[no-any-return]

    def crashes(self, claim: Claim) -> Sequence[Crash]:
        """Look up deaths."""
        return self.execute(commands.LookUpCrashes(claim))  # type: ignore[no-any-return]

    def bury(self, keys: QueueKeys, payload: bytes) -> None:
        """Keep a payload for a human, as if it had been set aside."""
        self._client.rpush(keys.aside(self.agent.id), payload)
        self.execute(commands.Bury(keys, payload))

    def keep_records(self, jobs: Sequence[tuple[QueueKeys, str]]) -> list[bool]:
        """Keep records of published blocks."""
        return self.execute(commands.KeepRecords(jobs))  # type: ignore[no-any-return]

    def __enter__(self) -> AgentStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
