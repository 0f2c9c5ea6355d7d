"""The settings of a worker, each declared once: to add one, add a field.

The option of `pydoredis worker`, the environment variable, the key in the file, the help and the table in
`docs/settings.md` are made from what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydoredis.protocol.keys import MAX_DEPTH
from pydoredis.settings.parsers import (
    count,
    count_or_unlimited,
    file,
    not_negative,
    one_of,
    positive,
    positive_or_unlimited,
    queue_names,
    up_to,
    whole_or_none,
)
from pydoredis.settings.processors import cpu_count
from pydoredis.settings.setting import declare, settings_of

Codec = Literal["auto", "r", "cloudpickle"]
REngine = Literal["auto", "rpy2", "rscript"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, kw_only=True)
class WorkerTable:
    """The fields of `WorkerSettings`. Durations are seconds; None is no limit where it says no more."""

    queues: tuple[str, ...] = field(
        metadata=declare(
            queue_names,
            str,
            "NAME",
            "Queue to serve: the name given to registerDoRedis() or register(). Once for each; a later one "
            "is served while all earlier ones are empty.",
            default="none: at least one is needed",
            details="In the variable with commas between, in the file a list.",
            short="-q",
            word="queue",
            several=True,
        )
    )
    codec: Codec = field(
        default="auto",
        metadata=declare(
            one_of(*get_args(Codec)),
            str,
            "auto|r|cloudpickle",
            "Which jobs to serve: those in R (r), those in Python (cloudpickle), or what this machine can "
            "run (auto).",
        ),
    )
    workers: int = field(
        default_factory=lambda: cpu_count(),
        metadata=declare(
            count,
            int,
            "N",
            "How many tasks to run at a time, each in a process.",
            default="one per processor",
            details="Processors are those that the worker may use.",
            short="-n",
        ),
    )
    iter: int | None = field(
        default=None,
        metadata=declare(count_or_unlimited, int, "N", "End after N tasks per worker process."),
    )
    linger_s: float = field(
        default=30.0,
        metadata=declare(
            positive,
            float,
            "SECONDS",
            "How long to wait for a task before looking whether the queue was removed.",
            details="More than 0.",
        ),
    )
    timelimit_s: float = field(
        default=0.0,
        metadata=declare(not_negative, float, "SECONDS", "Stop a task that runs longer; 0 for no limit."),
    )
    log: Path | None = field(
        default=None,
        metadata=declare(file, str, "FILE", "Append the log to FILE.", default="standard error"),
    )
    loglevel: LogLevel = field(
        default="INFO",
        metadata=declare(one_of(*get_args(LogLevel)), str, "DEBUG|INFO|WARNING|ERROR", "What to log."),
    )
    r_engine: REngine = field(
        default="auto",
        metadata=declare(
            one_of(*get_args(REngine)),
            str,
            "auto|rpy2|rscript",
            "How to run R: inside a Python process (rpy2, fast), as a child of its own (rscript, any R from "
            "3.5 on), or whichever of these works here (auto).",
        ),
    )
    max_crashes: int = field(
        default=3,
        metadata=declare(
            count,
            int,
            "N",
            "Give up an iteration that killed N worker processes, unless its job says otherwise.",
            details="It becomes an error.",
        ),
    )
    retry_pause_s: float = field(
        default=10.0,
        metadata=declare(
            not_negative,
            float,
            "SECONDS",
            "How long to wait before a task is tried again that killed two worker processes.",
            details="Workers of `dr.local` wait 0.5.",
        ),
    )
    max_tasks: int | None = field(
        default=None,
        metadata=declare(count_or_unlimited, int, "N", "Replace a worker process after N tasks."),
    )
    max_memory_mb: int | None = field(
        default=None,
        metadata=declare(
            count_or_unlimited,
            int,
            "MB",
            "Replace a worker process that has more memory than this after a task.",
            details="Resident memory, in 10⁶ bytes.",
        ),
    )
    max_age_s: float | None = field(
        default=None,
        metadata=declare(
            positive_or_unlimited,
            float,
            "SECONDS",
            "Replace a worker process that is older than this after a task.",
        ),
    )
    grace_s: float = field(
        default=30.0,
        metadata=declare(
            not_negative,
            float,
            "SECONDS",
            "At SIGTERM, how long to wait for running tasks before giving them back.",
        ),
    )
    nesting: int = field(
        default=4,
        metadata=declare(
            up_to(MAX_DEPTH),
            int,
            "N",
            "How deep loops inside of bodies may be; 0: bodies run none.",
            details=f"At most {MAX_DEPTH}. In place of a body that waits for a loop of its own another "
            "process is at work: up to N more for each worker.",
        ),
    )
    threads: int | None = field(
        default=None,
        metadata=declare(
            whole_or_none,
            int,
            "N",
            "How many threads libraries (BLAS, OpenMP, data.table, polars ...) may use in each worker "
            "process; 0 for as many as they like.",
            default="its share of the processors",
            details="The share is at least 1. Sets `OMP_NUM_THREADS` and its like, unless they are set: see "
            "[operations](operations.md#threads).",
        ),
    )

    def __post_init__(self) -> None:
        for setting in settings_of(type(self)):
            # Parsing what is already parsed changes nothing, and checks it.
            value = setting.parse(setting.key, getattr(self, setting.attribute), "")
            object.__setattr__(self, setting.attribute, value)
