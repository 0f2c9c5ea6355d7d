"""What the documents say of systems is what came of the tests there."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from integration import compatibility, matrix
from integration.images import REPOSITORY
from integration.systems import SYSTEMS, VARIABLE, chosen

JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" time="12.5">
<testcase classname="tests.a" name="one"/>
<testcase classname="tests.a" name="two"><failure message="no">trace</failure></testcase>
<testcase classname="tests.a" name="three"><error message="no">trace</error></testcase>
<testcase classname="tests.b" name="four"><skipped message="no R" type="pytest.skip"/></testcase>
<testcase classname="tests.b" name="five"><skipped message="no R" type="pytest.skip"/></testcase>
</testsuite></testsuites>"""


def test_what_pytest_has_written(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT)
    outcome = matrix.Outcome("trixie", ["R 4.5.0"])
    outcome.read(report)
    assert (outcome.passed, outcome.failed) == (1, ["tests.a::two", "tests.a::three"])
    assert (outcome.skipped, outcome.seconds) == ({"no R": 2}, 12.5)


def test_a_line_for_this_machine(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT)
    outcome = matrix.own(report)
    assert f"Python {platform.python_version()}" in outcome.versions
    assert (outcome.system, outcome.passed, len(outcome.failed)) == ("this machine", 1, 2)


def test_a_build_machine_has_every_other_system() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"^systems=\((.*?)\)", script, re.MULTILINE)
    assert found is not None
    assert found[1].split() == [name for name in SYSTEMS if name != "bookworm"]


def test_the_system_of_whole_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert chosen() is SYSTEMS["bookworm"]
    monkeypatch.setenv(VARIABLE, "sid")
    assert chosen() is SYSTEMS["sid"]
    monkeypatch.setenv(VARIABLE, "potato")
    with pytest.raises(RuntimeError, match="no system 'potato', but bookworm, trixie, sid"):
        chosen()


def test_the_tables_are_those_of_the_figures() -> None:
    document = compatibility.DOCUMENT.read_text(encoding="utf-8")
    outcomes = matrix.read(compatibility.RESULTS)
    assert compatibility.filled(document, outcomes) == document, "python -m integration.compatibility"
    assert {each.system for each in outcomes} == set(SYSTEMS)


def test_a_document_without_a_place() -> None:
    with pytest.raises(SystemExit, match="no place for a table 'matrix'"):
        compatibility.filled("nothing", [])
