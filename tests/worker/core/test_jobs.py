"""Which job environments an agent keeps."""

from __future__ import annotations

import pytest

from pydoredis.protocol.python import Program, PythonCodec
from pydoredis.worker.core import jobs
from pydoredis.worker.core.jobs import KEPT_JOBS, LoadedJobs
from tests.worker.core.scene import ENVIRONMENT


def other(i: int) -> int:
    return -i


OTHER = PythonCodec(Program(other)).encode_environment().value


def test_another_content_under_the_same_key_is_another_job() -> None:
    loaded = LoadedJobs()
    job = loaded.find("env", ENVIRONMENT)
    assert loaded.find("env", ENVIRONMENT) is job
    another = loaded.find("env", OTHER)
    assert another.number != job.number
    assert another.environment.payload == OTHER
    assert loaded.known("env") is another


def test_the_job_that_was_used_last_is_kept_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT_BYTES", 1)
    loaded = LoadedJobs()
    for key in ("env 1", "env 2"):
        job = loaded.find(key, ENVIRONMENT)
        assert loaded.known(key) is job
    assert loaded.known("env 1") is None


def test_of_many_jobs_those_that_were_not_used_for_longest_go() -> None:
    loaded = LoadedJobs()
    for n in range(KEPT_JOBS):
        loaded.find(f"env {n}", ENVIRONMENT)
    assert len(list(loaded)) == KEPT_JOBS
    loaded.find("env 0", ENVIRONMENT)
    loaded.find("another", ENVIRONMENT)
    assert [job.key for job in loaded] == [*(f"env {n}" for n in range(2, KEPT_JOBS)), "env 0", "another"]
