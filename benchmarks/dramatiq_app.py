"""The Dramatiq broker and actor that `benchmarks.python_jobs` measures; workers import them, too."""

from __future__ import annotations

import os

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.python_systems import same

# redis-py ends a command that blocks for longer than its time limit for answers.
_client = redis.Redis.from_url(os.environ["BENCHMARK_URL"], socket_timeout=None)

broker = RedisBroker(client=_client)
broker.add_middleware(Results(backend=RedisBackend(client=_client)))
dramatiq.set_broker(broker)
task = dramatiq.actor(same, broker=broker, store_results=True)
