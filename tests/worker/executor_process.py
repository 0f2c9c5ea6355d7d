"""The agent's side of an executor's pipes, for tests: starts a real process and talks frames to it."""

from __future__ import annotations

import functools
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pydoredis.worker import engines
from pydoredis.worker.answers import Request, decode
from pydoredis.worker.frame_streams import FrameBuffer, Outgoing, pack
from pydoredis.worker.frames import Answer, Frame, Kind, Operation
from pydoredis.worker.output import Line, Output
from pydoredis.worker.starts import Starts, open_ends

TIMEOUT_S = 90.0
"""On a machine that is busy with much else; pytest's own limit is above it."""

DATA = Path(__file__).parent.parent / "data" / "executor"


class Peer:
    """An R process beside the executor: it makes messages and reads results (`peer.R`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["Rscript", str(DATA / "peer.R")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def make(self, code: str) -> bytes:
        """The raw vector that R code gives."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(code.split("\n")).encode() + b"\n")
        self._process.stdin.flush()
        length = self._process.stdout.readline()
        assert length, "the R peer died"
        return self._process.stdout.read(int(length))

    def show(self, message: bytes, code: str = "value") -> str:
        """R's text for a message, or for what `code` makes of it (as `value`)."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(message)
            file.flush()
            return self.make(f"{{ value <- read('{file.name}'); {code} }}").decode()


@functools.cache
def peer() -> Peer:
    """The R peer of the test session."""
    return Peer()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail after `TIMEOUT_S`."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)


@dataclass
class Store:
    """What bodies find in Redis."""

    values: dict[bytes, bytes] = field(default_factory=dict)

    def answer(self, request: Request) -> tuple[Answer, bytes]:
        """Carry out one request as an agent does."""
        match request.operation:
            case Operation.GET:
                found = self.values.get(request.key)
                return (Answer.ABSENT, b"") if found is None else (Answer.VALUE, found)
            case Operation.SET:
                self.values[request.key] = request.value
                return Answer.VALUE, b""
            case Operation.DELETE:
                return Answer.VALUE, b"0" if self.values.pop(request.key, None) is None else b"1"


class Executor:
    """A running executor process; a context manager that ends it by closing its pipe."""

    def __init__(
        self,
        codec: engines.Codec = "r",
        r_engine: engines.REngine = "rpy2",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        their_in, self._to = os.pipe()
        self._from, their_out = os.pipe()
        self.output = Output()
        self.starts = Starts(open_ends())
        theirs = engines.Descriptors(their_in, their_out, self.output.theirs, self.starts.theirs)
        command, variables = engines.command(codec, r_engine, theirs)
        self.process = subprocess.Popen(
            command,
            env={**variables, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.output.theirs,
            stderr=self.output.theirs,
            pass_fds=(*theirs, self.output.times),
        )
        for fd in {*theirs, self.output.times}:
            os.close(fd)
        self.store = Store()
        self.lines: list[Line] = []
        self._printed = threading.Condition()
        threading.Thread(target=self._collect_output, daemon=True).start()
        self._buffer = FrameBuffer()
        self._frames: list[Frame] = []
        self._was_ended = False
        self._watchdog = threading.Timer(TIMEOUT_S, self._end)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._numbers = 0
        self.parts: list[Frame] = []
        self.send(Kind.CUT, self.output.times, body=self.output.cut)
        ready = self.receive()
        assert ready is not None, self.end_output()
        assert ready.kind == Kind.READY
        self.name = ready.body.decode()

    def _collect_output(self) -> None:
        while not self.output.ended:
            select.select([self.output], [], [])
            with self._printed:
                self.lines.extend(self.output.lines())
                if self.output.ended:
                    self.lines.extend(self.output.end_of_line())
                self._printed.notify_all()

    @property
    def printed(self) -> str:
        """All that was printed so far, in whole lines."""
        return "".join(f"{line.text}\n" for line in self.lines)

    def wait_for_output(self, text: str) -> None:
        """Wait until it has printed `text`: output comes by another way than results, perhaps after them."""
        with self._printed:
            found = self._printed.wait_for(lambda: text in self.printed, TIMEOUT_S)
            assert found, f"waited in vain for {text!r} in {self.printed!r}"

    def _end(self) -> None:
        self._was_ended = True
        self.process.kill()

    def end_output(self) -> str:
        """All that was printed, once the process has closed its output; and whether that was our doing."""
        with self._printed:
            self._printed.wait_for(lambda: self.output.ended, TIMEOUT_S)
            return self.printed + (f"\n(ended after {TIMEOUT_S:g} s)" if self._was_ended else "")

    def send(self, kind: Kind, token: int, *head: object, body: bytes = b"") -> None:
        """Send one frame."""
        outgoing = Outgoing()
        outgoing.add(pack(kind, token, *head, body=body))
        outgoing.write(self._to)

    def receive(self) -> Frame | None:
        """The next frame that is no request and no `parts` of a task; None at the end of the pipe.

        Requests are answered.
        """
        while True:
            while not self._frames:
                try:
                    self._frames.extend(self._buffer.read(self._from))
                except EOFError:
                    return None
            frame = self._frames.pop(0)
            if frame.kind == Kind.PARTIAL:
                self.parts.append(frame)
                continue
            if frame.kind != Kind.REQUEST:
                return frame
            request = decode(frame)
            assert isinstance(request, Request)
            status, value = self.store.answer(request)
            self.send(Kind.ANSWER, frame.token, status.value, body=value)

    def load(self, number: int, data: bytes) -> None:
        """Send a job environment."""
        self.send(Kind.ENVIRONMENT, number, body=data)

    def forget(self, number: int) -> None:
        """Have a job environment forgotten."""
        self.send(Kind.FORGET, number)

    def submit(self, environment: int, task: bytes, place: int = 1) -> int:
        """Send a task; returns its number."""
        self._numbers += 1
        self.starts.give(self._numbers)
        self.starts.write()
        self.send(Kind.TASK, self._numbers, environment, place, body=task)
        return self._numbers

    def next_result(self) -> tuple[int, bytes]:
        """Number and message of the next result."""
        frame = self.receive()
        assert frame is not None, f"the executor died: {self.end_output()}"
        assert frame.kind == Kind.RESULT, frame
        assert frame.head[0] >= 0
        return frame.token, bytes(frame.body)

    def run(self, environment: int, task: bytes, place: int = 1) -> bytes:
        """Run a task; its result message."""
        number = self.submit(environment, task, place)
        token, result = self.next_result()
        assert token == number
        return result

    def fails(self, environment: int, task: bytes) -> str:
        """Run a task that can't be run; what the executor says."""
        number = self.submit(environment, task)
        frame = self.receive()
        assert frame is not None, f"the executor died: {self.end_output()}"
        assert (frame.kind, frame.token) == (Kind.FAILED, number)
        return frame.body.decode()

    def hang_up(self) -> int:
        """Close the agent's end; the exit status of the executor."""
        if self._to >= 0:
            os.close(self._to)
            self.starts.dismiss()
            self._to = -1
        return self.process.wait(TIMEOUT_S)

    def loosen(self) -> None:
        """Let it live longer than one test may take."""
        self._watchdog.cancel()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.process.kill()
        self.hang_up()
        self._watchdog.cancel()
        os.close(self._from)
        self.starts.close()
