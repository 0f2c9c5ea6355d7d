"""Record values as the R of this machine writes them, for tests of rinterop where there is another R or none.

    python -m tests.rinterop.record [--into FOLDER]

R evaluates what `tests/data/rser/expressions.R` names, writes each value in all forms that are wanted of it,
and describes it (`record.R`). What R 4.2 wrote is in `tests/data/rser`. Of another R only what differs from
that by more than the header's version of the writer goes into a folder of its own, `tests/data/rser-4.6` or
the like; its manifest says what is the same. A folder that is there gets new expressions alone.

`make record` does this on the systems of the matrix.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.rinterop.recordings import DATA

PROGRAM = Path(__file__).with_name("record.R")
EXPRESSIONS = DATA / "expressions.R"

VARYING = frozenset({"hashtab_keys", "hashtab_nested"})
"""What no two sessions write alike: R puts keys where their addresses say."""

Item = dict[str, Any]


def names(text: str) -> list[str]:
    """What the expressions are called, in their order."""
    return re.findall(r"^(\w+) <- ", text, re.MULTILINE)


def manifest(folder: Path) -> dict[str, Any]:
    """What a folder holds; nothing if there is none."""
    file = folder / "manifest.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"items": []}
    return found


def wanted_forms(name: str, known: Mapping[str, Item]) -> list[Item]:
    """The files that there are to be of a value: those that R 4.2 wrote of it, else one."""
    if name in known:
        return list(known[name]["files"])
    return [{"file": f"{name}.3x.bin", "version": 3, "format": "xdr"}]


def without_writer(data: bytes) -> bytes:
    """A stream but for the version of R that its header names."""
    if data.startswith(b"A\n"):
        lines = data.split(b"\n")
        return b"\n".join([*lines[:2], *lines[3:]])
    return data[:6] + data[10:]


class Recorder:
    """What an R writes, in a folder for the time being. A context manager.

    Args:
        rscript: The command that runs it; it sees the temporary folder and the files beside this one.

    Attributes:
        version: Of R, such as 4.6.2.
        items: What was recorded, each as in a manifest: name, expr, files; expected if it could be described.
    """

    def __init__(self, rscript: Sequence[str] = ("Rscript",)) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pydoredis-record-")
        folder = Path(self._folder.name)
        base = {item["name"]: item for item in manifest(DATA)["items"]}
        files = {name: wanted_forms(name, base) for name in names(EXPRESSIONS.read_text(encoding="utf-8"))}
        lines = [
            f"{name}\t{f['version']}\t{f['format']}\t{f['file']}" for name, fs in files.items() for f in fs
        ]
        (folder / "forms").write_text("\n".join(lines) + "\n")
        arguments = map(str, (PROGRAM, EXPRESSIONS, folder / "forms", folder))
        subprocess.run(
            [*rscript, "--vanilla", *arguments],
            check=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )
        self.version = (folder / "version").read_text().strip()
        self.items: list[Item] = []
        for line in (folder / "items").read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            self.items.append({**item, "files": files[item["name"]]})

    @property
    def minor(self) -> str:
        """4.6 of 4.6.2."""
        return ".".join(self.version.split(".")[:2])

    def data(self, file: Item) -> bytes:
        """A file that was written."""
        return Path(self._folder.name, file["file"]).read_bytes()

    def differing(self, item: Item, base: Path) -> list[Item]:
        """The files of an item that are not the same in another folder, but for the version of the writer."""
        return [
            file
            for file in item["files"]
            if not (base / file["file"]).is_file()
            or without_writer(self.data(file)) != without_writer((base / file["file"]).read_bytes())
        ]

    def folder(self) -> Path:
        """Where recordings of this R are kept."""
        is_base = manifest(DATA)["r_version"].startswith(f"{self.minor}.")
        return DATA if is_base else DATA.with_name(f"{DATA.name}-{self.minor}")

    def keep(self, into: Path) -> list[str]:
        """Add to a folder what it lacks; the names of these.

        Files that are the same in `DATA` are left out of any other folder.
        """
        before = manifest(into)
        there = {item["name"] for item in before["items"]} | set(before.get("same", ()))
        added, same = [], []
        for item in self.items:
            if item["name"] in there:
                continue
            files = item["files"] if into == DATA else self.differing(item, DATA)
            if not files:
                same.append(item["name"])
                continue
            added.append({**item, "files": files})
            into.mkdir(exist_ok=True)
            for file in files:
                (into / file["file"]).write_bytes(self.data(file))
        head = {**before, "r_version": before.get("r_version", self.version)}
        if into != DATA:
            head["same"] = sorted([*before.get("same", ()), *same])
        write_manifest(into, head, [*before["items"], *added])
        return [item["name"] for item in added]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def write_manifest(folder: Path, head: Mapping[str, Any], items: Iterable[Item]) -> None:
    """Write it, an item a line."""
    about = json.dumps({name: value for name, value in head.items() if name != "items"}, ensure_ascii=False)
    lines = ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    (folder / "manifest.json").write_text(f'{about[:-1]}, "items": [\n{lines}\n]}}\n', encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, help="a folder; by default that of this R in tests/data")
    options = parser.parse_args()
    with Recorder() as recorder:
        into = options.into or recorder.folder()
        added = recorder.keep(into)
        print(f"R {recorder.version}: {len(added)} values into {into}: {', '.join(added)}")


if __name__ == "__main__":
    main()
