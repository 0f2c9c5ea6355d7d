"""The examples of docs/r-eval.md do what it says."""

from __future__ import annotations

import doctest

import pytest

from tests.runtime.own_process import ROOT, in_own_process

pytestmark = pytest.mark.needs_r


@in_own_process
def test_examples() -> None:
    found = doctest.testfile(str(ROOT / "docs" / "r-eval.md"), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0
