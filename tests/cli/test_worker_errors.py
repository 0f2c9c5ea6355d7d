"""`pydoredis worker` in the hands of a user: what is wrong is said in one message that tells what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.conftest import wait_until
from tests.peers.processes import Peer, clean_environment
from tests.redis_process import RedisProcess

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`pydoredis worker` with these arguments, on a queue unless they name one."""
    queue = () if "--queue" in arguments else ("--queue", "Q")
    done = subprocess.run(
        [sys.executable, "-m", "pydoredis", "worker", *queue, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean_environment(), "COLUMNS": "100", **environment},
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.fixture
def no_r(tmp_path: Path) -> dict[str, str]:
    """A machine without R: nothing on the PATH, and none named."""
    return {"PATH": str(tmp_path), "R_HOME": "", "PYDOREDIS_RSCRIPT": ""}


@pytest.fixture
def broken_rpy2(tmp_path: Path) -> dict[str, str]:
    """An rpy2 that was made for another R."""
    package = tmp_path / "broken" / "rpy2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('undefined symbol: R_ParentEnv')\n")
    path = os.pathsep.join(filter(None, [str(package.parent), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path}


def test_no_redis_there() -> None:
    done = run("--url", "redis://127.0.0.1:1/0")
    assert done.returncode == UNREACHABLE
    assert "127.0.0.1:1" in done.stderr
    assert "pydoredis server" in done.stderr
    assert "--url" in done.stderr


def test_no_such_host() -> None:
    done = run("--url", "redis://no-such-host.invalid:6379/0")
    assert done.returncode == UNREACHABLE
    assert "no-such-host.invalid" in done.stderr


def test_wrong_or_missing_password() -> None:
    with RedisProcess(password="geheim") as server:
        wrong = run("--url", f"redis://:falsch@127.0.0.1:{server.port}/0")
        missing = run("--url", f"redis://127.0.0.1:{server.port}/0")
        hidden = run("--port", str(server.port), PYDOREDIS_PASSWORD="falsch")
    for done in (wrong, missing, hidden):
        assert done.returncode == USAGE
        assert "password" in done.stderr
        assert "falsch" not in done.stderr + done.stdout


@pytest.mark.slow
def test_a_password_is_not_in_the_log(tmp_path: Path) -> None:
    with RedisProcess(password="geheim") as server:
        command = [sys.executable, "-m", "pydoredis", "worker", "--queue", "Q", "--codec", "cloudpickle"]
        with (
            Peer([*command, "-n", "1", "--loglevel", "DEBUG", "--url", server.url], "worker") as peer,
            server.client() as client,
        ):
            wait_until(lambda: client.exists("Q.count"), "it is up")
            server.stop()
            wait_until(lambda: "not available" in peer.output, "it notices the loss")
            assert "geheim" not in peer.output


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://localhost:port/0", "redis://localhost/zero"]
)
def test_bad_addresses(url: str) -> None:
    done = run("--url", url)
    assert done.returncode == USAGE
    assert "url" in done.stderr
    assert "redis://" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--queue", "a*b"), "a*b"),
        (("--queue", ""), "queue"),
        (("--no-such-option",), "--no-such-option"),
        (("--workers", "0"), "workers"),
        (("--workers", "many"), "--workers"),
        (("--codec", "perl"), "codec"),
        (("--r-engine", "jvm"), "engine"),
        (("--loglevel", "LOUD"), "loglevel"),
    ],
)
def test_bad_options(arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert done.returncode == USAGE
    assert told in done.stderr


@pytest.mark.parametrize("place", ["/no/such/folder/log", "/proc/log", "/", ""])
def test_a_log_that_cannot_be_written(place: str) -> None:
    done = run("--log", place)
    assert done.returncode == USAGE
    assert f"log = {place!r}: must be" in done.stderr
    if place:
        assert run(PYDOREDIS_LOG=place).stderr == done.stderr


def test_no_r_for_r_jobs(redis_url: str, no_r: dict[str, str]) -> None:
    done = run("--url", redis_url, "--codec", "r", **no_r)
    assert done.returncode == FAILED
    assert "R" in done.stderr
    assert "PATH" in done.stderr or "install" in done.stderr


def test_no_r_and_nothing_asked(redis_url: str, redis_client: redis.Redis, no_r: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pydoredis", "worker", "--queue", "Q", "-n", "1", "--url", redis_url]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**clean_environment(), **no_r}
    )
    try:
        wait_until(lambda: redis_client.get("Q.count") == b"1" or process.poll() is not None, "it is up")
        process.terminate()
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == OK
    assert "WARNING R jobs are not served" in said
    assert "cloudpickle" in said


@pytest.mark.needs_r
def test_an_rpy2_that_does_not_fit(redis_url: str, broken_rpy2: dict[str, str]) -> None:
    done = run("--url", redis_url, "--codec", "r", "--r-engine", "rpy2", **broken_rpy2)
    assert done.returncode == FAILED
    assert "rpy2" in done.stderr
    assert "pip install" in done.stderr


def test_help_is_for_newcomers() -> None:
    done = run("--help")
    assert done.returncode == OK
    for word in ("--queue", "registerDoRedis", "--codec", "--url", "PYDOREDIS_URL", "SIGTERM", "default"):
        assert word in done.stdout
