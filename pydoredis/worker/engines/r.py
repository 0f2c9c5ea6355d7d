"""R expressions, evaluated by an R inside this process (`rinterop.runtime`); semantics in `evaluate.R`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydoredis.worker.engines.base import Ask, Keep, TaskInterrupted, TaskRefused, keep_nothing
from pydoredis.worker.frames import INTERRUPTED_BODY, PARTIAL_HEAD
from rinterop.runtime.base import RError, RJump, Runtime

HERE = Path(__file__).parent


class REngine:
    """R through `runtime`; see `pydoredis.worker.engines.base.Engine`."""

    def __init__(self, runtime: Runtime, ask: Ask, name: str, keep: Keep = keep_nothing) -> None:
        self.name = name
        self._keep = keep
        self._runtime = runtime
        self._ask = ask
        self._answer = b""
        runtime.source(
            *(HERE / name for name in ("evaluate.R", "doredis.R", "embedded.R")),
            provide={
                "ask_agent": self._ask_agent,
                "agent_answer": self._agent_answer,
                "send_partial": self._send_partial,
            },
        )
        self._load = runtime.function("load_environment", 1)
        self._forget = runtime.function("forget_environment", 1)
        self._watch_output = runtime.function("watch_output", 1)
        self._verdict = runtime.function("verdict", 1)
        self._restore = runtime.function("restore", 1)
        self._run = runtime.function("run_task", 2)
        self._resume = runtime.function("resume_task")

    def load(self, number: int, data: bytes) -> None:
        """Keep a job environment; R reads it when the first task comes."""
        self._load(data, number)

    def forget(self, number: int) -> None:
        """Let a job environment go."""
        self._forget(b"", number)

    def watch_output(self, fd: int, cut: bytes) -> None:
        """See `Engine.watch_output`."""
        self._watch_output(cut, fd)

    def run(
        self,
        number: int,
        payload: bytes,
        verdicts: Mapping[int, str],
        kept: Sequence[bytes] = (),
        place: int = 1,
    ) -> bytes:
        """Run a task; see `Engine.run`."""
        for index, text in verdicts.items():
            self._verdict(text.encode(), index)
        for part in kept:
            (finished,) = PARTIAL_HEAD.unpack_from(part)
            self._restore(part[PARTIAL_HEAD.size :], finished)
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
            if len(result) == INTERRUPTED_BODY.size:
                raise TaskInterrupted(*INTERRUPTED_BODY.unpack(result))
            return result

    def forget_interrupt(self) -> None:
        """A SIGINT that waits for a body is not meant for those to come."""
        self._runtime.forget_interrupt()

    def close(self) -> None:
        """End R, and the process with it."""
        self._runtime.quit()

    def _send_partial(self, part: bytes) -> bytes:
        self._keep(part)
        return b""

    # The value travels apart from the status: in R, taking a byte off a big vector copies it.

    def _ask_agent(self, request: bytes) -> bytes:
        answer = self._ask(request)
        self._answer = answer[1:]
        return answer[:1]

    def _agent_answer(self, _: bytes) -> bytes:
        answer, self._answer = self._answer, b""
        return answer
