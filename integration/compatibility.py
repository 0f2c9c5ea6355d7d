"""The tables of docs/compatibility.md, filled in from what came of the tests on all systems.

    python -m integration.compatibility [FILE]

FILE is what `python -m integration.matrix --json FILE` wrote; integration/results/matrix.json by default. The
same file always gives the same tables: a test compares those in the document with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from integration import matrix
from integration.images import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "compatibility.md"
RESULTS = REPOSITORY / "integration" / "results" / "matrix.json"


def filled(document: str, outcomes: Sequence[matrix.Outcome]) -> str:
    """The document with its tables made anew."""
    systems: list[tuple[str, ...]] = [("Debian", "runs there", "passed", "failed", "skipped")]
    for each in outcomes:
        counts = map(str, (each.passed, len(each.failed), sum(each.skipped.values())))
        systems.append((each.system, "; ".join(each.versions), *counts))
    names = [each.system for each in outcomes]
    reasons = sorted({reason for each in outcomes for reason in each.skipped})
    skips: list[tuple[str, ...]] = [("reason", *names)]
    skips += [(_cell(why), *(str(each.skipped.get(why, "")) for each in outcomes)) for why in reasons]
    document = _replaced(document, "matrix", systems, words=2)
    return _replaced(document, "skips", skips, words=1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _replaced(document: str, name: str, rows: Iterable[Sequence[str]], words: int) -> str:
    """The document with another table in a place; the first `words` columns are text, the others numbers."""
    head, *rest = (f"| {' | '.join(row)} |\n" for row in rows)
    columns = head.count("|") - 1
    rule = f"|{'---|' * words}{'---:|' * (columns - words)}\n"
    before, found, after = document.partition(f"<!-- {name} -->\n")
    _, closed, after = after.partition("<!-- end -->\n")
    if not (found and closed):
        raise SystemExit(f"{DOCUMENT.name} has no place for the table {name!r}")
    return f"{before}{found}\n{head}{rule}{''.join(rest)}\n{closed}{after}"


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=RESULTS)
    outcomes = matrix.read(parser.parse_args().file)
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8"), outcomes), encoding="utf-8")
    print(DOCUMENT)


if __name__ == "__main__":
    main()
