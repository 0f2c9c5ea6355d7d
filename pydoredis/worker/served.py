"""What a worker serves on this machine: which codecs, and R how."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pydoredis.errors import EvaluatorError
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec
from pydoredis.store import Lists
from pydoredis.worker import engines

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """Codecs in order of preference, and the engine for R (of no account without the codec `r`)."""

    codecs: tuple[Codec, ...]
    r_engine: engines.REngine


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
        log.info("R jobs are not served: %s", error)
        return Served(("cloudpickle",), "rscript")
    log.info("R engine %s: %s", choice.engine, choice.reason)
    return Served(("r",) if codec == "r" else ("r", "cloudpickle"), choice.engine)


def lists(queues: Sequence[QueueKeys], codecs: Sequence[Codec]) -> Lists:
    """Where tasks come from: the queues, each after its list of tasks for Python workers alone."""
    found: dict[str, QueueKeys] = {}
    for keys in queues:
        if "cloudpickle" in codecs:
            found[keys.python] = keys
        found[keys.queue] = keys
    return found
