"""What is taken off the queues, and what becomes of it: a lease for each task."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol import wire
from pydoredis.protocol.agent_commands import KNOWN, UNREAD, Taken, TakenTask
from pydoredis.protocol.envelope_peek import HEAD_SIZE, job_of_head
from pydoredis.protocol.keys import TaskTag
from pydoredis.protocol.messages import Codec, JobEnvironment, Task
from pydoredis.worker.core.instructions import Instruction, Log
from pydoredis.worker.core.jobs import LoadedJob, LoadedJobs
from pydoredis.worker.core.lease import Lease, Shelves, State
from pydoredis.worker.core.refusals import Refusals

Environments = Mapping[str, "bytes | Literal['unread', 'known'] | None"]
Refusal = Callable[[JobEnvironment], "str | None"]


class Intake:
    """Sorts what comes.

    Attributes:
        unreadable: Payloads that were set aside, to be buried: with their queue, and whether to keep them.

    Args:
        agent_id: The agent's, for the names of claims.
        shelves: The agent's leases.
        jobs: The jobs that it knows.
        refusals: When to rest from tasks that are not served here.
        codecs: What is served here.
        refusal: Tells why a job cannot be run here, if it cannot.
        do: Carries out instructions.
    """

    def __init__(
        self,
        agent_id: str,
        shelves: Shelves,
        jobs: LoadedJobs,
        refusals: Refusals,
        codecs: Sequence[Codec],
        refusal: Refusal,
        do: Callable[[Instruction], None],
    ) -> None:
        self.unreadable: list[tuple[TakenTask, bool]] = []
        self._agent_id = agent_id
        self._shelves = shelves
        self._jobs = jobs
        self._refusals = refusals
        self._codecs = codecs
        self._refusal = refusal
        self._do = do
        self._numbers = itertools.count(1)
        self._refused_jobs: deque[str] = deque(maxlen=100)

    # --- what was taken -----------------------------------------------------------------------------------

    def take(self, taken: Taken, now_s: float) -> None:
        """Make leases of what was taken."""
        for each in taken.tasks:
            task = self._read(each)
            if task is None:
                continue
            lease = self._lease(each, task)
            lease.taken_s = now_s
            if lease.state is not State.ASIDE:
                self.sort(lease, taken.environments, now_s)

    def _read(self, taken: TakenTask) -> Task | None:
        keys = taken.keys
        try:
            task = wire.decode_task(taken.payload)
        except RemoteProtocolError as error:
            if taken.tag is None:
                self._say(logging.WARNING, f"queue {keys.queue}: {error}; kept in {keys.dead!r}")
                self.unreadable.append((taken, True))
                return None
            # Enough of it was read to mark it, so its coordinator waits for an answer.
            return _marked_task(taken.tag, taken.payload, str(error))
        if not task.iterations:
            # What a coordinator submits that found a start key gone: an answer would count as a result of its
            # job (protocol 12.6).
            text = f"queue {keys.queue}: dropped a task without iterations of job {task.job}"
            self._say(logging.WARNING, text)
            self.unreadable.append((taken, False))
            return None
        return task

    def _lease(self, taken: TakenTask, task: Task) -> Lease:
        number = next(self._numbers)
        tag = taken.tag or ""
        self._jobs.record(taken.keys, task.job)
        return Lease(
            *(taken.keys, task, tag, f"{tag} claim {self._agent_id} {number}"),
            number=number,
            shelves=self._shelves,
            state=State.ASIDE if taken.tag is None else State.SEEN,
            crashed=taken.crashed,
        )

    def sort(self, lease: Lease, environments: Environments, now_s: float) -> None:
        """Decide what is to be done with a task that was marked, if its environment is known."""
        value = environments.get(lease.env, UNREAD)
        if value is None:
            lease.drop()
            self._say(logging.INFO, f"dropped task {lease.block} of job {lease.task.job}: the job is over")
            return
        if lease.task.problem:
            self._say(logging.WARNING, f"{_where(lease)}: {lease.task.problem}")
            self.fail(lease, f"the task cannot be run: {lease.task.problem}")
            return
        if value == KNOWN:
            job = self._jobs.known(lease.env)
        elif value == UNREAD:
            job = None
        else:
            assert isinstance(value, bytes)
            try:
                job = self._jobs.find(lease.env, value)
            except RemoteProtocolError as error:
                self._say(logging.WARNING, f"{_where(lease)}: {error}")
                self.fail(lease, f"the job environment cannot be used: {error}")
                return
        if job is None:
            return  # it is asked for
        lease.job = job
        job.depth = lease.keys.depth
        lease.ours = job.environment.ours
        refusal = self._refusal(job.environment)
        if refusal:
            self._refuse(lease, refusal, now_s)
        elif not lease.crashed:
            lease.wait()

    def fail(self, lease: Lease, message: str) -> None:
        """Answer a task with an error for each of its iterations."""
        lease.answer(wire.encode_failures(lease.task.iterations, message))

    def fail_waiting(self, job: LoadedJob, message: str) -> None:
        """Answer all tasks of a job that wait here with an error."""
        self._say(logging.WARNING, f"tasks of the environment {job.key} cannot be run: {message}")
        for lease in self._shelves[State.WAITING]:
            if lease.job is job:
                self.fail(lease, message)

    def _refuse(self, lease: Lease, reason: str, now_s: float) -> None:
        """Put back a task that cannot be run here, and leave it to others for a while."""
        assert lease.job is not None
        if lease.job.environment.codec == "cloudpickle" and "cloudpickle" not in self._codecs:
            lease.give_back("python", quiet=True)  # whence it will not come back to us
            return
        lease.give_back("tail", quiet=True)
        job = lease.task.job
        self._refusals.note(job, lease.block, now_s)
        if job not in self._refused_jobs:
            self._refused_jobs.append(job)
            self._say(logging.WARNING, f"tasks of job {job} go back: {reason}")

    def _say(self, level: int, text: str) -> None:
        self._do(Log(level, text))


def _where(lease: Lease) -> str:
    return f"queue {lease.keys.queue}, job {lease.task.job}"


def _marked_task(tag_text: str, payload: bytes, problem: str) -> Task:
    """A task of which no more is known than what its marks say."""
    tag = TaskTag.parse(tag_text)
    step = 1 if tag.first <= tag.last else -1
    job = job_of_head(payload[:HEAD_SIZE]) or ""
    return Task(job, tuple(range(tag.first, tag.last + step, step)), payload, problem)
