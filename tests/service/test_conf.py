"""doRedis's configuration file, as people have it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from pydoredis.errors import ConfigError
from pydoredis.service.commands import commands_of
from pydoredis.service.conf import SAMPLE, ServiceConfig, WorkerSet

SOURCE = "doRedis.conf"


def parse(text: str) -> ServiceConfig:
    return ServiceConfig.parse(text, SOURCE)


def test_an_empty_file_is_one_of_defaults() -> None:
    assert parse("") == ServiceConfig()
    assert parse(SAMPLE) == ServiceConfig()


def test_every_key() -> None:
    config = parse(
        """
# of our cluster
  n: 3 1            # two sets
queue:  RJOBS   SYSTEM
linger: 7.5
iter: 20
host: 172.31.20.55
port: 6380
user: ada
password: pa:ss word
loglevel: 1
timelimit: 3600
"""
    )
    assert config.sets == (WorkerSet("RJOBS", 3), WorkerSet("SYSTEM", 1))
    assert (config.linger_s, config.iter, config.timelimit_s) == (7.5, 20, 3600)
    assert (config.connection.host, config.connection.port) == ("172.31.20.55", 6380)
    assert config.connection.password == "pa:ss word"
    assert "pa:ss" not in repr(config) + repr(config.connection)
    assert (config.user, config.loglevel) == ("ada", "DEBUG")


def test_what_the_vignette_about_ec2_has_as_user_data() -> None:
    config = parse("n: 2\nhost: 172.31.20.55\n")
    assert config.sets == (WorkerSet("RJOBS", 2),)
    assert config.connection.host == "172.31.20.55"


@pytest.mark.rpeer
def test_the_file_that_doredis_itself_installs() -> None:
    """It stands in the installer, which is a script of the R package."""
    find = 'cat(system.file("scripts/redis-worker-installer.sh", package = "doRedis"))'
    path = subprocess.run(["Rscript", "-e", find], capture_output=True, text=True, check=True).stdout
    if not path:
        pytest.skip("this doRedis was installed without its scripts")
    found = re.search(r"cat > /etc/doRedis.conf << (\w+)\n(.*?)\n\1\n", Path(path).read_text(), re.DOTALL)
    assert found
    assert parse(found[2]) == ServiceConfig(iter=20)


def test_the_former_name_of_linger() -> None:
    assert parse("timeout: 9").linger_s == 9
    assert parse("timeout: 9\nlinger: 3").linger_s == 3


def test_the_last_line_counts_and_an_empty_one_is_none() -> None:
    assert parse("n: 4\nn: 3").sets == (WorkerSet("RJOBS", 3),)
    assert parse("n: 4\nn:   # none").sets == (WorkerSet("RJOBS", 2),)
    assert parse("no colon here\n#n: 7\n\n").sets == (WorkerSet("RJOBS", 2),)


def test_what_means_nothing_here_is_told() -> None:
    assert parse("n: 1\ncolour: blue\nqueues: a").unknown == ("colour", "queues")


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("n: 1 2", "n"),
        ("n: 1\nqueue: a b", "n"),
        ("n: none", "n"),
        ("n: 0", "n"),
        ("queue: a*", "queue"),
        ("port: http", "port"),
        ("host: a/b", "host"),
        ("iter: 0", "iter"),
        ("linger: 0", "linger"),
        ("timeout: soon", "timeout"),
        ("timelimit: -1", "timelimit"),
        ("loglevel: DEBUG", "loglevel"),
        ("R: /no/such/R", "R"),
    ],
)
def test_mistakes_name_the_file(text: str, setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.setting == setting


def test_another_r(tmp_path: Path) -> None:
    for name in ("R", "Rscript"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    environment = dict(parse(f"R: {tmp_path}/R").environment)
    assert environment["PATH"].startswith(f"{tmp_path}{os.pathsep}")
    assert environment["PYDOREDIS_RSCRIPT"] == f"{tmp_path}/Rscript"


def test_no_password_is_an_argument(tmp_path: Path) -> None:
    path = tmp_path / SOURCE
    path.write_text("password: s3cret\nn: 1 2\nqueue: a b\nuser: root\n")
    commands = commands_of(path)
    assert [command.name for command in commands] == ["queue a", "queue b"]
    assert "s3cret" not in repr([command.arguments for command in commands])
    assert "s3cret" in commands[0].environment["PYDOREDIS_URL"]


def test_no_such_file(tmp_path: Path) -> None:
    for name in ("doRedis.conf", "pydoredis.toml"):
        with pytest.raises(ConfigError, match="readable file"):
            commands_of(tmp_path / name)
