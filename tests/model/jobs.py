"""The job that everybody works on: its messages, and what its values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import rinterop
from pydoredis.errors import WorkerCrashed
from pydoredis.protocol import python, wire
from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec, Verdict
from pydoredis.protocol.python import Program, PythonCodec
from rinterop import values

QUEUE: Final = QueueKeys("Q")
JOB: Final = "1_user_host_2026-11-29-04:00:00.000"
NO_ITERATIONS: Final = rinterop.dumps(values.named_list(ID=values.character(JOB), argsList=values.list_()))
"""What an R coordinator submits that found a start key gone (protocol 12.6)."""


def value_of(i: int) -> int:
    """The body."""
    return 10 * i


CRASHED: Final = "crashed"
"""What counts as the value of an iteration that killed too many executors."""


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        tasks: How many it has.
        chunk_size: Iterations in each.
        codec: The language of its body, and of its coordinator.
    """

    tasks: int
    chunk_size: int
    codec: Codec

    @property
    def iterations(self) -> range:
        """All of them."""
        return range(1, self.tasks * self.chunk_size + 1)

    @cached_property
    def python_codec(self) -> PythonCodec:
        """How a Python coordinator writes it."""
        return PythonCodec(Program(value_of, seed=1))

    @cached_property
    def environment(self) -> bytes:
        """What its environment key holds."""
        if self.codec == "cloudpickle":
            return self.python_codec.encode_environment().value
        exports = wire.export_environment({})
        return rinterop.dumps(
            values.named_list(
                expr=values.symbol("i"), parentenv=values.NULL, exportenv=exports, packages=values.NULL
            )
        )

    @cached_property
    def payloads(self) -> dict[tuple[int, ...], bytes]:
        """Messages of all tasks, by iterations."""
        blocks = [
            self.iterations[n : n + self.chunk_size] for n in range(0, len(self.iterations), self.chunk_size)
        ]
        return {tuple(block): self._payload(block) for block in blocks}

    def _payload(self, block: Sequence[int]) -> bytes:
        if self.codec == "cloudpickle":
            return self.python_codec.encode_task(JOB, block[0], [((), {"i": i}) for i in block])
        elements: list[tuple[str, values.RValue]] = [
            (str(i), values.named_list(i=values.integer(i), **{".Random.seed": values.integer(i)}))
            for i in block
        ]
        return wire.encode_task(JOB, elements)

    def result(self, iterations: Sequence[int], verdicts: Mapping[int, Verdict]) -> bytes:
        """The message with which an executor answers a task."""
        if self.codec == "cloudpickle":
            outcomes: list[python.Outcome] = [
                python.failure(WorkerCrashed(JOB, [i], verdicts[i].message))
                if i in verdicts
                else ("ok", value_of(i))
                for i in iterations
            ]
            return python.encode_result(iterations, outcomes)
        elements = {
            str(i): values.condition(verdicts[i].message, verdicts[i].condition_class, "error", "condition")
            if i in verdicts
            else values.integer(value_of(i))
            for i in iterations
        }
        return rinterop.dumps(values.named_list(**elements))

    def read(self, message: bytes) -> dict[int, object]:
        """The values in a result message, by iteration."""
        if self.codec == "cloudpickle":
            items = self.python_codec.decode_result(JOB, message).items
            return {i: value if sound else _failure(value) for i, sound, value in items}
        numbers, elements = wire.decode_result(message)
        return {
            i: CRASHED
            if wire.AGENT_CLASSES.intersection(values.class_(element))
            else rinterop.to_python(element)
            for i, element in zip(numbers, elements, strict=True)
        }


def _failure(error: object) -> object:
    return CRASHED if isinstance(error, WorkerCrashed) else error
