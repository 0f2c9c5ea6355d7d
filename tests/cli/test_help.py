"""`--help` of every command: what is written is shown, and every option says what it does."""

from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from pydoredis.cli import app

# Wide enough that no text is broken over two lines.
WIDE = {"COLUMNS": "500", "NO_COLOR": "1"}

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def words(text: str) -> str:
    """Text without frames and line ends."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_word_of_the_help_is_shown(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], env=WIDE)
    assert done.exit_code == 0
    shown = words(done.output)
    assert words(COMMANDS[name].help) in shown
    for parameter in COMMANDS[name].params:
        if not parameter.hidden:
            assert parameter.help, f"{parameter.name} says nothing"
            assert words(parameter.help).replace("\\[", "[") in shown
    assert "\\" not in shown
    # An option that takes a value says so in a word of ours; a flag has nothing behind it.
    assert not re.search(r" --?[\w-]+ <", shown)


def test_the_commands_are_listed_with_their_options() -> None:
    shown = words(CliRunner().invoke(app, ["--help"], env=WIDE).output)
    assert all(name in shown for name in COMMANDS)
    for option in ("--version", "--install-completion", "--show-completion", "--help"):
        assert re.search(rf"{option} [A-Z]", shown), option
    assert "<" not in shown


def test_each_setting_of_a_worker_names_its_default() -> None:
    shown = CliRunner().invoke(app, ["worker", "--help"], env=WIDE).output
    for line in shown.splitlines():
        option = re.match(r"│ +--([\w-]+)", line)
        if option and option[1] not in ("queue", "host", "password", "help"):
            assert "[default: " in line, line
