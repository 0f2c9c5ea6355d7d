"""Which buffers are in environments: every call gets what it was given, and little is sent twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pydoredis.futures.packing import Packed
from pydoredis.joblib.sharing import MOST_BESIDE_BYTES, Digests, Sharing


def test_the_first_buffers_are_in_the_first_environment_and_go_no_more() -> None:
    sharing = Sharing()
    data = (b"x", memoryview(bytes(1000)))
    first = sharing.plan([data])
    assert first.environment == [data[1]]
    assert first.places == [0]
    for _ in range(100):
        again = sharing.plan([data])
        assert again.environment is None
        assert again.places == [0]


def test_what_comes_once_travels_with_its_call() -> None:
    sharing = Sharing()
    sharing.plan([(b"x", memoryview(bytes(10)))])
    for number in range(100):
        chunk = memoryview(bytes([number] * 1000))
        plan = sharing.plan([(b"%d" % number, chunk)])
        assert plan.environment is None
        assert plan.places == [chunk]


def test_what_is_used_no_more_leaves_the_environment() -> None:
    sharing = Sharing()
    most = 0
    for number in range(200):
        chunk = (b"%d" % number, memoryview(bytes(1000)))
        for _ in range(3):
            sharing.plan([chunk])
        most = max(most, len(sharing.shared))
    assert most < 40  # not 200


def test_what_is_too_large_for_a_message_has_a_job_of_its_own() -> None:
    sharing = Sharing()
    small = (b"s", memoryview(bytes(10)))
    sharing.plan([small])
    large = (b"l", memoryview(bytearray(MOST_BESIDE_BYTES + 1)))
    plan = sharing.plan([small, large])
    assert not plan.is_lasting
    assert plan.environment == [small[1], large[1]]
    assert sharing.plan([small]).environment is None


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=80), st.lists(st.integers(1, 300), min_size=10)
)
def test_each_call_finds_its_buffers(calls: list[list[int]], sizes: list[int]) -> None:
    buffers = [memoryview(bytes([number]) * sizes[number]) for number in range(10)]
    sharing, sent = Sharing(), 0
    for numbers in calls:
        plan = sharing.plan([(b"%d" % number, buffers[number]) for number in numbers])
        if plan.environment is not None:
            sent += sum(map(len, plan.environment))
        shared = sharing.shared
        found = [shared[place] if isinstance(place, int) else place for place in plan.places]
        assert [bytes(one) for one in found] == [bytes(buffers[number]) for number in numbers]
        sent += sum(len(place) for place in plan.places if not isinstance(place, int))
    used = sum(sizes[number] for numbers in calls for number in set(numbers))
    assert sent <= 4 * used


def test_a_digest_is_that_of_the_content() -> None:
    digests = Digests()

    class Owner:
        pass

    data, owner = bytearray(b"1" * 100), Owner()
    view = memoryview(data)
    first = digests.of((1, 100), view, owner)
    data[0] = 0
    assert digests.of((1, 100), view, owner) == first, "the same object is the same data"
    assert digests.of((1, 100), view, Owner()) == Packed(b"", [view]).digest() != first
    assert digests.of((1, 100), view, b"has no weak references") == Packed(b"", [view]).digest()
