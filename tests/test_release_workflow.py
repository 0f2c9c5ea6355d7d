"""`.github/workflows/release.yml`, which runs elsewhere: its form, and that pyproject.toml agrees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration import wheels
from pydoredis._version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    """The file, read as YAML; there the key `on` is the truth value."""
    read = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


def test_wheels_are_for_the_pythons_that_the_package_is_for() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    pythons = wheels.supported()
    minors = [int(version.removeprefix("3.")) for version in pythons]
    assert pythons[0] == oldest
    assert minors == [*range(minors[0], minors[-1] + 1)]
    assert PROJECT["tool"]["cibuildwheel"]["build"] == [f"cp3{minor}-*" for minor in minors]


def test_a_wheel_does_not_come_without_the_helper_unless_it_is_the_one_for_all(
    workflow: dict[Any, Any],
) -> None:
    settings = PROJECT["tool"]["cibuildwheel"]
    assert settings["environment"] == {"PYDOREDIS_HELPER": "1"}
    assert settings["test-command"].endswith("integration/smoke.py compiled")
    commands = [step.get("run", "") for step in workflow["jobs"]["source"]["steps"]]
    assert any("PYDOREDIS_PURE=1 python -m build" in command for command in commands)
    assert any("integration/smoke.py pure" in command for command in commands)
    switches = set(re.findall(r"PYDOREDIS_[A-Z]+", (ROOT / "setup.py").read_text()))
    assert switches == {"PYDOREDIS_HELPER", "PYDOREDIS_PURE"}


def test_there_are_wheels_for_linux_and_macos_with_both_processors(workflow: dict[Any, Any]) -> None:
    runners = workflow["jobs"]["wheels"]["strategy"]["matrix"]["runner"]
    assert {re.sub(r"-\d[\d.]*", "", runner) for runner in runners} == {
        *("ubuntu", "ubuntu-arm"),
        *("macos", "macos-intel"),
    }


def test_only_a_tag_publishes_and_only_that_job_may(workflow: dict[Any, Any]) -> None:
    jobs = workflow["jobs"]
    assert workflow[True] == {"push": {"tags": ["v*"]}, "workflow_dispatch": None}
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["if"] == "github.ref_type == 'tag'"
    assert {*jobs["publish"]["needs"]} == jobs.keys() - {"publish"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()


def test_steps_are_whole_and_say_which_version_of_an_action_they_use(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w/-]+@(release/)?v\d[\d.]*", step.get("uses", "a/b@v1"))


def test_a_tag_that_is_not_the_version_ends_the_release(workflow: dict[Any, Any]) -> None:
    (check,) = (step["run"] for step in workflow["jobs"]["source"]["steps"] if "GITHUB_REF_NAME" in str(step))
    for tag, is_right in ((f"v{__version__}", True), ("v9.9", False), (f"v{__version__[:-1]}", False)):
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        done = subprocess.run(
            ["bash", "-c", check], cwd=ROOT, env=environment, capture_output=True, check=False
        )
        assert (done.returncode == 0) == is_right
