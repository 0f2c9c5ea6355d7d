"""Which queue, job and task the keys of a server belong to.

doRedis joins names with dots and escapes nothing, so `a.b.env.J` may be the environment of job J on queue
`a.b` and nothing else, although it begins like a key of queue `a`. What decides is the form of what follows:
a job ID ends in a time, a task tag begins with `iters`. Where two queues remain possible, one that is open
(`.live`, `.count`) comes before others, and a longer name before a shorter one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pydoredis.protocol.keys import SIDE_KINDS, QueueKeys

_ID = r"\d+_.*_.*_\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d\.\d+"
# Malformed tasks bring IDs without a form, even empty ones; those with a dot could be anything.
_ANY_ID = rf"(?:{_ID}|[^.]*)"
_KINDS = re.compile(r"\.(?=(env|out|start|alive)\.)")
_REST = {
    "job": re.compile(rf"({_ANY_ID})()", re.DOTALL | re.ASCII),
    "task": re.compile(rf"({_ANY_ID})\.(iters -?\d+\.\.\.-?\d+ host .*|)", re.DOTALL | re.ASCII),
}
_GLOB = re.compile(r"[*?\[\]\\^]")


class Mark(NamedTuple):
    """A task, by the names that its start and alive keys have in common."""

    job: str
    tag: str


@dataclass
class Family:
    """The keys of one queue that a server holds. The list of tasks itself and side keys are not among them.

    Attributes:
        keys: How the queue's keys are spelt.
        live: Whether the queue is open.
        counted: Whether there is a worker count.
        env, out: Jobs that have such a key.
        start, alive: Tasks that have such a key.
        names: All names.
    """

    keys: QueueKeys
    live: bool = False
    counted: bool = False
    env: set[str] = field(default_factory=set)
    out: set[str] = field(default_factory=set)
    start: set[Mark] = field(default_factory=set)
    alive: set[Mark] = field(default_factory=set)
    names: list[str] = field(default_factory=list)

    @property
    def is_queue(self) -> bool:
        """Whether there is more than a key that happens to end in `.count`."""
        return self.live or bool(self.env or self.out or self.start or self.alive)


class _Place(NamedTuple):
    queue: str
    kind: str
    mark: Mark


def sort_keys(names: Iterable[str]) -> dict[str, Family]:
    """The families among these names, by queue. Names of any other form are left out."""
    families: dict[str, Family] = {}

    def family(queue: str) -> Family:
        return families.setdefault(queue, Family(QueueKeys(queue)))

    others: list[str] = []
    for name in names:
        queue, _, kind = name.rpartition(".")
        if not queue or kind not in ("live", "count"):
            others.append(name)
            continue
        found = family(queue)
        found.names.append(name)
        if kind == "live":
            found.live = True
        else:
            found.counted = True
    opened = frozenset(families)
    for name in others:
        place = max(_places(name), key=lambda place: (place.queue in opened, len(place.queue)), default=None)
        if place is None:
            continue
        found = family(place.queue)
        found.names.append(name)
        if place.kind == "env":
            found.env.add(place.mark.job)
        elif place.kind == "out":
            found.out.add(place.mark.job)
        elif place.kind == "start":
            found.start.add(place.mark)
        else:
            found.alive.add(place.mark)
    return families


def _places(name: str) -> Iterator[_Place]:
    """All that a name may be."""
    for dot in _KINDS.finditer(name):
        queue, kind = name[: dot.start()], dot[1]
        form = _REST["task" if kind in ("start", "alive") else "job"]
        rest = form.fullmatch(name, dot.end() + len(kind) + 1)
        if queue and rest:
            yield _Place(queue, kind, Mark(rest[1], rest[2]))


def side_keys(keys: QueueKeys, names: Iterable[str]) -> list[str]:
    """Those of the names that are side keys of the queue.

    Other programs may have keys that begin like them, so what follows must be known.
    """
    prefix = keys.side_prefix
    return [
        name
        for name in names
        if name.startswith(prefix) and name[len(prefix) :].partition(":")[0] in SIDE_KINDS
    ]


def names_job(text: str, job: str) -> bool:
    """Whether somebody who writes `text` may mean this job: by its ID, the beginning of it, or its process.

    A number stands for the whole process number: 123 is not the beginning of 1234.
    """
    if text.isdigit():
        return job.partition("_")[0] == text
    return bool(text) and job.startswith(text)


def in_pattern(name: str) -> str:
    """`name` as it stands in a Redis pattern that is to match just it."""
    return _GLOB.sub(r"\\\g<0>", name)
