"""What follows from the replies of Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydoredis.protocol import agent_commands as commands
from pydoredis.protocol.agent_commands import Announced, Command, Taken
from pydoredis.protocol.claims import Crash
from pydoredis.worker.core.conversation import Conversation
from pydoredis.worker.core.crash_recovery import CrashRecovery
from pydoredis.worker.core.instructions import Forget, Instruction, Keep, Log, Reconnect
from pydoredis.worker.core.intake import Intake
from pydoredis.worker.core.jobs import LoadedJobs
from pydoredis.worker.core.lease import Lease, Shelves, State
from pydoredis.worker.core.membership import Membership
from pydoredis.worker.core.tallies import Tallies


class Replies:
    """Moves leases on, by what Redis says.

    Args:
        shelves: The agent's leases.
        jobs: The jobs that it knows.
        intake: Sorts what was taken.
        membership: Is told whether queues are open.
        crash_recovery: Decides about tasks on which executors died.
        conversation: Is told what a look at the queues has found.
        tallies: Count what was given back.
        do: Carries out instructions.
    """

    def __init__(
        self,
        shelves: Shelves,
        jobs: LoadedJobs,
        intake: Intake,
        membership: Membership,
        crash_recovery: CrashRecovery,
        conversation: Conversation,
        tallies: Tallies,
        do: Callable[[Instruction], None],
    ) -> None:
        self._shelves = shelves
        self._jobs = jobs
        self._intake = intake
        self._membership = membership
        self._crash_recovery = crash_recovery
        self._conversation = conversation
        self._tallies = tallies
        self._do = do

    def heard(self, answered: Iterable[tuple[Command, object]], now_s: float) -> None:
        """See to what each command got."""
        for command, reply in answered:
            _HANDLERS[type(command)](self, command, reply, now_s)

    def _say(self, level: int, text: str) -> None:
        self._do(Log(level, text))

    # --- membership ---------------------------------------------------------------------------------------

    def _announced(self, command: commands.Announce, reply: Announced, now_s: float) -> None:
        self._conversation.agents = reply.agents
        self._membership.announced(reply, now_s)

    def _left(self, command: commands.Leave, reply: None, now_s: float) -> None:
        self._membership.left = True

    def _kept_alive(self, command: commands.KeepAlive, reply: Sequence[str], now_s: float) -> None:
        for claim, beat in zip(command.claims, reply, strict=True):
            assert isinstance(claim, Lease)
            task = f"task {claim.block} of job {claim.task.job}"
            if beat == "lapsed":
                if not claim.lapsed:
                    self._say(logging.WARNING, f"{task} lapsed: it may be resubmitted")
                claim.lapsed = True
            elif beat == "cancelled":
                claim.cancel()
            elif beat == "restored":
                text = f"start key of {task} was deleted by another client; put back"
                self._say(logging.WARNING, text)

    def _kept_records(self, command: commands.KeepRecords, reply: Sequence[bool], now_s: float) -> None:
        busy = {(lease.keys, lease.task.job) for lease in self._shelves}
        for (keys, job), lives in zip(command.jobs, reply, strict=True):
            if lives or (keys, job) in busy:
                continue
            self._jobs.end(keys, job)
            loaded = self._jobs.forget(keys.env(job))
            if loaded is not None:
                self._do(Forget(loaded.number))

    def _swept(self, command: commands.Sweep, reply: None, now_s: float) -> None:
        self._conversation.changed()  # it may have put back what a dead agent had set aside

    # --- endings ------------------------------------------------------------------------------------------

    def _published(self, command: commands.Publish, reply: Sequence[str | None], now_s: float) -> None:
        refused = False
        for (claim, _), outcome in zip(command.results, reply, strict=True):
            assert isinstance(claim, Lease)
            if outcome is None:
                refused = True
                continue
            claim.finish()
            if outcome != "published":
                task = f"task {claim.block} of job {claim.task.job}"
                self._say(logging.INFO, f"result of {task} dropped: {outcome}")
        if refused:
            reason = "it does not take results just now"
            self._conversation.refused(reason, now_s)
            self._do(Reconnect(reason))  # it may be that the master is another one by now

    def _given_back(self, command: commands.GiveBack, reply: Sequence[str], now_s: float) -> None:
        for claim, outcome in zip(command.claims, reply, strict=True):
            assert isinstance(claim, Lease)
            if not claim.quiet:
                self._say(logging.INFO, f"task {claim.block} of job {claim.task.job}: {outcome}")
            if outcome == "given-back":
                self._tallies.gave_back(claim)
            claim.finish()
        self._conversation.changed()  # the server tells us of others' pushes alone

    def _dropped(self, command: commands.Drop, reply: None, now_s: float) -> None:
        for claim in command.claims:
            assert isinstance(claim, Lease)
            if claim.cancelled:
                text = f"dropped task {claim.block} of job {claim.task.job}: cancelled"
                self._say(logging.INFO, text)
            claim.finish()

    # --- tasks --------------------------------------------------------------------------------------------

    def _taken(self, command: commands.Take, reply: Taken, now_s: float) -> None:
        self._conversation.looked(command, reply, now_s)
        self._intake.take(reply, now_s)

    def _fetched(self, command: commands.Fetch, reply: bytes | None, now_s: float) -> None:
        for lease in self._shelves[State.SEEN]:
            if lease.env == command.env:
                self._intake.sort(lease, {command.env: reply}, now_s)

    def _piece_fetched(self, command: commands.FetchPiece, reply: bytes, now_s: float) -> None:
        job = self._jobs.known(command.env)
        about = None if job is None else job.environment.apart
        if job is None or about is None or (command.name, command.at) != (about.name, job.fetched):
            return  # another job by that name has come meanwhile, or it has to begin again
        if len(reply) == command.size:
            self._do(Keep(job, command.at, reply))
            job.fetched += len(reply)
            return
        reason = "it has expired, or the server had no memory left (maxmemory-policy)"
        self._intake.fail_waiting(job, f"a piece of the job environment is gone: {reason}")

    def _marked(self, command: commands.Mark, reply: None, now_s: float) -> None:
        assert isinstance(command.claim, Lease)
        command.claim.see()

    def _buried(self, command: commands.Bury, reply: None, now_s: float) -> None:
        self._intake.unreadable = [
            (taken, keep) for taken, keep in self._intake.unreadable if taken.payload != command.payload
        ]

    def _counted(self, command: commands.CountCrash, reply: Sequence[Crash], now_s: float) -> None:
        assert isinstance(command.claim, Lease)
        self._crash_recovery.counted(command.claim, reply, now_s)

    def _looked_up(self, command: commands.LookUpCrashes, reply: Sequence[Crash], now_s: float) -> None:
        assert isinstance(command.claim, Lease)
        self._crash_recovery.looked_up(command.claim, reply)


_HANDLERS: Final[dict[type[Any], Callable[[Replies, Any, Any, float], None]]] = {
    commands.Announce: Replies._announced,
    commands.Leave: Replies._left,
    commands.KeepAlive: Replies._kept_alive,
    commands.KeepRecords: Replies._kept_records,
    commands.Sweep: Replies._swept,
    commands.Publish: Replies._published,
    commands.GiveBack: Replies._given_back,
    commands.Drop: Replies._dropped,
    commands.Take: Replies._taken,
    commands.Fetch: Replies._fetched,
    commands.FetchPiece: Replies._piece_fetched,
    commands.Mark: Replies._marked,
    commands.Bury: Replies._buried,
    commands.CountCrash: Replies._counted,
    commands.LookUpCrashes: Replies._looked_up,
}
