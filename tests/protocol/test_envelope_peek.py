"""The beginning of a task tells whose it is, for every form that R writes, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.protocol.envelope_peek import HEAD_SIZE, job_of_head
from pydoredis.protocol.wire import decode_task
from rinterop import values

JOB = "349_root_host_2026-11-23-11:45:31.773"


def task(job: str, value: str = "x") -> values.RValue:
    iteration = values.named_list(x=values.character(value))
    return values.named_list(ID=values.character(job), argsList=values.named_list(**{"1": iteration}))


@pytest.mark.parametrize("version", [2, 3])
def test_tasks_in_xdr_form_tell_their_job(version: int) -> None:
    payload = rinterop.dumps(task(JOB), version=version)
    assert job_of_head(payload[:HEAD_SIZE]) == decode_task(payload).job == JOB


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_whatever_the_job_is_called(job: str) -> None:
    payload = rinterop.dumps(task(job))
    assert job_of_head(payload[:HEAD_SIZE]) == decode_task(payload).job


def test_the_id_of_another_job_among_the_arguments_means_nothing() -> None:
    assert job_of_head(rinterop.dumps(task("mine", JOB))[:HEAD_SIZE]) == "mine"


def test_a_head_that_ends_in_the_id_does_not_tell() -> None:
    assert job_of_head(rinterop.dumps(task(JOB))[:60]) is None


@given(st.binary(max_size=200))
def test_garbage_does_not_tell(head: bytes) -> None:
    assert job_of_head(head) is None


def test_another_order_of_fields_does_not_tell() -> None:
    message = values.named_list(argsList=values.named_list(**{"1": values.NULL}), ID=values.character(JOB))
    assert job_of_head(rinterop.dumps(message)) is None
