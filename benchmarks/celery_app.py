"""The Celery application that `benchmarks.python_jobs` measures; workers import it, too."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.python_systems import same

_url = os.environ["BENCHMARK_URL"]

app = Celery("benchmark", broker=_url, backend=_url)
app.conf.update(
    worker_prefetch_multiplier=64,  # tasks are short: take many at a time
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    task_send_sent_event=False,
    task_store_errors_even_if_ignored=False,
    broker_transport_options={"visibility_timeout": 3600},
)
task = app.task(same, name="benchmark.same")
