"""Large buffers behind a message: they come back as they went, and damage is an error."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rinterop
from pydoredis.errors import RemoteProtocolError
from pydoredis.pickles import dump_apart
from pydoredis.protocol import parts, wire
from pydoredis.protocol.python import Program, PythonCodec

PARTS = st.lists(st.binary(max_size=300), min_size=1, max_size=5)


@given(st.binary(max_size=200), PARTS)
def test_they_come_back(stream: bytes, buffers: list[bytes]) -> None:
    message = parts.join(stream, [memoryview(buffer) for buffer in buffers])
    assert message.startswith(stream)
    found, views = parts.split(memoryview(message))
    assert (bytes(found), [*map(bytes, views)]) == (stream, buffers)


@given(st.binary(max_size=200))
def test_a_message_without_parts_is_the_stream(stream: bytes) -> None:
    assert parts.join(stream, []) == stream
    found, views = parts.split(memoryview(stream))
    assert (bytes(found), views) == (stream, [])


@given(st.binary(max_size=50), PARTS, st.data())
def test_damage_is_an_error_or_another_message(
    stream: bytes, buffers: list[bytes], data: st.DataObject
) -> None:
    message = bytearray(parts.join(stream, [memoryview(buffer) for buffer in buffers]))
    place = data.draw(st.integers(0, len(message) - 1))
    message[place] ^= data.draw(st.integers(1, 255))
    cut = message[data.draw(st.integers(0, 3)) :]
    try:
        found, views = parts.split(memoryview(cut))
    except RemoteProtocolError:
        return
    assert sum(map(len, views)) <= len(cut) * len(views)
    assert len(found) <= len(cut)


def test_large_buffers_go_apart() -> None:
    large, small, every_other = np.arange(parts.LEAST_BYTES // 8), np.arange(10), np.arange(60)[::2]
    pickled, buffers = dump_apart([large, small, every_other], parts.LEAST_BYTES)
    assert [buffer.nbytes for buffer in buffers] == [large.nbytes]
    assert len(pickled) < 2000
    for got, sent in zip(pickle.loads(pickled, buffers=buffers), [large, small, every_other], strict=True):
        np.testing.assert_array_equal(got, sent)


@given(st.binary(max_size=100), PARTS)
def test_parts_are_aligned(stream: bytes, buffers: list[bytes]) -> None:
    message = memoryview(parts.join(stream, [memoryview(buffer) for buffer in buffers]))
    for view in parts.split(message)[1]:
        if view:
            begin = np.frombuffer(view, np.uint8).ctypes.data - np.frombuffer(message, np.uint8).ctypes.data
            assert begin % 64 == 0


def _large_environment() -> bytes:
    x = np.arange(parts.LEAST_BYTES, dtype=float)
    return PythonCodec(Program(lambda: x)).encode_environment()


def test_an_agent_reads_an_environment_with_parts() -> None:
    message = _large_environment()
    stream, views = parts.split(memoryview(message))
    assert len(stream) < 100_000
    assert len(views) == 1
    assert wire.decode_environment(message).codec == "cloudpickle"
    assert rinterop.loads(stream) == rinterop.loads(message)


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no R")
def test_r_reads_the_message_and_ignores_the_parts(tmp_path: Path) -> None:
    file = tmp_path / "environment"
    file.write_bytes(_large_environment())
    program = f'cat(unserialize(readBin("{file}", "raw", file.size("{file}")))$codec)'
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True)
    assert done.stdout == "cloudpickle"
