"""What nobody will ever fetch or run: found in two looks, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydoredis.doctor.findings import Finding, counted
from pydoredis.doctor.pool import QueueFacts


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that is left of a job or an agent that is gone.

    Attributes:
        queue: Its queue.
        kind: What it is left of.
        name: The job's or the agent's ID.
        tasks: Tasks of a job that wait, and that nobody could run.
        results: Results of a job, which nobody will fetch.
        lapsed: Marks of tasks whose workers died.
        workers: Workers of an agent that are still counted.
    """

    queue: str
    kind: Literal["job", "agent"]
    name: str
    tasks: int = 0
    results: int = 0
    lapsed: int = 0
    workers: int = 0

    def __str__(self) -> str:
        if self.kind == "agent":
            return f"queue {self.queue}: {counted(self.workers, 'worker')} of agent {self.name}, which died"
        parts = (
            *(counted(self.tasks, "waiting task"), counted(self.results, "unread result")),
            counted(self.lapsed, "mark"),
        )
        return f"queue {self.queue}: {', '.join(parts)} of job {self.name}"


def find(facts: QueueFacts) -> Iterator[Orphan]:
    """The orphans of a queue.

    A job whose environment is gone is over: nobody can run its tasks, nor waits for its results. One of which
    a worker still has a task is left until that has ended, for its result would be the next orphan.
    """
    before = {job.job for job in facts.before.jobs if job.state == "left over"}
    for job in facts.now.jobs:
        if job.state == "left over" and job.job in before and not job.running:
            yield Orphan(facts.queue, "job", job.job, job.queued, job.results, job.lapsed)
    for agent, workers in facts.dead_agents.items():
        yield Orphan(facts.queue, "agent", agent, workers=workers)


def finding(orphan: Orphan) -> Finding:
    """An orphan as a finding."""
    text = str(orphan).partition(": ")[2]
    return Finding("orphans", "warning", text, "pydoredis doctor --clean removes it.", orphan.queue)
