"""`pydoredis acl` as a user or a script calls it."""

from __future__ import annotations

import hashlib
import re

import pytest
from typer.testing import CliRunner

from pydoredis.cli import app


def acl(*arguments: str, typed: str | None = None) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    done = CliRunner().invoke(app, ["acl", *arguments], input=typed)
    return done.exit_code, done.stdout, done.stderr


def test_a_line_without_a_password_holds_a_placeholder() -> None:
    status, line, _ = acl("--role", "viewer", "--queue", "RJOBS")
    assert status == 0
    assert line.startswith("ACL SETUSER viewer-RJOBS reset on #<SHA-256-of-the-password-in-hex> ~RJOBS ")
    assert "+config" not in line


def test_a_password_is_read_and_not_shown() -> None:
    _, line, errors = acl("--role", "worker", "-q", "a", "-q", "b", "--password-stdin", typed="s3cret\n")
    assert f"#{hashlib.sha256(b's3cret').hexdigest()} ~a ~a.* ~pydoredis:{{a}}:* ~b " in line
    assert "s3cret" not in line + errors


def test_a_new_password() -> None:
    _, line, errors = acl("--role", "worker", "-q", "a", "--new-password", "--user", "ada", "--file")
    found = re.search(r": (\S{40,})\n", errors)
    assert found
    assert line.startswith(f"user ada on #{hashlib.sha256(found[1].encode()).hexdigest()} ~a ")


def test_no_option_takes_a_password() -> None:
    assert acl("--role", "worker", "-q", "a", "--password", "x")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--role", "boss", "--queue", "a"), "one of worker, coordinator, viewer"),
        (("--role", "worker", "--queue", "a*"), "queue"),
        (("--role", "worker"), "--queue"),
        (("--role", "worker", "--queue", "a", "--user", "a b"), "user"),
        (("--role", "worker", "--queue", "a", "--password-stdin"), "password"),
        (("--role", "worker", "--queue", "a", "--password-stdin", "--new-password"), "new-password"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], message: str) -> None:
    status, line, errors = acl(*arguments, typed="\n")
    assert (status, line) == (2, "")
    assert message in errors
