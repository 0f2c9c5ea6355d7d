"""What is signed can be opened by who knows the secret, and nothing else can."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.errors import ConfigError
from pydoredis.protocol import parts
from pydoredis.protocol.signatures import (
    MAX_AGE_S,
    JobSigner,
    SignatureError,
    Signatures,
    content_of,
    digest,
)
from pydoredis.settings import secret

OLD, NEW, OTHER = b"old secret of ours", b"new secret of ours", b"somebody else's one"
JOBS = st.text(max_size=40)
NUMBERS = st.lists(st.integers(-(2**31), 2**31), max_size=5)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1.7e9

    def __call__(self) -> float:
        return self.now_s


def signatures(*keys: bytes) -> Signatures:
    return Signatures(keys, Clock())


@given(JOBS, NUMBERS, st.binary(), st.binary())
def test_there_and_back(job: str, numbers: list[int], environment: bytes, pickled: bytes) -> None:
    ours = signatures(OLD)
    task = ours.task(job, numbers, environment, pickled)
    assert ours.open_task(job, numbers, environment, task) == content_of(task) == pickled
    result = ours.result(job, numbers, pickled)
    assert ours.open_result(job, numbers, result) == content_of(result) == pickled
    with pytest.raises(SignatureError):
        ours.open_result(job, numbers, task)
    with pytest.raises(SignatureError):
        ours.open_task(job, numbers, b"", result)


@given(st.data(), st.binary(max_size=20))
def test_a_changed_bit_is_noticed(data: st.DataObject, pickled: bytes) -> None:
    ours = signatures(OLD)
    task = bytearray(ours.task("job", [1, 2], b"environment", pickled))
    at = data.draw(st.integers(0, 8 * len(task) - 1))
    task[at // 8] ^= 1 << at % 8
    with pytest.raises(SignatureError):
        ours.open_task("job", [1, 2], b"environment", bytes(task))


@given(st.integers(0, 200))
def test_a_part_is_not_enough(size: int) -> None:
    ours = signatures(OLD)
    task = ours.task("job", [1], b"environment", b"arguments" * 10)
    if size < len(task):
        with pytest.raises(SignatureError):
            ours.open_task("job", [1], b"environment", task[:size])


@given(JOBS, NUMBERS, st.binary(), JOBS, NUMBERS, st.binary())
def test_it_belongs_to_one_job_and_task(
    job: str, numbers: list[int], environment: bytes, job_: str, numbers_: list[int], environment_: bytes
) -> None:
    ours = signatures(OLD)
    task = ours.task(job, numbers, environment, b"")
    if (job, numbers, environment) != (job_, numbers_, environment_):
        with pytest.raises(SignatureError):
            ours.open_task(job_, numbers_, environment_, task)


def test_replaced_without_a_break() -> None:
    steps = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for before, after in itertools.pairwise(steps):
        for signer, reader in ((before, after), (after, before)):
            signed = signatures(*signer).result("job", [1], b"value")
            assert signatures(*reader).open_result("job", [1], signed) == b"value"
    with pytest.raises(SignatureError, match="not signed with this secret"):
        signatures(NEW).open_result("job", [1], signatures(OLD).result("job", [1], b"value"))
    with pytest.raises(SignatureError, match="not signed"):
        signatures(NEW).open_result("job", [1], b"\x80value")


def test_old_tasks_are_refused() -> None:
    clock = Clock()
    ours = Signatures([OLD], clock)
    task = ours.task("job", [1], b"", b"arguments")
    clock.now_s += MAX_AGE_S
    assert ours.open_task("job", [1], b"", task) == b"arguments"
    clock.now_s += 1
    with pytest.raises(SignatureError, match="604,801 s ago"):
        ours.open_task("job", [1], b"", task)


@pytest.mark.parametrize("sizes", [[], [1 << 20], [1 << 20, 3], [40 << 20, (30 << 20) + 1]])
def test_environments_as_workers_have_them(sizes: list[int]) -> None:
    """The digest of what was sent, in pieces or not, is that of what the agent puts together."""
    message = parts.message(b"stream of R", [memoryview(bytes([size % 251]) * size) for size in sizes])
    whole = bytearray(b"".join(parts.assembled(message)))
    stream, buffers = parts.split(memoryview(whole))
    assert bytes(stream) == b"stream of R"
    assert [bytes(buffer) for buffer in buffers] == [bytes([size % 251]) * size for size in sizes]
    if not message.name:
        assert bytes(whole) == message.value
    signer = JobSigner(signatures(OLD))
    signer.bind(message)
    task = signer.task("job", [1], b"arguments")
    assert signatures(OLD).open_task("job", [1], digest([memoryview(whole)]), task) == b"arguments"


class TestSettings:
    def test_none(self) -> None:
        assert secret.signatures({}) is None
        assert secret.signatures({"PYDOREDIS_SECRET": ""}) is None

    def test_several(self, tmp_path: Path) -> None:
        both = "first secret here".replace(" ", "-"), "second-secret-here"
        file = tmp_path / "secret"
        file.write_text("\n".join(both) + "\n")
        signed = Signatures([both[0].encode()], Clock()).result("j", [1], b"x")
        for environ in ({"PYDOREDIS_SECRET": " ".join(both)}, {"PYDOREDIS_SECRET_FILE": str(file)}):
            found = secret.signatures(environ)
            assert found is not None
            assert found.open_result("j", [1], signed) == b"x"

    @pytest.mark.parametrize(
        "environ",
        [
            {"PYDOREDIS_SECRET": "tooshort"},
            {"PYDOREDIS_SECRET": "long-enough-to-be-one tooshort"},
            {"PYDOREDIS_SECRET_FILE": "/nowhere/secret"},
            {"PYDOREDIS_SECRET_FILE": "/dev/null"},
            {"PYDOREDIS_SECRET": "long-enough-to-be-one", "PYDOREDIS_SECRET_MAX_AGE": "0"},
            {"PYDOREDIS_SECRET": "long-enough-to-be-one", "PYDOREDIS_SECRET_MAX_AGE": "a day"},
        ],
    )
    def test_refused(self, environ: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="secret") as caught:
            secret.signatures(environ)
        assert "tooshort" not in str(caught.value), "no secret is shown"
