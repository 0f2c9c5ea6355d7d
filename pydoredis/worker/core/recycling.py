"""When an executor has served long enough: bodies leak memory, and leave things behind."""

from __future__ import annotations

from dataclasses import dataclass

from pydoredis.settings import WorkerSettings


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

    def room(self, tasks: int) -> bool:
        """Whether an executor that was given so many tasks may be given one more."""
        return self.tasks is None or tasks < self.tasks

    def exceeded(self, tasks_done: int, age_s: float) -> str | None:
        """Which limit an executor has reached, in words, if it has; memory apart."""
        if self.tasks is not None and tasks_done >= self.tasks:
            return f"it has run {tasks_done} tasks"
        if self.age_s is not None and age_s > self.age_s:
            return f"it is {age_s:.0f} s old"
        return None

    def exceeded_by_memory(self, resident_bytes: int) -> str | None:
        """The same for memory."""
        megabytes = resident_bytes / 1e6
        if self.memory_mb is not None and megabytes > self.memory_mb:
            return f"it has {megabytes:.0f} MB of memory"
        return None
