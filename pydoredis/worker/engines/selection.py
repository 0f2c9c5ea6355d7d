"""What a worker serves on this machine: which codecs, and R how."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydoredis.errors import EvaluatorError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec, JobEnvironment
from pydoredis.protocol.presence import minor_version
from pydoredis.worker import engines
from rinterop.runtime import locate

if TYPE_CHECKING:
    from pydoredis.store.agent import Lists

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


class Selection:
    """What `--codec` and `--r-engine` come to here: what is likely at once, what is certain later.

    Attributes:
        likely: What is served, unless it turns out that R does not run as it should.

    Raises:
        EvaluatorError: If R was asked for and cannot run here; the message says what to do.
        ConfigError: If a setting is wrong.
    """

    def __init__(self, codec: str, r_engine: str) -> None:
        self._codec = codec
        self._wanted = r_engine
        self._choice: engines.REngineChoice | None = None
        self.likely = Served(("cloudpickle",), "rscript")
        if codec != "cloudpickle":
            try:
                self._choice = engines.REngineChoice(r_engine)
            except EvaluatorError as error:
                self._do_without_r(error)
            else:
                self.likely = self._with_r(self._choice.likely)

    def result(self) -> Served:
        """What is served, for certain; may wait 0.2 s. The log says how R runs, or why it does not.

        Raises:
            EvaluatorError: If R was asked for and cannot run here; the message says what to do.
        """
        if self._choice is None:
            return self.likely
        try:
            choice = self._choice.result()
        except EvaluatorError as error:
            return self._do_without_r(error)
        log.info("R engine %s: %s", choice.engine, choice.reason)
        return self._with_r(choice.engine)

    def close(self) -> None:
        """Nobody wants to know any more."""
        if self._choice is not None:
            self._choice.close()

    def _with_r(self, engine: engines.REngine) -> Served:
        return Served(("r",) if self._codec == "r" else ("r", "cloudpickle"), engine, _r_version())

    def _do_without_r(self, error: EvaluatorError) -> Served:
        if self._codec == "r" or self._wanted != "auto":
            raise error
        log.warning(
            "R jobs are not served, only Python jobs: %s. In R, getDoParWorkers() counts this worker all the "
            "same. (--codec cloudpickle: this is meant; --codec r: it is an error)",
            error,
        )
        return Served(("cloudpickle",), "rscript")


def _r_version() -> str:
    r = locate.find_r()
    return ".".join(map(str, r.version)) if r else ""


def lists(queues: Sequence[QueueKeys], codecs: Sequence[Codec], nesting: int = 0) -> Lists:
    """Where tasks come from: the queues, each after its list of tasks for Python workers alone.

    Before them all, where Python bodies are run, those of loops inside of bodies, the deepest first: a body
    waits for them. Down to the depth `nesting`; bodies there begin no loops.
    """
    found: dict[str, QueueKeys] = {}
    for depth in range(nesting if "cloudpickle" in codecs else 0, 0, -1):
        for keys in queues:
            inner = keys.at_depth(depth)
            found[inner.tasks] = inner
    for keys in queues:
        if "cloudpickle" in codecs:
            found[keys.python] = keys
        found[keys.queue] = keys
    return found
