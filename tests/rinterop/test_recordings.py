"""What R wrote: read, compared with R's own description, checked, and written back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

import rinterop
from rinterop import values as v
from rinterop.serialize import outline, read_header, walk
from tests.rinterop.expected import Comparison
from tests.rinterop.recordings import Recording, every_recording, golden, recordings


def is_mapped_file(recording: Recording) -> bool:
    return recording.name == "alt_mmap" and recording.version == 3


def check_description(recording: Recording) -> None:
    """Compare with R's description, if there is one."""
    if recording.expected is None:
        return
    if recording.name == "dbl_extreme" and recording.form == "ascii":
        return  # the largest double, rounded up to 16 digits, is infinite for R, too
    value = rinterop.loads(recording.read(), mmap="keep")
    Comparison(exact=recording.form != "ascii").check(value, recording.expected)


def check_bytes(recording: Recording) -> None:
    """Write it back; check it without building it."""
    data = recording.read()
    value = rinterop.loads(data, mmap="keep")
    written = rinterop.dumps(value, header=read_header(data)) if recording.form == "xdr" else None
    assert written in (data, None)
    assert value == rinterop.loads(data, mmap="keep")
    assert len(repr(value)) < 5000
    if is_mapped_file(recording):
        with pytest.raises(rinterop.DecodeError, match="file on the writer's disk"):
            walk(data)
        return
    walk(data)
    if not recording.form.startswith("ascii"):
        shape = outline(data)
        assert shape.end == len(data)
        if isinstance(value, v.List) and not isinstance(value, v.Expression):
            names = v.names(value)
            assert shape.names == (names and tuple(name if isinstance(name, str) else "" for name in names))


@pytest.mark.parametrize("recording", every_recording(), ids=str)
def test_is_what_r_says(recording: Recording) -> None:
    check_description(recording)


@pytest.mark.parametrize("recording", every_recording(), ids=str)
def test_is_written_back_byte_for_byte_and_passes_the_walk(recording: Recording) -> None:
    check_bytes(recording)


@pytest.mark.parametrize("name", sorted({one.name for one in recordings() if one.form == "native-le"}))
def test_forms_agree(name: str) -> None:
    found = {
        (one.version, one.form): rinterop.loads(one.read())
        for one in recordings()
        if one.name == name and one.form != "ascii" and one.version == 3
    }
    first = found[3, "xdr"]
    if name not in ("chr_mixed_enc", "bc_simple"):  # ascii and native streams were written after others
        assert all(other == first for other in found.values())


@pytest.mark.skipif(not golden(), reason="PYDOREDIS_GOLDEN does not name the directory of the whole corpus")
@pytest.mark.parametrize("folder", golden(), ids=lambda folder: folder.name)
def test_whole_corpus(folder: Path) -> None:
    corpus = recordings(folder)
    assert len(corpus) == 1591
    for recording in corpus:
        check_description(recording)
        check_bytes(recording)


def test_a_list_in_a_wrapper_of_r_4_6() -> None:
    (one,) = (each for each in every_recording() if str(each) == "rser-4.6-alt_wrap_list.3x")
    assert isinstance(v.plain(rinterop.loads(one.read())), v.List)
