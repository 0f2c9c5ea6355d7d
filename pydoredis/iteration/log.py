"""What Python bodies say while they run: `logger`, after R's function of that name in doRedis.

On a worker its lines go to standard error, and from there into the worker's log with queue, job and
iteration. In `do` they go to this program's standard error, or where its own logging sends them.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:  # Python 3.10 knows it without a parameter only
    _Adapter = logging.LoggerAdapter


class BodyLogger(_Adapter):
    """`logging`'s logger "pydoredis.body", which can be called as well, as in R: `logger("half way")`.

    It has the methods of every logger (`debug`, `info`, `warning`, `exception`, `setLevel` ...). Levels from
    INFO on are shown, unless `setLevel` says otherwise.
    """

    # As it is and not in a function: the caller that records name is then the body in every Python.
    __call__ = _Adapter.info

    def __reduce__(self) -> str:
        # By its name in this module: a body that holds it finds that of the process where it runs.
        return "logger"


class _UnlessConfigured(logging.Handler):
    """Prints records where nobody has said what is to become of them (as `logging.basicConfig` does)."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, with its level before it if that is not INFO."""
        if logging.root.handlers:
            return
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:  # logging never fails the program that logs
            self.handleError(record)

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the traceback of `exception`."""
        text = super().format(record)
        return text if record.levelno == logging.INFO else f"{record.levelname} {text}"


def _make(name: str) -> BodyLogger:
    plain = logging.getLogger(name)
    if plain.level == logging.NOTSET:  # else the program has chosen one
        plain.setLevel(logging.INFO)
    plain.addHandler(_UnlessConfigured())
    return BodyLogger(plain, {})


logger = _make("pydoredis.body")
"""The logger for bodies of loops: see `BodyLogger`."""
