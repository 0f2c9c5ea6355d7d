"""Names that are nearly those of options, and names that R code mentions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_SHORT = 5
"""Names of options up to this length have neighbours that are words: `seed` and `speed`."""

_LONG = 11
"""Names of options from this length on may have two letters wrong."""


@lru_cache(maxsize=1024)
def near(name: str, names: frozenset[str]) -> str | None:
    """The one of `names` that was probably meant, if `name` is none of them but nearly one."""
    if name in names:
        return None
    known = sorted(names)
    plain = _plain(name)
    for candidate in known:
        if plain in (_plain(candidate), _plain(candidate) + "s"):
            return candidate
    for candidate in known:
        other = _plain(candidate)
        allowed = 2 if len(other) >= _LONG else 1
        swapped_only = len(other) <= _SHORT
        if swapped_only and not (len(plain) == len(other) and sorted(plain) == sorted(other)):
            continue
        if _distance(plain, other) <= allowed:
            return candidate
    return None


def _plain(name: str) -> str:
    """As the name is whether written in Python's or in R's way: `.chunkSize` is `chunk_size`."""
    return re.sub(r"[._]", "", name).lower()


def _distance(a: str, b: str) -> int:
    """How many letters were changed, added, left out, or swapped with the next one."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


# --- R ----------------------------------------------------------------------------------------------------

_R_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
  | (?P<raw>[rR]["'](?P<dashes>-*)[(\[{] .*? [)\]}](?P=dashes)["'])
  | (?P<text>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*')
  | `(?P<quoted>(?:\\.|[^`\\])*)`
  | (?P<name>(?:[^\W\d]|\.(?!\d)) [\w.]*)
  | (?P<number>\d[\w.]*)
    """,
    re.VERBOSE | re.DOTALL,
)

_LOOKS_UP = frozenset(
    {
        *("environment", "parent.frame", "sys.function", "sys.frame", "sys.frames", "sys.call", "match.call"),
        *(
            "eval",
            "evalq",
            "get",
            "get0",
            "mget",
            "dynGet",
            "exists",
            "ls",
            "objects",
            "source",
            "sys.source",
        ),
    }
)
"""R functions that may use variables which the code does not name."""


def unmentioned(names: Iterable[str], sources: Iterable[str]) -> list[str]:
    """Those of `names` that R code cannot use, as it names them nowhere, not even in a text.

    Where the code may look up variables by names that it makes itself, there are none.
    """
    mentioned: set[str] = set()
    for source in sources:
        for token in _R_TOKEN.finditer(source):
            text = token["text"] or token["raw"]
            if text is not None:
                mentioned.update(re.findall(r"[\w.]+", text))
            else:
                mentioned.add(token["quoted"] or token["name"] or "")
    return [] if _LOOKS_UP & mentioned else [name for name in names if name not in mentioned]
