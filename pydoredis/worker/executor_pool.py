"""The executors of one agent: started, spoken to, heard, buried. What is done with them the core decides."""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable, Collection
from typing import Any

from pydoredis.protocol.keys import QueueKeys
from pydoredis.protocol.messages import Codec
from pydoredis.settings import ConnectionSettings
from pydoredis.worker.answer_reader import AnswerReader
from pydoredis.worker.core import events, instructions
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.environment_files import EnvironmentFiles
from pydoredis.worker.executor_handle import ExecutorHandle, Setup
from pydoredis.worker.frames import FrameError
from pydoredis.worker.launch import Launcher
from pydoredis.worker.pipe_watch import PipeWatch
from pydoredis.worker.task_output import OutputLine
from pydoredis.worker.value_requests import ValueRequests

log = logging.getLogger(__name__)

LAST_MOMENTS_S = 0.5
"""How long a process that has closed its pipe may take to end by itself."""

KILL_PATIENCE_S = 5.0
"""How long a process may take to end that was killed. One that waits for a device does not end before that
answers: then it is left to the system, and its tasks go on elsewhere."""

DISMISS_TIMEOUT_S = 5.0


class ExecutorPool:
    """Carries out what the core wants of executors, and tells it what they do. Never waits for one.

    Args:
        selector: The loop's.
        wake: Ends the wait of the loop, from any thread.
        connection: Where values of bodies are.
        launcher: Starts executors.
        here: Tells executors of Python bodies where their tasks come from.
        printed: Called with each line that executors print.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        connection: ConnectionSettings,
        launcher: Launcher,
        here: Callable[[QueueKeys], bytes] | None,
        printed: Callable[[OutputLine], None],
    ) -> None:
        self._watch = PipeWatch(selector)
        self._setup = Setup(launcher, here)
        self._handles: dict[int, ExecutorHandle] = {}
        self._values = ValueRequests(connection, wake)
        self._answers = AnswerReader(self._values, printed)
        self._touched: dict[int, None] = {}  # those to be flushed
        self._heard: dict[int, None] = {}  # those that have something to say
        self._dying: dict[int, float] = {}  # those that must have ended at this time (monotonic)
        self._lost: list[ExecutorHandle] = []  # those that were killed and do not end

    def hand(self, executor: int, lease: Lease) -> None:
        """Line up a task for an executor; `flush` sends it."""
        handle = self._handles.get(executor)
        if handle is not None:
            handle.send(lease)
            self._touched[executor] = None

    def flush(self) -> None:
        """Send what was lined up."""
        for number in self._touched:
            handle = self._handles.get(number)
            if handle is not None:
                handle.flush()
                self._watch.writing(handle)
        self._touched.clear()

    def carry_out(self, instruction: instructions.Instruction) -> events.Event | None:
        """Do what an instruction says; returns the answer, if it has one that comes at once."""
        if isinstance(instruction, instructions.Hire):
            return self._hire(instruction.executor, instruction.codec)
        if isinstance(instruction, instructions.Keep):
            return _keep(self._setup.files, instruction)
        if isinstance(instruction, instructions.Forget):
            for each in self._handles.values():
                each.forget(instruction.job)
                self._touched[each.number] = None
            return None
        handle = self._handles.get(getattr(instruction, "executor"))  # noqa: B009 - all that are left have one
        if handle is None:
            return None
        match instruction:
            case instructions.Recall():
                return self._recall(handle)
            case instructions.Interrupt():
                handle.interrupt()
                self._watch.writing(handle)
            case instructions.Kill(_, reason):
                self._kill(handle, reason)
            case instructions.Dismiss():
                self._watch.end_tasks(handle)
                handle.dismiss()
            case instructions.Look():
                return events.Place(handle.number, handle.place_since_s())
            case instructions.Weigh():
                return events.Memory(handle.number, handle.process.memory_bytes())
        return None

    def _hire(self, number: int, codec: Codec) -> events.Event:
        try:
            handle = ExecutorHandle(number, codec, self._setup)
        except OSError as error:
            return events.HireFailed(number, str(error))
        self._handles[number] = handle
        self._watch.begin(handle)
        return events.Hired(number, handle.pid)

    def _recall(self, handle: ExecutorHandle) -> events.Event:
        """Take back what an executor has not begun; nothing if it has taken wrong tokens: it is ended."""
        try:
            leases = handle.recall()
        except FrameError as error:
            leases = []
            self._break_off(handle, error)
        self._watch.writing(handle)
        return events.Recalled(handle.number, [lease.number for lease in leases])

    def _kill(self, handle: ExecutorHandle, reason: str) -> None:
        handle.kill(reason)
        self._dying.setdefault(handle.number, time.monotonic() + KILL_PATIENCE_S)
        self._heard[handle.number] = None

    @property
    def due_s(self) -> float:
        """When (monotonic) to call `collect`, whatever happens until then; infinity if there is no need."""
        if self._heard:
            return 0.0
        return min(self._dying.values(), default=float("inf"))

    def ready(self, key: Any, mask: int) -> None:
        """The selector has named one of the descriptors."""
        handle: ExecutorHandle = key.data
        if mask & selectors.EVENT_WRITE:
            handle.flush()
            self._watch.writing(handle)
        else:
            self._heard[handle.number] = None

    def look_at_all(self) -> None:
        """Something has happened that has no descriptor: a process may have ended, a value may have come."""
        for handle in list(self._handles.values()):
            if handle.died():
                self._heard[handle.number] = None
        self._lost = [handle for handle in self._lost if not handle.died()]
        for number, request, status, value in self._values.answers():
            asker = self._handles.get(number)
            if asker is not None:
                asker.answer(request, status, value)
                self._watch.writing(asker)

    def collect(self, now_s: float) -> list[events.Event]:
        """What executors did since the last call; a death after all else that was left to read."""
        happened: list[events.Event] = []
        heard, self._heard = self._heard, {}
        for number in heard:
            handle = self._handles.get(number)
            if handle is not None:
                happened += self._hear(handle)
        for number, due_s in list(self._dying.items()):
            handle = self._handles.get(number)
            if handle is not None and now_s >= due_s:
                happened += self._give_up(handle)
        return happened

    def _hear(self, handle: ExecutorHandle) -> list[events.Event]:
        ended = handle.died()
        happened, broken = self._answers.read(handle)
        if handle.output.pipe.ended:
            self._watch.end_output(handle)
        if isinstance(broken, FrameError):
            self._break_off(handle, broken)
        elif isinstance(broken, EOFError):
            # Nobody is left who could answer. A process that dies has given up its memory before it closes
            # its pipes, so the rest takes no time.
            self._watch.end_answers(handle)
            self._dying.setdefault(handle.number, time.monotonic() + LAST_MOMENTS_S)
        if ended or handle.died():
            self._answers.print_rest(handle)
            happened.append(self._bury(handle))
        return happened

    def _break_off(self, handle: ExecutorHandle, error: FrameError) -> None:
        """End an executor that does not keep to the protocol: nothing that it says can be trusted."""
        if handle.killed_for is None:
            log.error("executor %d does not keep to the frame protocol: %s", handle.pid, error)
        self._watch.end_answers(handle)
        self._kill(handle, f"broke the frame protocol: {error}")

    def _give_up(self, handle: ExecutorHandle) -> list[events.Event]:
        """A process has not ended in its time."""
        if handle.died():
            return self._hear(handle)
        if handle.killed_for is None:
            self._dying.pop(handle.number, None)
            self._kill(handle, "closed its pipe to the agent")
            return []
        log.error("executor %d does not end although it was killed: left to the system", handle.pid)
        self._lost.append(handle)
        return [self._bury(handle)]

    def _bury(self, handle: ExecutorHandle) -> events.Event:
        """Forget an executor; returns what is to be told of its end."""
        died = events.Died(
            *(handle.number, handle.obituary(), handle.iteration, handle.process.status),
            "\n".join(line.text for line in handle.output.tail),
        )
        del self._handles[handle.number]
        self._dying.pop(handle.number, None)
        self._watch.end(handle)
        handle.close()
        return died

    def close(self) -> None:
        """Let all executors end; kill those that take too long."""
        for handle in self._handles.values():
            self._watch.end(handle)
            handle.dismiss()
        _await_ends(self._handles.values())
        self._values.close()


def _keep(files: EnvironmentFiles, instruction: instructions.Keep) -> events.Event | None:
    """Put bytes of a job's pieces into its environment; the answer if there is no room for that."""
    try:
        files.keep(instruction.job, instruction.first, instruction.content)
    except (OSError, MemoryError) as error:
        return events.NotKept(instruction.job, str(error) or "there is no memory left")
    return None


def _await_ends(handles: Collection[ExecutorHandle]) -> None:
    """Wait until processes have ended that were told to; kill those that take too long."""
    deadline_s = time.monotonic() + DISMISS_TIMEOUT_S
    for handle in handles:
        if not handle.process.wait(deadline_s - time.monotonic()):
            handle.kill("did not end by itself")
    deadline_s = time.monotonic() + KILL_PATIENCE_S
    for handle in handles:
        if not handle.process.wait(deadline_s - time.monotonic()):
            log.error("executor %d does not end although it was killed: left to the system", handle.pid)
        handle.close()
