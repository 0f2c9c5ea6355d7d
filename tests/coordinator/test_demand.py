"""What a job tells of how far it is, and how often."""

from __future__ import annotations

import contextlib
from typing import cast

import redis

from pydoredis.coordinator.demand import INTERVAL_S, DemandNotes
from pydoredis.coordinator.ledger import Ledger
from pydoredis.coordinator.window import Window
from pydoredis.errors import JobCancelled
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.telemetry import MAX_TRAIL, Demand
from pydoredis.queue import Queue
from tests.conftest import wait_until


def send(ledger: Ledger, tasks: int, size: int = 1) -> None:
    for _ in range(tasks):
        ledger.submit(size, b"task", 0.0)


def said(value: bytes | None) -> Demand:
    assert value is not None
    return Demand.decode(value)


class TestWhen:
    def test_a_short_job_says_nothing_and_others_once_a_second(self) -> None:
        ledger = Ledger()
        notes = DemandNotes(ledger, Window(), 100)
        assert notes.due(None, 0, 1e9) is None, "it has not begun"
        send(ledger, 8)
        notes.begin(10.0)
        moments = [10.0 + 0.1 * step for step in range(35)]
        told = [now_s for now_s in moments if notes.due(None, 0, now_s) is not None]
        assert len(told) == 3
        assert told[0] >= 10.0 + INTERVAL_S

    def test_that_all_is_sent_is_said_at_once_and_once(self) -> None:
        ledger = Ledger()
        notes = DemandNotes(ledger, Window(), 10)
        send(ledger, 8)
        notes.begin(10.0)
        assert said(notes.due(None, 0, 11.0)).unsent == 2
        send(ledger, 2)
        assert said(notes.due(None, 0, 11.1)).unsent == 0
        assert notes.due(None, 0, 11.2) is None

    def test_of_a_source_without_a_length_it_says_what_it_knows(self) -> None:
        notes = DemandNotes(Ledger(), Window(), None)
        notes.begin(0.0)
        assert said(notes.due(None, 0, 1.0)).unsent is None
        assert said(notes.due(5, 0, 2.0)).unsent == 5


class TestWhat:
    def test_figures(self) -> None:
        ledger = Ledger()
        notes = DemandNotes(ledger, Window(chunk_size=5), 100)
        send(ledger, 8, size=5)
        notes.begin(0.0)
        ledger.deliver([1, 2, 3, 4, 5])
        demand = said(notes.due(None, 1, 1.0))
        assert (demand.submitted, demand.unsent, demand.total) == (40, 60, 100)
        assert (demand.done, demand.failed, demand.out, demand.unsent_tasks) == (5, 1, 7, 12)

    def test_it_remembers_when_what_was_sent_that_is_out(self) -> None:
        ledger = Ledger()
        notes = DemandNotes(ledger, Window(), None)
        send(ledger, 3)
        notes.begin(0.0)
        send(ledger, 2)
        demand = said(notes.due(None, 0, 2.0))
        assert demand.trail == ((3, 2.0), (5, 0.0))
        for number in (1, 2, 3):
            ledger.deliver([number])
        assert said(notes.due(None, 0, 4.0)).trail == ((5, 2.0),)

    def test_however_long_it_runs_it_says_no_more(self) -> None:
        ledger = Ledger()
        notes = DemandNotes(ledger, Window(), None)
        notes.begin(0.0)
        for second in range(1, 500):
            send(ledger, 1)
            demand = said(notes.due(None, 0, float(second)))
        assert len(demand.trail) <= MAX_TRAIL
        ages = [demand.waited_s(iteration) for iteration in (1, 250, 499)]
        assert all(age is not None for age in ages)
        assert ages == sorted(ages, key=lambda age: -(age or 0.0))


def test_a_job_without_workers_tells_what_it_has_not_sent(redis_url: str, redis_client: redis.Redis) -> None:
    """And nobody has to ask it: that is how a pool of nobody is known to be needed."""
    queue, keys = Queue("nobody", redis_url), QueueKeys("nobody")
    job = queue.foreach(i=range(1000)).submit(lambda i: i)
    name = keys.demand(job.id)
    wait_until(lambda: redis_client.exists(name), "the job says what it has not sent")
    demand = Demand.decode(cast("bytes", redis_client.get(name)))
    waiting = redis_client.llen(keys.queue)
    assert (demand.total, demand.done, demand.out, demand.failed) == (1000, 0, waiting, 0)
    assert demand.unsent == 1000 - demand.submitted
    assert (demand.waited_s(1) or 0.0) > 0.5
    assert 0 < int(redis_client.ttl(name)) <= 60
    job.cancel()
    with contextlib.suppress(JobCancelled):
        job.result()
    assert not redis_client.exists(name)
