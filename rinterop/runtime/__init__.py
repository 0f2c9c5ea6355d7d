"""Running R code from Python.

`start()` gives the R of this process: `eval`, `call`, `parse`, and Python functions that R calls. Inside:
`session` is that; `base` the interface to an R for those who deal in bytes, `embedded` the R itself, `locate`
finds R. Nothing of R or rpy2 is loaded before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rinterop.runtime.base import RuntimeUnavailableError

if TYPE_CHECKING:
    from rinterop.runtime.session import Session

__all__ = ["RuntimeUnavailableError", "start"]


def start() -> Session:
    """The R of this process, started if need be; see `rinterop.runtime.session.Session`.

    It is the R that `Rscript` would be, with its profiles. An R that rpy2 has started is used as it is, and
    rpy2 will use the one started here.

    Raises:
        RuntimeUnavailableError: If R or rpy2 is missing, or they don't fit; says what to do.
        RuntimeError: If called outside the main thread.
    """
    from rinterop.runtime.locate import wrong_system

    if (problem := wrong_system()) is not None:
        raise problem
    from rinterop.runtime import session

    return session.start()
