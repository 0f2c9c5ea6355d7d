"""Checks of a queue: who serves it, whether they agree, and whether its tasks get on.

What changes all the time is looked at twice: what is so at one moment may just be on its way.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydoredis.doctor.findings import Finding, counted
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.presence import Presence, minor_version
from pydoredis.tables import JobRow, TaskRow, WorkerRow


@dataclass(frozen=True, slots=True)
class Look:
    """What is on a queue at a moment.

    Attributes:
        jobs: Its jobs.
        tasks: Its tasks that workers have taken.
        workers: Its workers.
        count: How many workers say that they listen.
        agents: Those agents that say that they live.
        listed: All agents that are counted, living or dead, with how many workers each is counted for.
        in_blpop: How many connections to the server wait as R workers do; None if it does not tell.
    """

    jobs: Sequence[JobRow] = ()
    tasks: Sequence[TaskRow] = ()
    workers: Sequence[WorkerRow] = ()
    count: int = 0
    agents: Sequence[Presence] = ()
    listed: Mapping[str, int] | None = None
    in_blpop: int | None = None

    @property
    def queued(self) -> int:
        """How many tasks wait."""
        return sum(job.queued for job in self.jobs)

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return sum(worker.workers for worker in self.workers if worker.state == "idle")


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """A queue, looked at twice.

    Attributes:
        queue: Its name.
        live: Whether it is open.
        unreadable: How many messages that nobody can read are kept.
        before, now: What was there.
    """

    queue: str
    live: bool
    unreadable: int
    before: Look
    now: Look

    @property
    def dead_agents(self) -> dict[str, int]:
        """Agents that are counted and do not say that they live, with their workers."""
        living = {agent.id for look in (self.before, self.now) for agent in look.agents}
        both = (self.before.listed or {}).keys() & (self.now.listed or {}).keys()
        return {id: count for id, count in (self.now.listed or {}).items() if id in both - living}

    def finding(self, check: str, severity: str, finding: str, advice: str = "") -> Finding:
        """A finding about this queue."""
        return Finding(check, severity, finding, advice, self.queue)  # type: ignore[arg-type]


Findings = Iterator[Finding]


def open_for_workers(facts: QueueFacts) -> Findings:
    """Whether workers stay on it."""
    if not facts.live and (facts.now.queued or any(job.state == "open" for job in facts.now.jobs)):
        yield facts.finding(
            *("open", "warning", "the queue was removed, or never opened, and has jobs"),
            "Workers leave it. registerDoRedis() or dr.register() opens it again; "
            f"`pydoredis remove-queue {facts.queue}` clears it away.",
        )


def staff(facts: QueueFacts) -> Findings:
    """Whether anybody serves it."""
    at_work = sum(worker.workers for worker in facts.now.workers if worker.state != "lapsed")
    if at_work:
        yield facts.finding("workers", "ok", f"{counted(at_work, 'worker')}, {facts.now.idle} of them idle")
    elif facts.now.queued:
        yield facts.finding(
            *("workers", "warning", f"{counted(facts.now.queued, 'task')} wait, and there are no workers"),
            f"Start some: pydoredis worker --queue {facts.queue}, or redisWorker() in R.",
        )
    else:
        yield facts.finding("workers", "note", "there are no workers")


def versions(facts: QueueFacts) -> Findings:
    """Whether the agents can run each other's jobs, and those that begin here."""
    agents = facts.now.agents
    if not agents:
        return
    pythons = _by_version(agents, lambda agent: minor_version(agent.python), "cloudpickle")
    if len(pythons) > 1:
        yield facts.finding(
            *("versions", "warning", f"workers have different Pythons: {_places(pythons)}"),
            "Lambdas and functions of scripts run only on workers with the minor version that they come "
            "from: the others give them back. Install the same one everywhere.",
        )
    here = minor_version(platform.python_version())
    if pythons and here not in pythons:
        yield facts.finding(
            *("versions", "warning", f"no worker has Python {here}, as this machine: {_places(pythons)}"),
            "Loops that begin here with lambdas or functions of scripts find no worker.",
        )
    for name, found in (
        ("R", _by_version(agents, lambda agent: minor_version(agent.r), "r")),
        ("pydoredis", _by_version(agents, lambda agent: agent.version)),
    ):
        if len(found) > 1:
            yield facts.finding(
                *("versions", "note", f"workers have different versions of {name}: {_places(found)}"),
                "Results may differ between them." if name == "R" else "Update them together.",
            )
    if len(pythons) <= 1 and (not pythons or here in pythons):
        same = ", ".join(f"Python {version}" for version in pythons) or "no Python jobs"
        yield facts.finding("versions", "ok", f"{counted(len(agents), 'agent')}: {same}")


def count(facts: QueueFacts) -> Findings:
    """Whether the worker count, which getDoParWorkers() shows, is right."""
    dead = facts.dead_agents
    ours = sum(agent.workers for agent in facts.now.agents)
    if dead:
        yield facts.finding(
            *("count", "warning", f"{counted(sum(dead.values()), 'worker')} of agents that died are counted"),
            "An agent or coordinator of ours on the queue corrects that within a minute; so does "
            "`pydoredis doctor --clean`.",
        )
        return
    of_r = facts.now.count - ours
    if of_r < 0:
        yield facts.finding(
            *("count", "warning", f"the count says {facts.now.count}, and agents here have {ours} workers"),
            "Somebody has set or removed the count. Restart the workers; nothing but getDoParWorkers() "
            "depends on it.",
        )
    elif of_r and facts.now.in_blpop is not None and facts.before.in_blpop is not None:
        seen = max(facts.before.in_blpop, facts.now.in_blpop) + _busy_elsewhere(facts.now)
        if of_r > seen:
            yield facts.finding(
                *("count", "warning", f"the count says {of_r} R workers, and at most {seen} are connected"),
                "The others were killed: R's workers are counted until they leave by themselves. "
                "getDoParWorkers() says too much, and nothing else depends on it.",
            )


def lapsed(facts: QueueFacts) -> Findings:
    """Tasks whose workers died."""
    again = {_name(task) for task in facts.before.tasks if task.state == "lapsed"}
    for task in facts.now.tasks:
        if task.state == "lapsed" and _name(task) in again:
            yield facts.finding(
                *("lapsed", "warning"),
                f"task {task.iter} of job {task.job} has lost its worker (process {task.pid} on {task.host})",
                "Its coordinator submits it again when it has had no result for `ftinterval`. If it is gone, "
                f"too: pydoredis remove-job {task.job}",
            )


def hoarded(facts: QueueFacts) -> Findings:
    """Tasks that wait in the hands of a busy worker, while others have nothing to do."""
    if not (facts.before.idle and facts.now.idle):
        return
    held_before = {_name(task) for task in facts.before.tasks if task.state == "running"}
    held: dict[tuple[str, int], list[TaskRow]] = defaultdict(list)
    for task in facts.now.tasks:
        if task.state == "running" and _name(task) in held_before:
            held[task.host, task.pid].append(task)
    for (host, pid), tasks in held.items():
        if len(tasks) > 1:
            yield facts.finding(
                *("hoarded", "warning"),
                f"{counted(len(tasks) - 1, 'task')} wait behind another in process {pid} on {host}, while "
                f"{counted(facts.now.idle, 'worker')} have nothing to do",
                "An agent of ours gives such tasks back. If this stays so, end its process with SIGTERM: "
                "then it does.",
            )


def stuck(facts: QueueFacts) -> Findings:
    """Tasks that nobody takes, and results that nobody fetches."""
    before = {job.job: job for job in facts.before.jobs}
    for job in facts.now.jobs:
        old = before.get(job.job)
        if old is None or job.state != "open":
            continue
        same = (job.queued, job.running, job.results) == (old.queued, old.running, old.results)
        if same and job.queued and not job.running and facts.before.idle and facts.now.idle:
            yield facts.finding(
                *("stuck", "warning"),
                f"{counted(job.queued, 'task')} of job {job.job} wait, while "
                f"{counted(facts.now.idle, 'worker')} have nothing to do",
                "No idle worker may be able to run them: see which Python and R the workers have "
                "(`pydoredis workers`), and what their logs say.",
            )
        elif same and job.results and not job.queued and not job.running:
            yield facts.finding(
                *("stuck", "warning"),
                f"nobody fetches {counted(job.results, 'result')} of job {job.job}",
                f"Its coordinator (process {job.id} on {job.host}) is busy, stopped or gone. If it is gone: "
                f"pydoredis remove-job {job.job}",
            )


def unreadable(facts: QueueFacts) -> Findings:
    """Messages that were set aside for a human."""
    if facts.unreadable:
        yield facts.finding(
            *("unreadable", "warning"),
            f"{counted(facts.unreadable, 'message')} that no worker can read are kept",
            "Somebody writes what is no task: the workers' logs have said what and when. They are in the "
            f"list {QueueKeys(facts.queue).dead}; DEL removes them.",
        )


CHECKS: Final[Sequence[Callable[[QueueFacts], Iterable[Finding]]]] = (
    *(open_for_workers, staff, versions, count, lapsed, hoarded, stuck, unreadable),
)


def _name(task: TaskRow) -> tuple[str, str, str, int, object]:
    return task.job, task.iter, task.host, task.pid, task.time


def _by_version(
    agents: Iterable[Presence], version: Callable[[Presence], str], codec: str = ""
) -> dict[str, list[str]]:
    """Hosts of agents that serve a codec, by a version of theirs."""
    found: dict[str, list[str]] = {}
    for agent in agents:
        if version(agent) and (not codec or codec in agent.codecs):
            found.setdefault(version(agent), []).append(agent.host)
    return dict(sorted(found.items()))


def _places(by_version: Mapping[str, Sequence[str]]) -> str:
    """`3.10 on a, b; 3.11 on c`, the first few hosts of each."""
    return "; ".join(
        f"{version} on {', '.join(sorted(set(hosts))[:3])}{' …' if len(set(hosts)) > 3 else ''}"
        for version, hosts in by_version.items()
    )


def _busy_elsewhere(look: Look) -> int:
    """How many workers that are not of our agents have tasks."""
    ours = {(agent.host, pid) for agent in look.agents for pid in agent.pids}
    return len({(task.host, task.pid) for task in look.tasks} - ours)
