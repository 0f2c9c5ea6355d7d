"""The recorder: what it keeps is what the R of this machine still writes, and nothing is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rinterop import record
from tests.rinterop.record import Recorder, manifest, names, without_writer
from tests.rinterop.recordings import DATA, FOLDERS, recordings


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as made:
        yield made


@pytest.mark.needs_r
def test_this_r_writes_what_was_recorded(recorder: Recorder) -> None:
    kept = recorder.folder()
    if not kept.is_dir():
        pytest.skip(f"nothing is recorded of R {recorder.minor} (python -m tests.rinterop.record)")
    about = {item["name"]: item for item in manifest(kept)["items"]}
    assert len(recorder.items) >= 110
    for item in recorder.items:
        if item["name"] not in record.VARYING:
            own = [file for file in item["files"] if (kept / file["file"]).is_file()]
            assert recorder.differing({**item, "files": own}, kept) == []
            shared = [file for file in item["files"] if file not in own]
            assert recorder.differing({**item, "files": shared}, DATA) == []
        if "expected" in about.get(item["name"], {}) and kept != DATA:
            assert item["expected"] == about[item["name"]]["expected"]


@pytest.mark.needs_r
def test_what_is_kept_of_another_r(recorder: Recorder, tmp_path: Path) -> None:
    differing = {item["name"] for item in recorder.items if recorder.differing(item, DATA)}
    into = tmp_path / "rser"
    assert set(recorder.keep(into)) == differing
    assert recorder.keep(into) == []
    about = manifest(into)
    assert about["r_version"] == recorder.version
    assert {item["name"] for item in about["items"]} == differing
    assert set(about["same"]) == {item["name"] for item in recorder.items} - differing
    assert all(one.read() for one in recordings(into))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_expression_is_accounted_for(folder: Path) -> None:
    about = manifest(folder)
    text = record.EXPRESSIONS.read_text(encoding="utf-8")
    expressions = names(text)
    assert len(expressions) == len(set(expressions))
    known = {item["name"]: item["expr"] for item in about["items"]}
    assert set(expressions) <= {*known, *about.get("same", ())}
    for name in set(expressions) & set(known):
        assert f"\n{name} <- {known[name]}\n" in text
    files = {file["file"] for item in about["items"] for file in item["files"]}
    assert files == {path.name for path in folder.glob("*.bin")}


def test_streams_but_for_their_writer() -> None:
    (binary,) = (one.read() for one in recordings(form="xdr") if one.path.stem == "int_na.3x")
    (text,) = (one.read() for one in recordings(form="ascii") if one.path.stem == "int_na.3a")
    for data, other in (
        (binary, binary[:6] + b"\x00\x04\x06\x02" + binary[10:]),
        (text, text.replace(b"262658", b"263682")),
    ):
        assert other != data
        assert without_writer(other) == without_writer(data)
        assert without_writer(data[:-1] + b"?") != without_writer(data)


def test_a_manifest_is_an_item_a_line(tmp_path: Path) -> None:
    record.write_manifest(tmp_path, {"r_version": "4.6.2"}, [{"name": "é"}, {"name": "b"}])
    lines = (tmp_path / "manifest.json").read_text(encoding="utf-8").splitlines()
    assert lines[1:-1] == ['{"name": "é"},', '{"name": "b"}']
    assert json.loads("".join(lines)) == manifest(tmp_path)
