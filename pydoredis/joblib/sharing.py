"""Which large buffers are in a job's environment, and which travel with their calls.

An environment is sent once, and is on each machine once; but nothing can be added to it, so what is new takes
a new job with a new environment. No I/O: buffers come in with what stands for them, and plans go out.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydoredis.futures.packing import Digest, Packed

Place: TypeAlias = "int | memoryview"
"""Of a buffer: its place in the environment, or the buffer itself, which travels with its call."""

MOST_BESIDE_BYTES: Final = 1 << 28
"""More than this does not travel with a call: Redis takes 512 MB as one value."""

MOST_SEEN: Final = 4096
"""Of how many buffers it is remembered that they were there before."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one call travels.

    Attributes:
        places: Of each of its buffers.
        environment: What is in the environment of a new job for it; None: that of the present job.
        is_lasting: Whether the new job takes the place of the present one; else it is for this call alone.
    """

    places: Sequence[Place]
    environment: Sequence[memoryview] | None = None
    is_lasting: bool = True


class Sharing:
    """What is in the environment of the present job, and what should be in that of the next.

    The first large buffers are in the first environment. Others travel with their calls, and what comes again
    as well, until that has cost as much as the environment: then the next job has in its own what came again,
    and what was used of the old one. So no more is sent than a few times the least, and what a program has
    dropped is not kept.
    """

    def __init__(self) -> None:
        self._shared: dict[Digest, memoryview] = {}
        self._used: set[Digest] = set()  # of those, since the job began
        self._seen: OrderedDict[Digest, None] = OrderedDict()
        self._again: dict[Digest, memoryview] = {}
        self._again_bytes = 0

    def plan(self, buffers: Sequence[tuple[Digest, memoryview]]) -> Plan:
        """How a call with these buffers travels."""
        strange = {digest: buffer for digest, buffer in buffers if digest not in self._shared}
        self._used.update(digest for digest, _ in buffers if digest in self._shared)
        for digest, buffer in strange.items():
            if digest in self._seen:
                self._again[digest] = buffer
                self._again_bytes += buffer.nbytes
            self._seen[digest] = None
            self._seen.move_to_end(digest)
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        if strange and not self._shared:
            return self._begin(strange, buffers)
        if self._again.keys() & strange.keys() and self._again_bytes >= _size(self._shared.values()):
            used = {digest: buffer for digest, buffer in self._shared.items() if digest in self._used}
            return self._begin({**used, **self._again}, buffers)
        if _size(strange.values()) > MOST_BESIDE_BYTES:
            alone = dict(buffers)
            return Plan(_places(alone, buffers), [*alone.values()], is_lasting=False)
        return Plan(_places(self._shared, buffers))

    def _begin(self, shared: dict[Digest, memoryview], buffers: Sequence[tuple[Digest, memoryview]]) -> Plan:
        self._shared, self._used = shared, set()
        self._again, self._again_bytes = {}, 0
        return Plan(_places(shared, buffers), [*shared.values()])

    @property
    def shared(self) -> Sequence[memoryview]:
        """What is in the environment of the present job."""
        return [*self._shared.values()]


def _places(shared: dict[Digest, memoryview], buffers: Iterable[tuple[Digest, memoryview]]) -> list[Place]:
    numbers = {digest: number for number, digest in enumerate(shared)}
    return [numbers.get(digest, buffer) for digest, buffer in buffers]


def _size(buffers: Iterable[memoryview]) -> int:
    return sum(buffer.nbytes for buffer in buffers)


class Digests:
    """What stands for large buffers. Those of an object that was there before are not read again.

    So the same object is the same data, as long as it is: that is a rule of joblib's within one call of
    `Parallel`.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[weakref.ref[Any], Digest]] = {}

    def of(self, span: tuple[int, int], buffer: memoryview, owner: object) -> Digest:
        """What stands for a buffer.

        Args:
            span: Its address and size.
            buffer: The buffer.
            owner: The object that it belongs to.
        """
        if span in self._known:
            found, digest = self._known[span]
            if found() is owner:
                return digest
        digest = Packed(b"", [buffer]).digest()
        with contextlib.suppress(TypeError):  # objects without weak references are read each time
            self._known[span] = weakref.ref(owner, lambda _: self._known.pop(span, None)), digest
        return digest
