"""The tables of docs/compatibility.md, filled in from what came of the tests on all systems.

    python -m integration.compatibility [FILE]

FILE is what `python -m integration.matrix --json FILE` wrote; integration/results/matrix.json by default. The
same file always gives the same tables: a test compares those in the document with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from integration import matrix
from integration.images import REPOSITORY
from tests.documents import with_table

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
    return with_table(with_table(document, "matrix", systems, texts=2), "skips", skips)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", default=RESULTS)
    outcomes = matrix.read(parser.parse_args().file)
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8"), outcomes), encoding="utf-8")
    print(DOCUMENT)


if __name__ == "__main__":
    main()
