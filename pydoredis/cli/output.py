"""Output for terminals, files and pipes of any encoding."""

from __future__ import annotations

import codecs
import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pydoredis.cli.exits import ExitCode, fail

SPELLED_OUT: Final = {"π": "pi", "≥": ">=", "…": "...", "’": "'", "‘": "'", "“": '"', "”": '"', "–": "-"}
"""What commands print beyond ASCII, and how it reads where it cannot be printed."""


def spell_out_what_cannot_be_printed() -> None:
    """Have standard output write something for each character that its encoding lacks.

    Where the locale is C, and Python is kept from making it C.UTF-8, that is all beyond ASCII. Python sees to
    it that standard error takes everything.
    """
    codecs.register_error("pydoredis.spelled", _spelled)
    # None if the descriptor is closed; no TextIOWrapper under some test runners.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="pydoredis.spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    spelled = (SPELLED_OUT.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lost)
    return "".join(spelled), error.end


@contextmanager
def a_full_disk_ends_the_command() -> Iterator[None]:
    """Turn an output that cannot be written into a line on standard error."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        # What is still in buffers goes nowhere, or the end of the program would fail once more.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        fail(f"the output cannot be written: {error.strerror}", ExitCode.FAILED)


def is_a_terminal() -> bool:
    """Whether standard output is one. It may not be there at all."""
    return sys.stdout is not None and sys.stdout.isatty()


def to_json(value: object) -> str:
    """One JSON document that standard output can take."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    is_unicode = codecs.lookup(encoding).name.startswith("utf")
    return json.dumps(value, default=datetime.isoformat, ensure_ascii=not is_unicode)
