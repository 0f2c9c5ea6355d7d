"""R's doRedis work queues from Python: `import pydoredis as dr`.

    with dr.local(4):
        squares = dr.foreach(x=range(10)).dopar(lambda x: x * x)

Names are imported when they are first used: a worker needs none of what a coordinator needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pydoredis._version import __version__

if TYPE_CHECKING:
    from pydoredis.admin import jobs, remove_job, remove_queue, tasks, workers
    from pydoredis.coordinator.job import Job
    from pydoredis.errors import (
        CallNotPicklable,
        ConfigError,
        DoRedisError,
        EvaluatorError,
        JobCancelled,
        JobTimeout,
        LocalProtocolError,
        NoWorkers,
        ProtocolError,
        RemoteError,
        RemoteProtocolError,
        ResultNotPicklable,
        StoreFull,
        StoreUnavailable,
        TaskError,
        TaskTimeout,
        UnknownJob,
        WorkerCrashed,
    )
    from pydoredis.futures.executor import Executor
    from pydoredis.iteration.log import logger
    from pydoredis.iteration.streams import rng
    from pydoredis.loops.bodies import rexpr
    from pydoredis.loops.foreach import Foreach
    from pydoredis.loops.iterators import cells, chunks, columns, icount, idiv, rows
    from pydoredis.loops.options import (
        options,
        set_chunk_size,
        set_export,
        set_ftinterval,
        set_packages,
        set_progress,
    )
    from pydoredis.loops.signature import foreach
    from pydoredis.pool import LocalWorkers
    from pydoredis.queue import Queue, local, register, start_local_workers
    from pydoredis.shared_values import redis_delete, redis_get, redis_set

_MODULES = {
    "admin": ("jobs", "remove_job", "remove_queue", "tasks", "workers"),
    "loops.bodies": ("rexpr",),
    "futures.executor": ("Executor",),
    "iteration.log": ("logger",),
    "coordinator.job": ("Job",),
    "errors": (
        *("CallNotPicklable", "ConfigError", "DoRedisError", "EvaluatorError"),
        *("JobCancelled", "JobTimeout", "LocalProtocolError", "NoWorkers", "ResultNotPicklable"),
        *("ProtocolError", "RemoteError", "RemoteProtocolError", "StoreFull", "StoreUnavailable"),
        *("TaskError", "TaskTimeout", "UnknownJob", "WorkerCrashed"),
    ),
    "loops.foreach": ("Foreach",),
    "loops.iterators": ("cells", "chunks", "columns", "icount", "idiv", "rows"),
    "loops.options": (
        *("options", "set_chunk_size", "set_export", "set_ftinterval", "set_packages", "set_progress"),
    ),
    "pool": ("LocalWorkers",),
    "queue": ("Queue", "local", "register", "start_local_workers"),
    "shared_values": ("redis_delete", "redis_get", "redis_set"),
    "loops.signature": ("foreach",),
    "iteration.streams": ("rng",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "CallNotPicklable",
    "ConfigError",
    "DoRedisError",
    "EvaluatorError",
    "Executor",
    "Foreach",
    "Job",
    "JobCancelled",
    "JobTimeout",
    "LocalProtocolError",
    "LocalWorkers",
    "NoWorkers",
    "ProtocolError",
    "Queue",
    "RemoteError",
    "RemoteProtocolError",
    "ResultNotPicklable",
    "StoreFull",
    "StoreUnavailable",
    "TaskError",
    "TaskTimeout",
    "UnknownJob",
    "WorkerCrashed",
    "__version__",
    "cells",
    "chunks",
    "columns",
    "foreach",
    "icount",
    "idiv",
    "jobs",
    "local",
    "logger",
    "options",
    "redis_delete",
    "redis_get",
    "redis_set",
    "register",
    "remove_job",
    "remove_queue",
    "rexpr",
    "rng",
    "rows",
    "set_chunk_size",
    "set_export",
    "set_ftinterval",
    "set_packages",
    "set_progress",
    "start_local_workers",
    "tasks",
    "workers",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'pydoredis' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pydoredis.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
