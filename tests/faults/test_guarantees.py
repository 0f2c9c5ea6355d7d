"""The tests that `docs/guarantees.md` names as proof are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_test_that_is_named_exists() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text)
    assert len(named) > 40
    missing = []
    for path, name in named:
        source = ROOT / path if path.startswith("tests/") else ROOT / "tests" / "faults" / path
        if not re.search(rf"^\s*(def|class) {name}\b", source.read_text(encoding="utf-8"), re.MULTILINE):
            missing.append(f"{path}::{name}")
    assert not missing
