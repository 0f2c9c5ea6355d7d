"""Redis of every version in every dress, and Redis that goes down and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integration import images
from integration.site import Server, Site, expected, temporary_certificates
from pydoredis.acl import acl_file_line, acl_rules, hash_password

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
    user = acl_file_line("peer", acl_rules("worker", ["jobs"], password_hash=hash_password("word")))
    return Server(
        (*OPEN, "--save", "", "--requirepass", WORD, f"--{user.split()[0]}", *user.split()[1:]),
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


DRESSES: dict[str, Callable[[Path], Server]] = {
    "plain": lambda _: Server(),
    "password": _with_password,
    "acl": _with_acl,
    "tls": _with_tls,
}


def dressed(*dresses: str) -> pytest.MarkDecorator:
    """Run a test with a server of every version in every one of these dresses, as `dressed_site`.

    Debian's programs know TLS; those of Python's packages are built without. And nearly all other cases in
    this suite run on a plain Redis of Debian's.
    """
    left_out = {(images.OWN_REDIS, "plain"), *((version, "tls") for version in images.PACKAGED_REDIS)}
    cases = [(version, dress) for version in images.REDIS_VERSIONS for dress in dresses]
    return pytest.mark.parametrize(("version", "dress"), [case for case in cases if case not in left_out])


@pytest.fixture
def dressed_site(version: str, dress: str, tmp_path: Path) -> Iterator[Site]:
    """A site with a Redis of that version in that dress."""
    image = images.redis_image(version)
    if not images.has(image):
        pytest.skip(f"{version} is not to be had: what was tried stands where the images were built")
    with Site(replace(DRESSES[dress](tmp_path), image=image)) as site:
        told = site.client.info("server")
        name = told.get("server_name", "redis")  # Valkey's redis_version is that of a Redis that it resembles
        assert f"{name}-{told[f'{name}_version']}".startswith(f"{version}.")
        yield site


@dressed("password", "acl", "tls")
def test_python_peers(dressed_site: Site) -> None:
    site = dressed_site
    site.add("ours", "python")
    assert site.job("Python", 6, 0.1).numbers() == expected(6), site.tails()
    r_body = "tell(queue.foreach(i=range(1, 7)).dopar(dr.rexpr('i * 11')))"
    assert site.python_coordinator(r_body).numbers() == expected(6), site.tails()


@pytest.mark.usefixtures("r_peer")
@dressed("plain", "password")
def test_r_peers(dressed_site: Site) -> None:
    """A password is all that they know: no user, no TLS."""
    site = dressed_site
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
