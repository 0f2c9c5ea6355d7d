"""How one worker machine behaves."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydoredis.errors import ConfigError
from pydoredis.settings.file import PREFIX, ConfigFile
from pydoredis.settings.parsers import (
    count,
    count_or_unlimited,
    file,
    not_negative,
    one_of,
    positive,
    positive_or_unlimited,
    queue_names,
    whole_or_none,
)

Codec = Literal["auto", "r", "cloudpickle"]
REngine = Literal["auto", "rpy2", "rscript"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How one worker machine behaves. Durations are seconds.

    Attributes:
        queues: Queues to serve, in this order of preference; at least one, none twice.
        codec: Which bodies to run: ``r``, ``cloudpickle``, or ``auto`` for whatever this machine can.
        workers: Number of executor processes.
        iter: Leave after so many tasks per worker; None for no limit.
        linger_s: How long to wait for a task before looking whether the queues still exist (R: `linger`).
        timelimit_s: Longest run of one task; 0 for no limit.
        log: File to append the log to; None for standard error.
        loglevel: Least severe level that is logged.
        r_engine: How to run R: ``rpy2`` (embedded), ``rscript`` (a child), or ``auto`` for the first of
            these that works.
        max_crashes: Give up an iteration after this many executor deaths, unless its job says otherwise.
        retry_pause_s: How long to wait before a task is tried again that killed two executors.
        max_tasks: So many tasks may an executor process run before it is replaced; None for any number.
        max_memory_mb: With more resident memory (10^6 bytes) after a task it is replaced; None: any amount.
        max_age_s: If it is older after a task it is replaced; None: any age.
        grace_s: How long a shutdown waits for running tasks before it gives them back.
        threads: How many threads libraries (BLAS, OpenMP, data.table, polars ...) may use in each executor; 0
            for as many as they like, None for the executor's share of the processors.

    Raises:
        ConfigError: If a value is not allowed.
    """

    queues: tuple[str, ...]
    codec: Codec = "auto"
    workers: int = field(default_factory=lambda: cpu_count())
    iter: int | None = None
    linger_s: float = 30.0
    timelimit_s: float = 0.0
    log: Path | None = None
    loglevel: LogLevel = "INFO"
    r_engine: REngine = "auto"
    max_crashes: int = 3
    retry_pause_s: float = 10.0
    max_tasks: int | None = None
    max_memory_mb: int | None = None
    max_age_s: float | None = None
    grace_s: float = 30.0
    threads: int | None = None

    @property
    def threads_each(self) -> int:
        """How many threads libraries may use in each executor; 0 for as many as they like."""
        return max(1, cpu_count() // self.workers) if self.threads is None else self.threads

    def __post_init__(self) -> None:
        for name, (attribute, parse) in _WORKER.items():
            # Parsing what is already parsed changes nothing, and checks it.
            object.__setattr__(self, attribute, parse(name, getattr(self, attribute), ""))

    @classmethod
    def load(
        cls,
        *,
        queues: Iterable[str] | None = None,
        codec: str | None = None,
        workers: int | None = None,
        iter: int | None = None,
        linger_s: float | None = None,
        timelimit_s: float | None = None,
        log: Path | str | None = None,
        loglevel: str | None = None,
        r_engine: str | None = None,
        max_crashes: int | None = None,
        retry_pause_s: float | None = None,
        max_tasks: int | None = None,
        max_memory_mb: int | None = None,
        max_age_s: float | None = None,
        grace_s: float | None = None,
        threads: int | None = None,
        environ: Mapping[str, str] | None = None,
        config: ConfigFile | None = None,
    ) -> WorkerSettings:
        """Take each setting from the first that has it: the argument (None and an empty list mean "not
        given"), the environment (``PYDOREDIS_QUEUE``, ``PYDOREDIS_WORKERS`` …), the file, the default.

        Args:
            environ: The environment; the process's own by default.
            config: The configuration file; by default the one that `ConfigFile.find` finds.

        Raises:
            ConfigError: If a value is not allowed, or no queue is named anywhere.
        """
        environ = os.environ if environ is None else environ
        config = ConfigFile.find(environ) if config is None else config
        arguments: dict[str, object] = {
            "queues": tuple(queues) or None if queues is not None else None,
            "codec": codec,
            "workers": workers,
            "iter": iter,
            "linger": linger_s,
            "timelimit": timelimit_s,
            "log": log,
            "loglevel": loglevel,
            "r_engine": r_engine,
            "max_crashes": max_crashes,
            "retry_pause": retry_pause_s,
            "max_tasks": max_tasks,
            "max_memory": max_memory_mb,
            "max_age": max_age_s,
            "grace": grace_s,
            "threads": threads,
        }
        chosen: dict[str, Any] = {}
        for name, (attribute, parse) in _WORKER.items():
            variable = environment_name(name)
            if arguments[name] is not None:
                chosen[attribute] = parse(name, arguments[name], "")
            elif environ.get(variable):
                chosen[attribute] = parse(name, environ[variable], variable)
            elif name in config.worker:
                chosen[attribute] = parse(name, config.worker[name], str(config.path))
        if "queues" not in chosen:
            raise ConfigError("queue", None, "named: --queue NAME, PYDOREDIS_QUEUE or queues = [...]")
        return cls(**chosen)


def environment_name(setting: str) -> str:
    """The environment variable of a worker's setting: ``PYDOREDIS_QUEUE`` for ``queues``."""
    return PREFIX + ("QUEUE" if setting == "queues" else setting.upper())


def cpu_count() -> int:
    """How many processors this process may use: its affinity, and a container's quota where one is set."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        # A container limited to 2 of 64 processors still sees 64; the limit stands in its cgroup (v2).
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            processors = min(processors, math.ceil(int(quota) / int(period)))
    return max(processors, 1)


_WORKER: Final[Mapping[str, tuple[str, Callable[[str, object, str], object]]]] = {
    "queues": ("queues", queue_names),
    "codec": ("codec", one_of(*get_args(Codec))),
    "workers": ("workers", count),
    "iter": ("iter", count_or_unlimited),
    "linger": ("linger_s", positive),
    "timelimit": ("timelimit_s", not_negative),
    "log": ("log", file),
    "loglevel": ("loglevel", one_of(*get_args(LogLevel))),
    "r_engine": ("r_engine", one_of(*get_args(REngine))),
    "max_crashes": ("max_crashes", count),
    "retry_pause": ("retry_pause_s", not_negative),
    "max_tasks": ("max_tasks", count_or_unlimited),
    "max_memory": ("max_memory_mb", count_or_unlimited),
    "max_age": ("max_age_s", positive_or_unlimited),
    "grace": ("grace_s", not_negative),
    "threads": ("threads", whole_or_none),
}
"""Each worker setting: its name in files, flags and the environment -> attribute, and parser."""
