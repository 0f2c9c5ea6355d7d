"""Tables in documents that are made from figures; what is made stands between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

END = "<!-- end -->\n"


def with_table(document: str, mark: str, rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """The document with a table made anew.

    Args:
        document: In Markdown. The table stands between the lines `<!-- mark -->` and `<!-- end -->`.
        mark: What the first of the two says.
        rows: The table's cells, the head first.
        texts: How many columns have text, and stand on the left; the others have numbers.

    Raises:
        SystemExit: If the document has no such place.
    """
    head, *rest = rows
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    lines = [
        f"| {' | '.join(head)} |\n",
        f"|{'|'.join(rule)}|\n",
        *(f"| {' | '.join(row)} |\n" for row in rest),
    ]
    before, begin, after = document.partition(f"<!-- {mark} -->\n")
    _, end, after = after.partition(END)
    if not (begin and end):
        raise SystemExit(f"there is no place for a table {mark!r}")
    # Blank lines around it: what is HTML would swallow a table right below it.
    return f"{before}{begin}\n{''.join(lines)}\n{end}{after}"
