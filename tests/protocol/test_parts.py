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
from pydoredis.pickles import Beside, dump_by_value
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
    beside = Beside(parts.LEAST_BYTES)
    pickled = dump_by_value([large, small, every_other], beside)
    buffers = beside.buffers
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
    return PythonCodec(Program(lambda: x)).encode_environment().value


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


# --- very large parts -------------------------------------------------------------------------------------


@given(st.binary(max_size=200), PARTS, st.integers(1, 40), st.integers(1, 70))
def test_pieces_make_the_same_message(stream: bytes, buffers: list[bytes], size: int, most: int) -> None:
    views = [memoryview(buffer) for buffer in buffers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PIECE_BYTES", size)
        message = parts.message(stream, views)
        pieces = [bytes(piece) for piece in message.pieces()]
        assert len(pieces) == message.count
        about = parts.apart(message.value)
        if about is None:
            assert sum(map(len, buffers)) < size
            assert (message, pieces) == (parts.Message(parts.join(stream, views)), [])
            return
        assert about.name == message.name
        assert message.size == len(message.value) + about.size
        assert all(len(piece) == size for piece in pieces[:-1])
        whole = bytearray(about.whole_size)
        whole[: len(about.stream)], whole[about.offset + about.size :] = about.stream, about.tail
        at = 0
        while at < about.size:
            number, first, count = about.place(at, most)
            read = pieces[number - 1][first : first + count]
            assert 0 < len(read) == count <= most
            whole[about.offset + at : about.offset + at + count] = read
            at += count
    found, back = parts.split(memoryview(bytes(whole)))
    assert (bytes(found), [*map(bytes, back)]) == (stream, buffers)


@given(st.binary(max_size=50), st.data())
def test_damage_to_what_tells_of_pieces(stream: bytes, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PIECE_BYTES", 10)
        value = bytearray(parts.message(stream, [memoryview(bytes(100))]).value)
        value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
        try:
            about = parts.apart(bytes(value[data.draw(st.integers(0, 3)) :]))
        except RemoteProtocolError:
            return
    assert about is None or len(about.stream) <= about.offset <= len(about.stream) + 64


def test_two_messages_have_pieces_of_different_names() -> None:
    buffer = memoryview(bytes(parts.PIECE_BYTES))
    assert parts.message(b"", [buffer]).name != parts.message(b"", [buffer]).name


def test_a_pickle_that_is_very_large_itself_goes_apart() -> None:
    text = "x" * parts.PIECE_BYTES
    message = PythonCodec(Program(lambda: text)).encode_environment()
    assert message.count == 2
    assert len(message.value) < 10_000
    about = wire.decode_environment(message.value)
    assert about.codec == "cloudpickle"
    assert about.needs_python, "there is code in it"
    assert about.size > parts.PIECE_BYTES
