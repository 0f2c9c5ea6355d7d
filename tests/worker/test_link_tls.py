"""The agent's link by TLS, whose records are not what the descriptor shows."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoredis.worker.link_events import Invalidated, Lost
from tests.redis_process import RedisProcess, needs_server
from tests.tls import make_certificates, tls_server
from tests.worker.link_loop import BLOCKING_S, MANY_TURNS, Loop, turn_for

pytestmark = needs_server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(certificates: Path) -> Iterator[RedisProcess]:
    with tls_server(certificates) as running:
        yield running


def address(server: RedisProcess, certificates: Path) -> str:
    return f"rediss://127.0.0.1:{server.options['tls_port']}/0?ssl_ca_certs={certificates}/ca.pem"


def test_batches_and_changes(server: RedisProcess, certificates: Path) -> None:
    with Loop(address(server, certificates), {"echo": "return ARGV[1]"}) as loop, server.client() as client:
        connected = loop.connect()
        assert connected.tracking
        for n in range(50):
            assert loop.ask(("SET", "a", n), ("GET", "a"))[1] == b"%d" % n
        assert loop.ask(("EVALSHA", connected.shas["echo"], 0, "x")) == [b"x"]
        loop.watch("a")
        client.set("a", "other")
        assert loop.next(Invalidated) == Invalidated((b"a",))


@pytest.mark.parametrize("size", [16_383, 16_384, 16_385, 1 << 17, 64 << 20])
def test_values_larger_than_a_record(server: RedisProcess, certificates: Path, size: int) -> None:
    """Nothing is left behind in what TLS has decrypted: each reply comes without another one to push it."""
    value = os.urandom(size)
    with Loop(address(server, certificates)) as loop:
        loop.connect()
        assert loop.ask(("SET", "a", value)) == [b"OK"]
        assert loop.ask(("GET", "a")) == [value]
        assert loop.ask(*[("GETRANGE", "a", 0, n) for n in range(300)]) == [
            value[: n + 1] for n in range(300)
        ]


def test_a_server_that_hangs(server: RedisProcess, certificates: Path) -> None:
    with Loop(address(server, certificates), timeout_s=1.5) as loop:
        loop.connect()
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        try:
            number = loop.send(("SET", "a", bytes(64 << 20)))
            turns = loop.turns
            assert loop.next(Lost).batch == number
            assert loop.turns - turns > MANY_TURNS
            turn_for(loop, 0.5)
        finally:
            server.process.send_signal(signal.SIGCONT)
        loop.connect()
        assert loop.ask_again(("STRLEN", "a"), ("PING",))[1] == b"PONG"
        assert loop.longest_s < BLOCKING_S


def test_a_certificate_of_somebody_else(server: RedisProcess) -> None:
    with Loop(f"rediss://127.0.0.1:{server.options['tls_port']}/0") as loop:
        assert "certificate" in loop.next(Lost).reason


def test_a_port_where_nobody_speaks_tls(server: RedisProcess, certificates: Path) -> None:
    with Loop(f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={certificates}/ca.pem", timeout_s=2) as loop:
        assert loop.next(Lost).batch is None
    with Loop(f"redis://127.0.0.1:{server.options['tls_port']}/0", timeout_s=2) as loop:
        assert loop.next(Lost).batch is None
