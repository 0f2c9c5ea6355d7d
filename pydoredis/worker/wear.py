"""When an executor has served long enough: bodies leak memory, and leave things behind."""

from __future__ import annotations

from dataclasses import dataclass

from pydoredis.settings import WorkerSettings
from pydoredis.worker.executor_handle import ExecutorHandle


@dataclass(frozen=True, slots=True)
class Limits:
    """What an executor may have come to after a task before another takes its place; None for no limit.

    Attributes:
        tasks: How many tasks it has run.
        memory_mb: Resident memory in 10^6 bytes.
        age_s: Seconds since it was started.
    """

    tasks: int | None = None
    memory_mb: int | None = None
    age_s: float | None = None

    @classmethod
    def of(cls, settings: WorkerSettings) -> Limits:
        """Those that a worker was given."""
        return cls(settings.max_tasks, settings.max_memory_mb, settings.max_age_s)

    def room(self, child: ExecutorHandle) -> float:
        """How many more tasks it may be given."""
        return float("inf") if self.tasks is None else self.tasks - child.tasks_done - len(child.runs)

    def exceeded_by(self, child: ExecutorHandle, now_s: float) -> str | None:
        """Which limit an executor has reached, in words, if it has."""
        if self.tasks is not None and child.tasks_done >= self.tasks:
            return f"it has run {child.tasks_done} tasks"
        age_s = now_s - child.started_s
        if self.age_s is not None and age_s > self.age_s:
            return f"it is {age_s:.0f} s old"
        if self.memory_mb is not None:
            megabytes = child.process.memory_bytes() / 1e6
            if megabytes > self.memory_mb:
                return f"it has {megabytes:.0f} MB of memory"
        return None
