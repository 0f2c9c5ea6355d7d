"""An executor process: reads frames, runs tasks with one engine, writes frames (`pydoredis.worker.frames`).

`python -m pydoredis.worker.executor r|cloudpickle --in FD --out FD --output FD --starts FD [--agent PID]`.
Agents take the command line from `pydoredis.worker.engines.command`. Everything happens in the main thread,
where R has to live.

Exit status: 0 when the agent closed its end; 69 if the engine can't run here, with the reason on standard
error; else what the body made it.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from pydoredis import hosting
from pydoredis.protocol import wire
from pydoredis.worker.engines.base import Engine, TaskInterrupted, TaskRefused
from pydoredis.worker.environment_files import mapped
from pydoredis.worker.frame_streams import FrameBuffer, Outgoing, pack
from pydoredis.worker.frames import LONGEST_TEXT, TOKEN, Answer, Bytes, Frame, FrameError, Kind, LoopNews


class ExitCode(IntEnum):
    """What the process ends with, as far as it is not the body's choice."""

    OK = 0
    UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h


class Pipes:
    """The executor's ends of three pipes, blocking."""

    def __init__(self, fd_in: int, fd_out: int, fd_starts: int) -> None:
        self._in, self._out, self._starts = fd_in, fd_out, fd_starts
        self._token = b""  # what was read of the starts and not met by a task yet
        self._buffer = FrameBuffer()
        self._outgoing = Outgoing()
        self._waiting: deque[Frame] = deque()
        self._requests = 0
        self._pid = os.getpid()
        self._sending = threading.Lock()  # bodies may have threads, in which they run loops
        self.task = 0  # the running one

    def receive(self) -> Frame | None:
        """The next frame; None once the agent has closed its end and all is read."""
        while not self._waiting:
            try:
                self._waiting.extend(self._buffer.read(self._in))
            except EOFError:
                return None
        return self._waiting.popleft()

    def begins(self, number: int) -> bool:
        """Whether the agent lets us begin this task; else it has taken the task back.

        Raises:
            EOFError: If the agent has gone.
        """
        # Not ahead of use: what is read here, the agent cannot take back.
        token = self._token or os.read(self._starts, TOKEN.size)
        if not token:
            raise EOFError
        if token != TOKEN.pack(number):
            self._token = token
            return False
        self._token = b""
        return True

    def send(self, kind: Kind, token: int, *head: object, body: Bytes = b"") -> None:
        """Write a frame."""
        if os.getpid() != self._pid:
            os._exit(0)  # a body forked, and its child has come to the end of the body
        with self._sending:
            self._outgoing.add(pack(kind, token, *head, body=body))
            self._outgoing.write(self._out)

    def tell(self, news: hosting.News) -> None:
        """Tell the agent about a loop inside of the running body."""
        if not news.job:
            about = LoopNews.WAITS if news.waits else LoopNews.GOES_ON
        else:
            about = LoopNews.BEGINS if news.begins else LoopNews.ENDED
        body = f"{news.queue}\0{news.job}".encode("utf-8", "replace")
        self.send(Kind.LOOP, self.task, about.value, body=body)

    def keep(self, finished: int, part: bytes) -> None:
        """Tell the agent what is finished of the running task."""
        if len(part) <= wire.MAX_MESSAGE:
            self.send(Kind.PARTIAL, self.task, finished, body=part)

    def ask(self, request: bytes) -> tuple[bytes, Bytes]:
        """Send a request and wait for its answer; frames that come in between are kept."""
        if os.getpid() != self._pid:
            return Answer.ERROR.value, b"a process that a body forked has no way to Redis"
        self._requests += 1
        self.send(Kind.REQUEST, self._requests, body=request)
        kept: list[Frame] = []
        while True:
            frame = self.receive()
            if frame is None:
                return b"", b""
            if frame.kind == Kind.ANSWER and frame.token == self._requests:
                self._waiting.extendleft(reversed(kept))
                return frame.head[0], frame.body
            kept.append(frame)


def serve(
    engine: Engine, pipes: Pipes, output_fd: int, moved: Callable[[bytes], None] = lambda _: None
) -> None:
    """Announce the engine, then do what the frames say until the agent closes its end.

    Args:
        engine: The engine.
        pipes: To the agent and from it.
        output_fd: A descriptor of the process's standard outputs that no body uses.
        moved: Told where the tasks come from that follow (`hosting.Here`).

    Raises:
        FrameError: If a frame makes no sense.
        EOFError: If the agent has gone.
    """
    pipes.send(Kind.READY, 0, body=engine.name.encode())
    verdicts: dict[int, dict[int, str]] = {}  # by task
    kept: dict[int, list[tuple[int, Bytes]]] = {}  # by task
    receive, send, run, clock = pipes.receive, pipes.send, engine.run, time.perf_counter
    while (frame := receive()) is not None:
        if frame.kind == Kind.TASK:
            number, place = frame.head
            task = frame.token
            if not pipes.begins(task):
                verdicts.pop(task, None)
                kept.pop(task, None)
                continue
            pipes.task = task
            began = clock()
            try:
                result = run(number, frame.body, verdicts.pop(task, {}), kept.pop(task, ()), place)
            except TaskRefused as exc:
                send(Kind.FAILED, task, body=str(exc).encode("utf-8", "replace")[:LONGEST_TEXT])
            except TaskInterrupted as exc:
                send(Kind.INTERRUPTED, task, exc.index)
            else:
                if len(result) > wire.MAX_MESSAGE:
                    text = f"the result has {len(result)} bytes; Redis takes {wire.MAX_MESSAGE}"
                    send(Kind.FAILED, task, body=text.encode())
                else:
                    send(Kind.RESULT, task, clock() - began, body=result)
                del result  # it may be big, and the next task may be long in coming
        elif frame.kind == Kind.ENVIRONMENT:
            engine.load(frame.token, frame.body)
        elif frame.kind == Kind.ENV_FILE:
            engine.load(frame.token, mapped(os.fsdecode(bytes(frame.body))))
            send(Kind.LOADED, frame.token)
        elif frame.kind == Kind.FORGET:
            engine.forget(frame.token)
        elif frame.kind == Kind.SKIP:
            pipes.begins(frame.token)
        elif frame.kind == Kind.BARRIER:
            engine.forget_interrupt()
        elif frame.kind == Kind.VERDICT:
            verdicts.setdefault(frame.token, {})[frame.head[0]] = frame.body.decode("utf-8", "replace")
        elif frame.kind == Kind.KEPT:
            kept.setdefault(frame.token, []).append((*frame.head, frame.body))
        elif frame.kind == Kind.CUT:
            os.set_inheritable(frame.token, False)
            engine.watch_output(output_fd, frame.body, frame.token)
        elif frame.kind == Kind.HERE:
            moved(bytes(frame.body))
        elif frame.kind != Kind.ANSWER:
            raise FrameError(f"unknown frame of kind {frame.kind}")


def _r_engine(pipes: Pipes) -> Engine:
    from pydoredis.worker.engines.r import REngine
    from rinterop.runtime import embedded

    runtime = embedded.start()
    runtime.have_signals()
    name = f"R {runtime.version} in Python {sys.version.split()[0]}"
    return REngine(runtime, pipes.ask, name, pipes.keep)


def _python_engine(pipes: Pipes) -> Engine:
    from pydoredis.settings import secret
    from pydoredis.shared_values import use_in_bodies
    from pydoredis.worker.engines.interrupts import Interrupts
    from pydoredis.worker.engines.python import PythonEngine
    from pydoredis.worker.engines.values import AgentValues

    # A crash in C says which Python call it was. (With R in the process, R's own handlers say so.)
    faulthandler.enable(all_threads=False)
    interrupts = Interrupts()
    interrupts.install()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        # Python ignores them, and so would what bodies start with os.system(). Handlers do not outlive exec.
        signal.signal(number, lambda *_: None)
    use_in_bodies(AgentValues(interrupts.shielded(pipes.ask)))
    hosting.use(hosting.Host(interrupts.shielded(pipes.tell), lambda: pipes.task))
    return PythonEngine(pipes.keep, interrupts, secret.signatures())


_ENGINES: dict[str, Callable[[Pipes], Engine]] = {"r": _r_engine, "cloudpickle": _python_engine}


def main(arguments: list[str] | None = None) -> int:
    """Run an executor; returns its exit status."""
    from pydoredis.worker.engines.process import settle
    from rinterop.runtime.base import RuntimeUnavailableError

    parser = argparse.ArgumentParser(prog="python -m pydoredis.worker.executor", description=__doc__)
    parser.add_argument("engine", choices=sorted(_ENGINES))
    parser.add_argument("--in", dest="fd_in", type=int, required=True, metavar="FD")
    parser.add_argument("--out", dest="fd_out", type=int, required=True, metavar="FD")
    parser.add_argument("--output", dest="fd_output", type=int, required=True, metavar="FD")
    parser.add_argument("--starts", dest="fd_starts", type=int, required=True, metavar="FD")
    parser.add_argument("--agent", type=int, default=0, metavar="PID")
    options = parser.parse_args(arguments)
    settle(options.agent)
    # What bodies start must not hold the pipes: the agent would not see them close.
    for fd in (options.fd_in, options.fd_out, options.fd_output, options.fd_starts):
        os.set_inheritable(fd, False)
    pipes = Pipes(options.fd_in, options.fd_out, options.fd_starts)
    try:
        engine = _ENGINES[options.engine](pipes)
    except RuntimeUnavailableError as exc:
        print(f"pydoredis: {exc}", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    try:
        host = hosting.current()
        serve(engine, pipes, options.fd_output, host.moved if host else lambda _: None)
    except (BrokenPipeError, EOFError):
        return ExitCode.OK  # the agent is gone, nobody wants the result
    engine.close()
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
