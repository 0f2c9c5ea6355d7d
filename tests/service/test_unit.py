"""The systemd unit: systemd itself finds nothing wrong with it, and it is put in place and taken away."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pydoredis.cli import app
from pydoredis.errors import ConfigError
from pydoredis.service.conf import ServiceConfig
from pydoredis.service.unit import Service

ANALYZE = shutil.which("systemd-analyze")
needs_systemd_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")

SAFEST, MEDIUM = 0.0, 5.0


def service(*arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `pydoredis service`."""
    done = CliRunner().invoke(app, ["service", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def analyze(*arguments: str) -> str:
    assert ANALYZE
    done = subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_systemd_analyze
@pytest.mark.parametrize("user", ["nobody", "root"])
@pytest.mark.parametrize("config", ["doRedis.conf", "config.toml"])
def test_systemd_understands_every_line(user: str, config: str, tmp_path: Path) -> None:
    unit = Service("workers", tmp_path)
    unit.path.write_text(unit.text(Path("/etc") / config, user))
    assert analyze("verify", "--man=no", str(unit.path)).strip() == ""


@needs_systemd_analyze
def test_what_bodies_can_do_is_limited(tmp_path: Path) -> None:
    unit = Service("workers", tmp_path)
    unit.path.write_text(unit.text(Path("/etc/doRedis.conf"), "nobody"))
    try:
        said = analyze("security", "--offline=yes", "--no-pager", "--json=short", str(unit.path))
    except AssertionError as error:
        pytest.skip(f"this systemd-analyze rates no files: {error}")
    weight = sum(float(check["exposure"] or 0) for check in json.loads(said) if check["set"] is False)
    assert weight, "some things bodies need"
    overall = analyze("security", "--offline=yes", "--no-pager", str(unit.path)).splitlines()[-1]
    level = float(overall.split(": ")[1].split()[0])
    assert SAFEST < level < MEDIUM


def test_install_and_uninstall(tmp_path: Path) -> None:
    config = tmp_path / "doRedis.conf"
    where = ("--directory", tmp_path, "--name", "mine")
    assert service("status", *where)[:2] == (1, "name:     mine\nstate:    not installed\n")
    status, said, _ = service("install", "--config", config, *where)
    assert status == 0
    assert "wrote" in said
    assert ServiceConfig.read(config) == ServiceConfig()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    unit = (tmp_path / "mine.service").read_text()
    assert f"ExecStart={sys.executable} -m pydoredis service run --config" in unit
    assert f"LoadCredential=doRedis.conf:{config}\n" in unit
    status, said, _ = service("status", *where, "--json")
    assert (status, json.loads(said)["state"]) == (1, "systemd does not run here")
    assert service("uninstall", *where)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["doRedis.conf"], (
        "what somebody may have edited stays"
    )
    status, _, said = service("uninstall", *where)
    assert (status, "there is none" in said) == (1, True)


def test_a_configuration_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    config = tmp_path / "doRedis.conf"
    config.write_text("n: 4\nuser: ada\n")
    assert service("install", "--config", config, "--directory", tmp_path)[0] == 0
    assert config.read_text() == "n: 4\nuser: ada\n"
    assert "User=ada\n" in (tmp_path / "pydoredis-worker.service").read_text()
    assert "User=eve\n" in service("install", "--config", config, "--user", "eve", "--show")[1]
    config.write_text("n: many\n")
    status, _, said = service("install", "--config", config, "--directory", tmp_path)
    assert (status, "n = 'many'" in said) == (2, True)


def test_a_unit_is_shown_and_nothing_is_written(tmp_path: Path) -> None:
    status, unit, _ = service("install", "--show", "--config", tmp_path / "x.conf", "--directory", tmp_path)
    assert status == 0
    assert "Type=notify" in unit
    assert "WatchdogSec=" in unit
    assert list(tmp_path.iterdir()) == []


def test_mistakes(tmp_path: Path) -> None:
    for name in ("", "../mine", "a b"):
        with pytest.raises(ConfigError):
            Service(name, tmp_path)
    with pytest.raises(ConfigError):
        Service("mine", tmp_path).text(Path("/etc/with space.conf"), "nobody")
    with pytest.raises(ConfigError):
        Service("mine", tmp_path / "nowhere").install(tmp_path / "doRedis.conf")
