"""Keys are told apart rightly, whatever queues, users and machines are called, and whoever else has keys."""

from __future__ import annotations

import inspect
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoredis.protocol.families import Mark, in_pattern, names_job, side_keys, sort_keys
from pydoredis.protocol.keys import SIDE_KINDS, JobId, QueueKeys, TaskTag, parse_begin

STAMP = "2026-11-23-11:45:31.773"
JOB = f"349_root_host_{STAMP}"
TAG = "iters 4...6 host w1.example.org pid 12 begin 2026-11-23-11:45:32"

# As R writes them: nothing is encoded, so underscores and dots stand as they are.
WORDS = st.sampled_from(
    ["a", "b_c", "a.b", "jobs", "jobs.env", "out", "x.start", "größe", "svc_batch", "node-1.lan"]
)
JOBS = st.builds(lambda pid, user, host: f"{pid}_{user}_{host}_{STAMP}", st.integers(1, 99), WORDS, WORDS)
TAGS = st.builds(lambda host: str(TaskTag(1, 2, host, 3, "2026-11-23-11:45:32")), WORDS)


@settings(max_examples=500)
@given(st.sets(WORDS, min_size=1, max_size=4), JOBS, TAGS)
def test_each_open_queue_gets_its_own_keys(queues: set[str], job: str, tag: str) -> None:
    expected = {}
    for queue in queues:
        keys = QueueKeys(queue)
        mark = (job, tag)
        expected[queue] = {
            *(keys.live, keys.count, keys.env(job), keys.out(job), keys.start(*mark), keys.alive(*mark))
        }
    families = sort_keys(name for names in expected.values() for name in names)
    assert {queue: set(family.names) for queue, family in families.items()} == expected
    for family in families.values():
        assert family.live
        assert family.counted
        assert family.env == family.out == {job}
        assert family.start == family.alive == {Mark(job, tag)}


def test_a_removed_queue_is_known_by_the_form_of_what_follows() -> None:
    families = sort_keys([f"a.b_c.env.{JOB}", f"a.out.{JOB}", f"a.b.start.{JOB}.{TAG}"])
    assert families["a.b_c"].env == {JOB}
    assert families["a"].out == {JOB}
    assert families["a.b"].start == {Mark(JOB, TAG)}
    assert set(families) == {"a", "a.b", "a.b_c"}


def test_a_user_who_is_called_like_a_key() -> None:
    job = f"1_x.env.2_y_h_{STAMP}"
    assert set(sort_keys(["q.live", f"q.env.{job}"])) == {"q"}


def test_keys_of_malformed_tasks_belong_to_their_queue() -> None:
    names = ["q.start..iters 1...1 host h pid 2 begin now", f"q.start.{JOB}.", "q.out.alien"]
    family = sort_keys(names)["q"]
    assert family.names == names
    assert family.start == {Mark("", "iters 1...1 host h pid 2 begin now"), Mark(JOB, "")}
    assert family.out == {"alien"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "q",
        ".live",
        "q.env",
        "q.environment.x",
        "q.env.settings.for.production",
        f"q.start.{JOB}",
        f"q.alive.{JOB}.yes",
        f".env.{JOB}",
    ],
)
def test_other_keys_belong_to_nobody(name: str) -> None:
    assert sort_keys([name]) == {}


def test_every_side_key_is_recognized() -> None:
    """A kind of side key that is not in `SIDE_KINDS` would be left behind when its queue is removed."""
    keys = QueueKeys("a", depth=1)
    found = []
    for name, member in inspect.getmembers(QueueKeys):
        if name.startswith("_") or name in ("queue", "depth", "at_depth", "depths", "side_prefix"):
            continue
        if isinstance(member, property):
            found.append(getattr(keys, name))
        else:
            found.append(member(keys, *["x"] * (len(inspect.signature(member).parameters) - 1)))
    ours = [key for key in found if key.startswith("pydoredis:")]
    assert {key.removeprefix(keys.side_prefix).partition(":")[0] for key in ours} == SIDE_KINDS
    assert side_keys(keys, found) == ours


def test_side_keys_of_a_queue_with_a_hash_tag_are_not_those_of_its_namesake() -> None:
    other = QueueKeys("{a}:b")
    assert side_keys(QueueKeys("a"), [other.crashes, other.published(JOB)]) == []


def test_a_job_is_named_by_its_process_but_not_by_part_of_a_number() -> None:
    assert names_job("349", JOB)
    assert names_job("349_ro", JOB)
    assert names_job(JOB, JOB)
    assert not names_job("34", JOB)
    assert not names_job("", JOB)


def test_pattern_characters_are_escaped() -> None:
    assert in_pattern("a*b[c]?\\") == r"a\*b\[c\]\?\\"


def test_the_begin_of_a_tag_is_read_with_and_without_a_fraction() -> None:
    assert parse_begin("2026-11-23-11:45:31") == datetime(2026, 11, 23, 11, 45, 31)
    assert parse_begin("2026-11-23-11:45:31.25") == datetime(2026, 11, 23, 11, 45, 31, 250000)
    assert parse_begin("now") is None


def test_ids_of_ours_are_told_apart_too() -> None:
    job = str(JobId(5, "svc_batch", "host one", datetime(2026, 11, 23)))
    assert sort_keys([f"q.env.{job}"])["q"].env == {job}
