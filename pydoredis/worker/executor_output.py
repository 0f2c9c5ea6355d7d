"""What one executor prints, put down to its tasks, and which of their iterations it is at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from pydoredis.worker.core.lease import Lease
from pydoredis.worker.output import Line, Output, OutputLine, Places, Source

_KEPT_LINES = 40
_SHOWN_LINES = 5

_LAST_WORDS = ("Fatal Python error", " *** caught ")
"""How Python's and R's reports of a crash begin: first what they were doing, then how it came to that."""


class ExecutorOutput:
    """Reads what an executor prints; never blocks.

    Attributes:
        cut: What the executor ends a cut with.
        theirs: The descriptor for the executor, to be closed here once it has been started.
        tail: The last lines, for the report of its death.
    """

    def __init__(self) -> None:
        self._output = Output()
        self._places = Places()
        self._running: int | None = None
        self._place_seen: int | None = None
        self._place_seen_s = time.monotonic()
        self.cut = self._output.cut
        self.theirs = self._output.theirs
        self.tail: deque[OutputLine] = deque(maxlen=_KEPT_LINES)

    def fileno(self) -> int:
        """Readable when something was printed."""
        return self._output.fileno()

    @property
    def ended(self) -> bool:
        """Whether everybody who could print has closed it."""
        return self._output.ended

    def give_place(self, lease: Lease, behind: int) -> int:
        """Give a task the next places, behind so many others; returns the first of them."""
        if self._output.settled:
            self._places.forget(behind + 1)  # the last that was finished: the executor may be there
        return self._places.give(lease.number, lease)

    def iteration_of(self, task: int) -> int | None:
        """Which iteration of a task is at work, or was when the process ended; None: none of it."""
        source, iteration = self._places.at(self._output.place)
        return iteration if source is not None and source.number == task else None

    def place_since_s(self) -> float:
        """Since when (monotonic) it has been seen at the place where it is, by this method."""
        place = self._output.place
        if place != self._place_seen:
            self._place_seen, self._place_seen_s = place, time.monotonic()
        return self._place_seen_s

    # --- lines --------------------------------------------------------------------------------------------

    def printed(self, running: int | None, *, ended: bool) -> Iterator[OutputLine]:
        """Every whole line that was printed since the last call.

        Args:
            running: The first task in the pipe, once the executor is ready.
            ended: Whether the process has ended: then what is left is a line, too.
        """
        self._running = running
        yield from map(self._note, self._output.lines())
        if self._output.ended or ended:
            yield from map(self._note, self._output.end_of_line())

    def end_of_line(self, task: int) -> Iterator[OutputLine]:
        """What this task printed after its last whole line, as a line: it has ended."""
        source, _ = self._places.at(self._output.rest_place)
        if source is not None and source.number == task:
            yield from map(self._note, self._output.end_of_line())

    def _note(self, line: Line) -> OutputLine:
        source, iteration = self._places.at(line.place)
        if line.place is None and self._running is not None:
            # A system whose named pipes do not keep their times: then this is as much as can be told.
            source = self._places.of(self._running)
        noted = OutputLine(line.text, source, iteration)
        self.tail.append(noted)
        return noted

    def last_words(self, task: int | None) -> list[str]:
        """The last lines of what a process died of, and no others: of the iteration; of the task, if it died
        in none of them; of the start, if it died without a task (None)."""
        iteration = None if task is None else self.iteration_of(task)
        lines = [line.text for line in self.tail if line.text.strip() and _is_to_blame(line, task, iteration)]
        for index, text in enumerate(lines):
            if text.startswith(_LAST_WORDS):
                return lines[index : index + _SHOWN_LINES]
        return lines[-_SHOWN_LINES:]

    def close(self) -> None:
        """Let go of it."""
        self._output.close()


def _is_to_blame(line: OutputLine, task: int | None, iteration: int | None) -> bool:
    source: Source | None = line.source
    if task is None:
        return source is None
    return source is not None and source.number == task and iteration in (None, line.iteration)
