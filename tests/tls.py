"""Redis servers that speak TLS, with certificates that are made for the test."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import redis

from pydoredis.server import free_port
from tests.redis_process import RedisProcess


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_certificates(directory: Path, *, key_usage: bool = True) -> Path:
    """A certification authority of our own (ca.pem), and what it signed for 127.0.0.1 (cert.pem, key.pem).

    Its certificate says what its key is for, unless not `key_usage`.
    """
    try:
        new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test authority")
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign") if key_usage else ()
        openssl(*new, *usage, "-keyout", f"{directory}/ca.key", "-out", f"{directory}/ca.pem")
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    request = ("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost")
    openssl(*request, "-keyout", f"{directory}/key.pem", "-out", f"{directory}/request.pem")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    sign = ("x509", "-req", "-days", "1", "-CAcreateserial", "-extfile", f"{directory}/names")
    authority = ("-CA", f"{directory}/ca.pem", "-CAkey", f"{directory}/ca.key")
    openssl(*sign, *authority, "-in", f"{directory}/request.pem", "-out", f"{directory}/cert.pem")
    return directory


def tls_server(certificates: Path, **options: str) -> RedisProcess:
    """A server whose option `tls_port` says where it speaks TLS."""
    try:
        return RedisProcess(
            tls_port=str(free_port()),
            tls_cert_file=f"{certificates}/cert.pem",
            tls_key_file=f"{certificates}/key.pem",
            tls_ca_cert_file=f"{certificates}/ca.pem",
            tls_auth_clients="no",
            **options,  # type: ignore[arg-type]
        )
    except redis.exceptions.ConnectionError:
        pytest.skip("this redis-server was built without TLS")
