"""Names of keys: format and parse are inverse, whatever queues, users and machines are called."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from pydoredis.errors import ConfigError, RemoteProtocolError
from pydoredis.protocol.keys import JobId, QueueKeys, TaskTag, check_queue_name, format_begin, tag_host

NAMES = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("._ -%äß日"), min_size=1
)
HOSTS = NAMES.map(tag_host)
TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1)).map(
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)


@settings(max_examples=1000)
@given(st.integers(0, 2**31), NAMES, NAMES, TIMES)
def test_a_job_id_survives_the_wire(pid: int, user: str, host: str, time: datetime) -> None:
    job = JobId(pid, user, host, time)
    assert JobId.parse(str(job)) == job


@settings(max_examples=1000)
@given(st.integers(0, 2**31), NAMES, NAMES, TIMES)
def test_r_splits_our_job_ids_into_four(pid: int, user: str, host: str, time: datetime) -> None:
    text = str(JobId(pid, user, host, time))
    assert len(text.split("_")) == 4
    assert " " not in text


def test_a_job_id_written_by_r() -> None:
    text = "349_root_goldenhost_2026-11-23-11:45:31.773"
    job = JobId.parse(text)
    assert (job.pid, job.user, job.host) == (349, "root", "goldenhost")
    assert job.time == datetime(2026, 11, 23, 11, 45, 31, 773000)
    assert str(job) == text


def test_a_user_with_an_underscore_as_r_writes_it() -> None:
    job = JobId.parse("7_svc_batch_node.example.org_2026-11-23-11:45:31.773")
    assert (job.user, job.host) == ("svc_batch", "node.example.org")


@pytest.mark.parametrize(
    "text",
    ["", "1", "1_a_2026-11-23-11:45:31.773", "x_a_b_2026-11-23-11:45:31.773", "1_a_b_yesterday", "1_a_b_"],
)
def test_what_is_no_job_id_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        JobId.parse(text)


@settings(max_examples=1000)
@given(st.integers(1, 10**9), st.integers(0, 10**6), HOSTS, st.integers(1, 2**31), TIMES)
def test_a_task_tag_survives_the_wire(first: int, more: int, host: str, pid: int, time: datetime) -> None:
    tag = TaskTag(first, first + more, host, pid, format_begin(time))
    assert TaskTag.parse(str(tag)) == tag


def test_a_tag_written_by_a_new_r_has_a_fraction() -> None:
    tag = TaskTag.parse("iters 4...6 host node pid 12 begin 2026-11-23-11:45:31.77391")
    assert tag.begin == "2026-11-23-11:45:31.77391"


@pytest.mark.parametrize("text", ["", "iters 1..2 host a pid 1 begin x", "iters 1...2 host a begin x"])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        TaskTag.parse(text)


def test_keys_are_spelt_as_dorediss_are() -> None:
    keys = QueueKeys("RJOBS")
    job, tag = "1_u_h_2026-11-23-11:45:31.773", "iters 1...1 host h pid 2 begin 2026-11-23-11:45:31"
    assert keys.live == "RJOBS.live"
    assert keys.count == "RJOBS.count"
    assert keys.env(job) == f"RJOBS.env.{job}"
    assert keys.out(job) == f"RJOBS.out.{job}"
    assert keys.start(job, tag) == f"RJOBS.start.{job}.{tag}"
    assert keys.alive(job, tag) == f"RJOBS.alive.{job}.{tag}"


@given(NAMES.filter(lambda name: not set("*?[]\\^$+(){}|").intersection(name)))
def test_side_keys_are_out_of_reach_of_r_patterns(queue: str) -> None:
    keys = QueueKeys(check_queue_name(queue))
    sides = (keys.published("J"), keys.given("J", "T"), keys.crashes, keys.dead, keys.python)
    for side in sides:
        # R's patterns are anchored at the queue's name.
        assert side.startswith("pydoredis:{")
        assert side.split("{", 1)[1].split("}", 1)[0] == queue


@pytest.mark.parametrize("queue", ["{RJOBS}", "{RJOBS}.a", "a:{RJOBS}"])
def test_a_hash_tag_keeps_all_keys_in_one_slot(queue: str) -> None:
    keys = QueueKeys(check_queue_name(queue))
    for name in (keys.queue, keys.live, keys.env("J"), keys.dead, keys.published("J")):
        assert key_slot(name.encode()) == key_slot(b"RJOBS")


@pytest.mark.parametrize("queue", ["RJOBS", "a:b", "my jobs"])
def test_side_keys_are_in_the_slot_of_a_queue_without_braces(queue: str) -> None:
    assert key_slot(QueueKeys(queue).dead.encode()) == key_slot(queue.encode())


PIECES = st.lists(st.sampled_from(["a", "{a}", ":", "(", "dead", "py:", "}"]), min_size=1, max_size=5)


def allowed(name: str) -> bool:
    try:
        check_queue_name(name)
    except ConfigError:
        return False
    return True


@settings(max_examples=1000)
@given(*[PIECES.map("".join).filter(allowed)] * 2)
@example("a", "{a}")
@example("{a}", "{a}:b")
@example("{a}", "{a}:dead")
def test_no_side_key_belongs_to_two_queues(one: str, other: str) -> None:
    assume(one != other)
    assert not QueueKeys(one).dead.startswith(QueueKeys(other).side_prefix)


@pytest.mark.parametrize("name", ["RJOBS", "my jobs", "größe", "a.b_c", "日本", "q:1", "{RJOBS}", "x{y}z"])
def test_good_queue_names(name: str) -> None:
    assert check_queue_name(name) == name


@pytest.mark.parametrize("character", list("*?[]\\^$+()|"))
def test_queue_names_that_break_r_are_refused_with_the_reason(character: str) -> None:
    with pytest.raises(ConfigError, match="R coordinators lose results"):
        check_queue_name(f"q{character}1")


@pytest.mark.parametrize("name", ["", "a\0b", "{", "}", "{}", "{a}{b}", "a}b{c", "{a{b}"])
def test_other_bad_queue_names(name: str) -> None:
    with pytest.raises(ConfigError):
        check_queue_name(name)
