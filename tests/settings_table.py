"""The table of a worker's settings in `docs/settings.md`, made from their declarations.

python -m tests.settings_table      writes it anew
"""

from __future__ import annotations

from pathlib import Path

from pydoredis.settings.setting import settings_of
from pydoredis.settings.worker_table import WorkerTable

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"
HEAD = "| Option | Variable | In the file, `[worker]` | Default | Meaning |\n|---|---|---|---|---|\n"


def table() -> str:
    """The table, in Markdown."""
    rows = [
        f"| `{setting.option}`{', again for each' if setting.several else ''} | `{setting.variable}` "
        f"| `{setting.key}` | {setting.default} | {f'{setting.help} {setting.details}'.strip()} |\n"
        for setting in settings_of(WorkerTable)
    ]
    return HEAD + "".join(rows)


def with_table(text: str) -> str:
    """The document with its table replaced."""
    before, head, rest = text.partition(HEAD)
    if not head:
        raise ValueError(f"{DOCUMENT} has no table that begins with {HEAD!r}")
    lines = rest.splitlines(keepends=True)
    rows = next(number for number, line in enumerate(lines) if not line.startswith("|"))
    return before + table() + "".join(lines[rows:])


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
