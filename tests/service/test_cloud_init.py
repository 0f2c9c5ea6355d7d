"""The cloud-init file: YAML that cloud-init takes, each of whose commands does what it is there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pydoredis.cli import app
from pydoredis.service.conf import ServiceConfig, WorkerSet

PATH = Path(__file__).parents[2] / "deploy" / "cloud-init.yaml"

MODULES = {"package_update": bool, "packages": list, "write_files": list, "runcmd": list}
"""Keys of cloud-init, and what they take."""


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    text = PATH.read_text()
    assert text.startswith("#cloud-config\n"), "else it is taken for something else"
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def test_it_has_keys_of_cloud_init(content: dict[str, Any]) -> None:
    assert {key: type(value) for key, value in content.items()} == MODULES
    for written in content["write_files"]:
        assert {"path", "content", "permissions", "owner"} == written.keys()
        assert isinstance(written["permissions"], str), "a number would be read as decimal"
    assert all(isinstance(word, str) for command in content["runcmd"] for word in command)


@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="cloud-init is not installed")
def test_cloud_init_finds_nothing_wrong_with_it() -> None:
    command = ["cloud-init", "schema", "--config-file", str(PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_read(content: dict[str, Any]) -> None:
    (written,) = content["write_files"]
    assert (written["path"], written["permissions"]) == ("/etc/doRedis.conf", "0600")
    config = ServiceConfig.parse(written["content"], written["path"])
    assert config.sets == (WorkerSet("RJOBS", 2),)
    assert config.connection.host == "10.0.0.1"
    assert config.unknown == ()


def test_each_command_does_its_part(content: dict[str, Any], tmp_path: Path) -> None:
    make, install, serve = content["runcmd"]
    prefix = tmp_path / "opt"
    # The first: a Python of its own, with a pip.
    program, *arguments = (word.replace("/opt/pydoredis", str(prefix)) for word in make)
    assert program == "python3"
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    pip = prefix / "bin" / "pip"
    assert str(pip) == install[0].replace("/opt/pydoredis", str(prefix))
    # The second, but for the package index: pip takes these arguments.
    taken = [str(pip), *install[1:], "--no-index", "--find-links", str(tmp_path)]
    done = subprocess.run(taken, capture_output=True, text=True, check=False)
    assert "No matching distribution found for pydoredis" in done.stderr
    # The third, elsewhere than where systemd looks.
    (tmp_path / "doRedis.conf").write_text(content["write_files"][0]["content"])
    assert serve[0] == "/opt/pydoredis/bin/pydoredis"
    words = [word.replace("/etc/doRedis.conf", str(tmp_path / "doRedis.conf")) for word in serve[1:]]
    result = CliRunner().invoke(app, [*words, "--directory", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "DynamicUser=yes" in (tmp_path / "pydoredis-worker.service").read_text()
