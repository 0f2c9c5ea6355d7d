"""What agents and coordinators say of what they do: written, read, and never believed blindly."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.telemetry import (
    BOUNDS_S,
    Activity,
    Counters,
    Demand,
    ExecutorState,
    Histogram,
    Stopwatch,
    Warned,
)

counts = st.integers(0, 2**40)
seconds = st.floats(0, 1e6)
words = st.text(st.characters(codec="utf-8"), max_size=20)
histograms = st.builds(
    Histogram, st.lists(counts, min_size=len(BOUNDS_S) + 1, max_size=len(BOUNDS_S) + 1).map(tuple), seconds
)
activities = st.builds(
    Activity,
    up_s=seconds,
    resident_bytes=counts,
    counters=st.builds(Counters, counts, counts, counts, counts, counts, histograms, histograms),
    executors=st.lists(
        st.builds(ExecutorState, counts, words, counts, words, words, counts, counts, seconds, st.booleans()),
        max_size=3,
    ).map(tuple),
    warnings=st.lists(st.builds(Warned, seconds, words), max_size=3).map(tuple),
)
demands = st.builds(
    Demand,
    submitted=counts,
    unsent=st.none() | counts,
    total=st.none() | counts,
    done=counts,
    failed=counts,
    out=counts,
    chunk_size=counts,
    rate=seconds,
    trail=st.lists(st.tuples(counts, seconds), max_size=3).map(tuple),
)


@given(activities)
def test_what_an_agent_writes_is_read(activity: Activity) -> None:
    assert Activity.decode(activity.encode()) == activity


@given(demands)
def test_what_a_coordinator_writes_is_read(demand: Demand) -> None:
    assert Demand.decode(demand.encode()) == demand


@pytest.mark.parametrize("kind", [Activity, Demand])
@given(st.data())
def test_anything_else_is_an_error_of_ours(kind: type[Activity] | type[Demand], data: st.DataObject) -> None:
    """Any bytes, any JSON, and what is right but for one field."""
    right = Activity(1.0).encode() if kind is Activity else Demand(1, None, None, 0).encode()
    values = st.none() | st.integers() | words | st.lists(st.integers(), max_size=2) | st.floats()
    wrong = {**json.loads(right), data.draw(st.sampled_from(sorted(json.loads(right)))): data.draw(values)}
    value = data.draw(st.binary(max_size=20) | values.map(json.dumps).map(str.encode)
                      | st.just(json.dumps(wrong).encode()))  # fmt: skip
    try:
        kind.decode(value)
    except RemoteProtocolError:
        return
    assert value == json.dumps(wrong).encode()


def test_fields_of_later_versions_are_passed_over() -> None:
    said = json.loads(Activity(1.0).encode())
    said["later"] = said["counters"]["later"] = 1
    assert Activity.decode(json.dumps(said).encode()) == Activity(1.0)


@given(st.lists(seconds))
def test_buckets_hold_what_took_no_longer_than_their_bound(noted: list[float]) -> None:
    watch = Stopwatch()
    for each in [*BOUNDS_S, *noted]:
        watch.note(each)
    found = watch.histogram()
    assert found.count == len(BOUNDS_S) + len(noted)
    assert found.sum_s == pytest.approx(sum(BOUNDS_S) + sum(noted))
    for bound, count in found.cumulative:
        assert count == sum(each <= bound for each in [*BOUNDS_S, *noted])
    assert found.cumulative[-1] == (math.inf, found.count)


def test_histograms_and_counters_add_up() -> None:
    watch = Stopwatch()
    watch.note(0.5)
    one = Counters(1, 10, 2, 3, 4, watch.histogram(), Histogram())
    two = one + one
    assert (two.done, two.iterations, two.crashed, two.timed_out, two.given_back) == (2, 20, 4, 6, 8)
    assert (two.run.count, two.run.sum_s, two.wait.count) == (2, 1.0, 0)


def test_since_when_an_iteration_waits() -> None:
    demand = Demand(30, 5, 35, 0, chunk_size=2, trail=((8, 60.0), (20, 12.0), (30, 3.0)))
    assert [demand.waited_s(n) for n in (1, 8, 9, 20, 21, 30)] == [60.0, 60.0, 12.0, 12.0, 3.0, 3.0]
    assert demand.waited_s(31) is None, "it was sent since"
    assert Demand(30, 5, 35, 0).waited_s(1) is None
    assert (demand.unsent_tasks, Demand(1, None, None, 0).unsent_tasks) == (3, 0)
