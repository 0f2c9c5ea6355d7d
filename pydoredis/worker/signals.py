"""How signals and other threads reach a loop that waits in a selector."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from types import FrameType, TracebackType

from pydoredis.worker.core.events import Signalled


class Wakeup:
    """A pipe that ends the wait of a selector, with itself as the data.

    Args:
        selector: The loop's.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._out, self.fd = os.pipe()
        for fd in (self._out, self.fd):
            os.set_blocking(fd, False)
        selector.register(self._out, selectors.EVENT_READ, self)

    def wake(self) -> None:
        """End the wait, from any thread. Does nothing after `close`."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self.fd, b"\0")

    def clear(self) -> None:
        """The wait has ended."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._out, 4096)

    def close(self) -> None:
        """Close the pipe."""
        self._selector.unregister(self._out)
        os.close(self._out)
        # The number is given to the next thing that is opened here, and nobody may write to that.
        fd, self.fd = self.fd, -1
        os.close(fd)


class Signals:
    """Collects SIGTERM and SIGINT while it is entered; they and SIGCHLD wake the loop.

    Attributes:
        last: The signal that came last; 0 if none did.

    Args:
        wakeup: The loop's.
    """

    def __init__(self, wakeup: Wakeup) -> None:
        self.last = 0
        self._came: list[int] = []
        self._fd = wakeup.fd

    def collect(self) -> list[Signalled]:
        """Those that came since the last call."""
        came, self._came = self._came, []
        return [Signalled(number) for number in came]

    def __enter__(self) -> Signals:
        # Only a note is taken; the loop wakes up by itself and acts on it.
        self._old = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        self._old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._old_fd = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.last = number
        self._came.append(number)
