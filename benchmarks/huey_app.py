"""The huey application that `benchmarks.python_jobs` measures; its consumer imports it, too."""

from __future__ import annotations

import os

import redis
from huey import RedisHuey

from benchmarks.python_systems import same

app = RedisHuey(
    "benchmark",
    # redis-py ends a command that blocks for longer than its time limit for answers.
    connection_pool=redis.ConnectionPool.from_url(os.environ["BENCHMARK_URL"], socket_timeout=None),
    notify_result=True,  # whoever waits for a result is told of it, and need not look again and again
)
task = app.task()(same)
