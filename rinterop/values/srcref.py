"""How a function was written: where R keeps its source (`options(keep.source = TRUE)`), its text."""

from __future__ import annotations

from rinterop.values.accessors import strings
from rinterop.values.altrep import Altrep
from rinterop.values.base import RValue
from rinterop.values.functions import Environment
from rinterop.values.vectors import Integer, attribute


def source_lines(value: RValue) -> list[str] | None:
    """The lines a `srcref` stands for (an attribute of `value`, or `value` itself); None if there are none.

    The text is in the value only if R parsed it from a terminal or a string; of a file R keeps the name,
    and files are never opened here.
    """
    reference = value if isinstance(value, Integer) else attribute(value, "srcref")
    file = attribute(reference, "srcfile")
    if not isinstance(reference, Integer) or len(reference) < 4 or not isinstance(file, Environment):
        return None
    if "lines" not in file or isinstance(file["lines"], Altrep):
        return None
    text = [line for stored in strings(file["lines"]) or () for line in str(stored).split("\n")]
    positions = reference.values.tolist()
    first, start, last, stop = positions[:4]
    if len(positions) >= 8:
        # With #line directives the lines of the text and of the file differ.
        first, last = positions[6:8]
    if not 1 <= first <= last <= len(text) or not start >= 1 or stop < 0:
        return None
    lines = text[first - 1 : last]
    # Columns count bytes. The end is cut first: it may be on the line of the start.
    lines[-1] = lines[-1].encode("utf-8", "surrogateescape")[:stop].decode("utf-8", "replace")
    lines[0] = lines[0].encode("utf-8", "surrogateescape")[start - 1 :].decode("utf-8", "replace")
    return lines
