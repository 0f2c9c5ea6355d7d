"""How to install what is missing, as a command that works where it is read."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def pip_install(*requirements: str) -> str:
    """The command that installs packages for the Python that runs this program."""
    return f"{_shown(Path(sys.executable))} -m pip install {' '.join(map(shlex.quote, requirements))}"


def pip_install_extra(extra: str) -> str:
    """The command that adds an extra of pydoredis's: from the checkout, if that is where it runs from."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "pyproject.toml").is_file():
        return pip_install(f"pydoredis[{extra}]")
    # Not `resolve`, here or below: a virtual environment's Python is a link to another one.
    return f"{_shown(Path(sys.executable))} -m pip install -e {shlex.quote(f'{_shown(root)}[{extra}]')}"


def _shown(path: Path) -> str:
    """The path as it may be typed here, the shorter way."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
