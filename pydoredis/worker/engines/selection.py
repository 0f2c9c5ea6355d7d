"""What a worker serves on this machine: which codecs, and R how."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydoredis.errors import EvaluatorError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec, JobEnvironment
from pydoredis.protocol.presence import minor_version
from pydoredis.store.agent import Lists
from pydoredis.worker import engines
from rinterop.runtime import locate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker can run.

    Attributes:
        codecs: Languages of bodies, in order of preference.
        r_engine: How R runs (of no account without the codec `r`).
        r_version: Of R, as 4.2.2; empty without the codec `r`.
        python: Version of Python, as 3.11.7.
    """

    codecs: tuple[Codec, ...]
    r_engine: engines.REngine
    r_version: str = ""
    python: str = field(default_factory=platform.python_version)

    def refusal(self, environment: JobEnvironment) -> str | None:
        """Why a job cannot be run here; None if it can."""
        if environment.codec not in self.codecs:
            return f"it is in {environment.codec}, which is not served here"
        if environment.needs_python not in ("", minor_version(self.python)):
            return f"it holds code of Python {environment.needs_python}, and this is Python {self.python}"
        return None


def choose(codec: str, r_engine: str) -> Served:
    """What `--codec` and `--r-engine` come to here.

    Raises:
        EvaluatorError: If R was asked for and cannot run here; the message says what to do.
    """
    if codec == "cloudpickle":
        return Served(("cloudpickle",), "rscript")
    try:
        choice = engines.choose_r_engine(r_engine)
    except EvaluatorError as error:
        if codec == "r" or r_engine != "auto":
            raise
        log.warning(
            "R jobs are not served, only Python jobs: %s. In R, getDoParWorkers() counts this worker all the "
            "same. (--codec cloudpickle: this is meant; --codec r: it is an error)",
            error,
        )
        return Served(("cloudpickle",), "rscript")
    log.info("R engine %s: %s", choice.engine, choice.reason)
    codecs: tuple[Codec, ...] = ("r",) if codec == "r" else ("r", "cloudpickle")
    return Served(codecs, choice.engine, _r_version())


def _r_version() -> str:
    r = locate.find_r()
    return ".".join(map(str, r.version)) if r else ""


def lists(queues: Sequence[QueueKeys], codecs: Sequence[Codec]) -> Lists:
    """Where tasks come from: the queues, each after its list of tasks for Python workers alone."""
    found: dict[str, QueueKeys] = {}
    for keys in queues:
        if "cloudpickle" in codecs:
            found[keys.python] = keys
        found[keys.queue] = keys
    return found
