"""R expressions, evaluated by an R inside this process (`rinterop.runtime`); semantics in `evaluate.R`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydoredis.worker.engines.base import Ask, Keep, Stored, TaskInterrupted, TaskRefused, keep_nothing
from pydoredis.worker.frames import Bytes
from rinterop.runtime.base import RError, RJump, Runtime

HERE = Path(__file__).parent

_INDEX_BYTES = 4
"""Of an integer in R, as which evaluate.R names an iteration."""


class REngine:
    """R through `runtime`; see `pydoredis.worker.engines.base.Engine`."""

    def __init__(self, runtime: Runtime, ask: Ask, name: str, keep: Keep = keep_nothing) -> None:
        self.name = name
        self._keep = keep
        self._runtime = runtime
        self._ask = ask
        self._answer: Bytes = b""
        runtime.source(
            *(HERE / name for name in ("evaluate.R", "doredis.R", "embedded.R")),
            provide={
                "ask_agent": self._ask_agent,
                "agent_answer": self._agent_answer,
                "send_part": self._send_partial,
            },
        )
        self._load = runtime.function("load_environment", 1)
        self._forget = runtime.function("forget_environment", 1)
        self._watch_output = runtime.function("watch_output", 2)
        self._verdict = runtime.function("verdict", 1)
        self._restore = runtime.function("restore", 1)
        self._run = runtime.function("run_task", 2)
        self._resume = runtime.function("resume_task")

    def load(self, number: int, data: Stored) -> None:
        """Keep a job environment; R reads it when the first task comes."""
        self._load(data, number)

    def forget(self, number: int) -> None:
        """Let a job environment go."""
        self._forget(b"", number)

    def watch_output(self, fd: int, cut: Bytes, times: int) -> None:
        """See `Engine.watch_output`."""
        self._watch_output(cut, fd, times)

    def run(
        self,
        number: int,
        payload: Bytes,
        verdicts: Mapping[int, str],
        kept: Sequence[tuple[int, Bytes]] = (),
        place: int = 1,
    ) -> bytes:
        """Run a task; see `Engine.run`."""
        for index, text in verdicts.items():
            self._verdict(text.encode(), index)
        for finished, part in kept:
            self._restore(part, finished)
        try:
            return self._run(payload, number, place)
        except RJump:
            return self._go_on()
        except RError as exc:
            raise TaskRefused(str(exc)) from exc

    def _go_on(self) -> bytes:
        """A body jumped to top level: the rest of the task is run all the same, unless it was interrupted."""
        while True:
            try:
                result = self._resume(b"")
            except RJump:
                continue
            except RError as exc:
                raise TaskRefused(str(exc)) from exc
            if len(result) == _INDEX_BYTES:
                raise TaskInterrupted(int.from_bytes(result, "little"))
            return result

    def forget_interrupt(self) -> None:
        """A SIGINT that waits for a body is not meant for those to come."""
        self._runtime.forget_interrupt()

    def close(self) -> None:
        """End R, and the process with it."""
        self._runtime.quit()

    def _send_partial(self, part: bytes) -> bytes:
        self._keep(int.from_bytes(part[-_INDEX_BYTES:], "little"), part[:-_INDEX_BYTES])
        return b""

    # The value travels apart from the status: in R, taking a byte off a big vector copies it.

    def _ask_agent(self, request: bytes) -> bytes:
        status, self._answer = self._ask(request)
        return status

    def _agent_answer(self, _: bytes) -> Bytes:
        answer, self._answer = self._answer, b""
        return answer
