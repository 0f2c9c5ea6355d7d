"""The agent's decisions, without a client, a clock, a pipe or a process: events in, instructions out."""

from pydoredis.worker.core.worker_core import WorkerCore

__all__ = ["WorkerCore"]
