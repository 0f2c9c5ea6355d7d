"""The body of joblib's jobs: it makes the calls of a batch, whose large arrays may be in the environment."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydoredis.iteration.caller import Buffer, load

BYTES_PER_S = 1e8
"""What is sent along counts as if it took time: batches of large arrays should stay small."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A large buffer on its way; what arrives is a memoryview.

    It stands for `pickle.PickleBuffer(view)`, which ends the process (CPython 3.11 at least) if the garbage
    collector finds it in a cycle: it empties the view before the PickleBuffer gives it back.

    Attributes:
        view: The buffer.
    """

    view: memoryview

    def __reduce__(self) -> tuple[type[memoryview], tuple[pickle.PickleBuffer]]:
        return memoryview, (pickle.PickleBuffer(self.view),)


@dataclass(frozen=True, slots=True)
class BatchCaller:
    """Makes the calls of batches that come as bytes.

    Attributes:
        shared: Large buffers of their arguments.
        read_only: Whether large arrays cannot be written to. If not, each batch has its own copy.
    """

    shared: Sequence[memoryview | Sent] = ()
    read_only: bool = True

    def __call__(self, batch: bytes, buffers: Sequence[int | memoryview] = ()) -> tuple[Any, float]:
        """Make the calls of a batch; their values, and how many seconds the batch is worth.

        Args:
            batch: Called without arguments, pickled.
            buffers: Its large buffers, or which of the shared ones they are.

        Raises:
            EvaluatorError: If it cannot be unpickled here.
            Exception: Whatever a call raises.
        """
        start_s = time.perf_counter()
        sent_bytes = len(batch) + sum(one.nbytes for one in buffers if not isinstance(one, int))
        found = load("the calls", batch, [*map(self._view, buffers)])()
        return found, time.perf_counter() - start_s + sent_bytes / BYTES_PER_S

    def _view(self, buffer: int | memoryview) -> Buffer:
        view = self.shared[buffer] if isinstance(buffer, int) else buffer
        assert isinstance(view, memoryview)  # it has arrived
        return view.toreadonly() if self.read_only else bytearray(view)
