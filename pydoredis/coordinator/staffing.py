"""Whether anybody on a queue can run a job, and what to do if not. No I/O: facts come in, words go out."""

from __future__ import annotations

from dataclasses import dataclass

from pydoredis.protocol.messages import Codec
from pydoredis.protocol.presence import Presence, Staff, minor_version

_LANGUAGES: dict[Codec, str] = {"r": "R", "cloudpickle": "Python"}


FIRST_LOOK_S = 1.0
"""Seconds without a result after which it is looked whether anybody can run the job."""

LOOK_GROWTH = 5
"""How many times as long it takes to each look after that: 5 seconds, half a minute, two minutes ..."""

PATIENCE_S = 5.0
"""Seconds without a result after which it is said that nobody is there just now: workers may be starting."""

LONGEST_PAUSE_S = 600.0


class StaffWatch:
    """When to look who is on the queue of a job that gets no results."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._pause_s = FIRST_LOOK_S
        self._due_s = 0.0

    def reset(self, now_s: float) -> None:
        """The job begins, or a result came."""
        self._since_s = now_s
        self._pause_s = FIRST_LOOK_S
        self._due_s = now_s + self._pause_s

    def due(self, now_s: float) -> float | None:
        """For how many seconds there was no result, each time it is worth a look."""
        if now_s < self._due_s:
            return None
        self._pause_s = min(self._pause_s * LOOK_GROWTH, LONGEST_PAUSE_S)
        self._due_s = now_s + self._pause_s
        return now_s - self._since_s


@dataclass(frozen=True, slots=True)
class Need:
    """What a job needs of a worker.

    Attributes:
        queue: Its queue.
        server: Where that is, for people.
        codec: The language of its body.
        python: The only minor version of Python that can run it, as 3.11; empty if any can.
    """

    queue: str
    server: str
    codec: Codec
    python: str = ""


@dataclass(frozen=True, slots=True)
class Shortage:
    """Nobody can run a job.

    Attributes:
        reason: Why, and what to do.
        is_final: Whether workers of its language are there, but none of them ever can.
    """

    reason: str
    is_final: bool = False


def shortage(need: Need, staff: Staff, *, silent_s: float | None = None) -> Shortage | None:
    """Why nobody on the queue can run the job; None if somebody can, as far as that is known.

    Args:
        need: What the job needs.
        staff: Who is there.
        silent_s: For how long nobody has taken a task of the job, if that is so.
    """
    if any(agent.fits(need.codec, need.python) for agent in staff.agents):
        return None
    start = f"pydoredis worker --queue {need.queue} --url {need.server}"
    if not staff.counted and not staff.agents:
        others = f" Other queues have workers: {', '.join(staff.elsewhere)}." if staff.elsewhere else ""
        return Shortage(f"no worker serves queue {need.queue!r}: start some with `{start}`.{others}")
    language = _LANGUAGES[need.codec]
    same_language = [agent for agent in staff.agents if need.codec in agent.codecs]
    if same_language:
        versions = sorted({minor_version(agent.python) for agent in same_language})
        return Shortage(
            f"the job holds code of Python {need.python}, but the workers on {need.queue!r} have "
            f"Python {', '.join(versions)}. Run both with the same version, or put the functions into a "
            "module that is installed on the workers",
            is_final=True,
        )
    if need.codec == "r" and staff.of_r:
        if silent_s is None:
            return None
        return Shortage(
            f"{staff.of_r} workers are counted on queue {need.queue!r}, but for {silent_s:.0f} s none of "
            "them has taken a task: they are busy with other work, or dead (R workers that were killed stay "
            "counted)"
        )
    who = [f"{staff.of_r} of R's own"] if staff.of_r else []
    who += [f"{agent.workers} on {agent.host} for {_spoken(agent)} only" for agent in staff.agents]
    return Shortage(
        f"no worker on queue {need.queue!r} runs {language}; there are {', '.join(who)}. Start some with "
        f"`{start} --codec {need.codec}`"
    )


def _spoken(agent: Presence) -> str:
    return " and ".join(_LANGUAGES[codec] for codec in agent.codecs) or "nothing"
