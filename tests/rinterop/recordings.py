"""Streams that R wrote, each with the R expression whose value it is and R's own description of it.

`tests/data/rser` holds those of some hundred expressions by R 4.2; `tests/data/rser-4.6` and the like what R
of that version writes in another way (`record.py` makes them). The whole corpus, 345 expressions in up to
seven forms by two versions of R, is used where PYDOREDIS_GOLDEN names the directory it is in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data" / "rser"
FOLDERS = [DATA, *sorted(DATA.parent.glob(f"{DATA.name}-*"))]


@dataclass(frozen=True, slots=True)
class Recording:
    """One file. `expected` is None for values that R's description does not cover (bytecode, srcrefs)."""

    name: str
    path: Path
    form: str
    version: int
    expected: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.path.parent.name}-{self.path.stem}"

    def read(self) -> bytes:
        return self.path.read_bytes()


def recordings(folder: Path = DATA, form: str | None = None) -> list[Recording]:
    """The recordings in a folder with a manifest, of one form (xdr, native-le, ascii, asciihex) or all."""
    return [one for one in _all(folder) if form in (None, one.form)]


def every_recording() -> list[Recording]:
    """Those of all folders."""
    return [one for folder in FOLDERS for one in recordings(folder)]


def _all(folder: Path) -> Iterator[Recording]:
    manifest = json.loads((folder / "manifest.json").read_text())
    for item in manifest["items"]:
        for file in item["files"]:
            # Of the newer R, only files that differ by more than the version are kept.
            path = folder / (file.get("file") or file["same_as"])
            yield Recording(item["name"], path, file["format"], file["version"], item.get("expected"))


def golden() -> list[Path]:
    """The folders of the whole corpus, none if it is not here."""
    root = os.environ.get("PYDOREDIS_GOLDEN")
    return sorted(Path(root).glob("rser*")) if root else []
