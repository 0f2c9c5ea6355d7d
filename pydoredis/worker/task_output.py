"""What the tasks in one executor print: each line with the task and the iteration that printed it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pydoredis.protocol.claims import Claim
from pydoredis.protocol.keys import block_name
from pydoredis.worker.frames import MAX_PLACE
from pydoredis.worker.output import Line, Output

_KEPT_LINES = 40
_SHOWN_LINES = 5

_LAST_WORDS = ("Fatal Python error", " *** caught ")
"""How Python's and R's reports of a crash begin: first what they were doing, then how it came to that."""

_log = logging.getLogger("pydoredis.worker.output")


@dataclass(eq=False, slots=True)
class Source:
    """A task, as far as one has to know it who reads its output.

    Attributes:
        number: What its frames carry.
        place: Its first place.
        queue, job, iterations: Whose it is. Not the claim: this outlives the task and keeps nothing large.
    """

    number: int
    place: int
    queue: str
    job: str
    iterations: tuple[int, ...]

    @property
    def block(self) -> str:
        """Name of its run of iterations."""
        return block_name(self.iterations[0], self.iterations[-1])

    def iteration(self, place: int) -> int | None:
        """The iteration at one of the task's places; None where the task is read."""
        if len(self.iterations) == 1:
            return self.iterations[0]  # it has the task's place for itself, from beginning to end
        return self.iterations[place - self.place - 1] if place > self.place else None


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line that a task printed, and the iteration that did; None: none of them, or no task."""

    text: str
    source: Source | None
    iteration: int | None

    def log(self) -> None:
        """Write it to the log of what bodies print, with queue, job and iteration."""
        source = self.source
        if source is None:
            _log.info("%s", self.text)
        else:
            where = source.block if self.iteration is None else self.iteration
            _log.info("[%s %s %s] %s", source.queue, source.job, where, self.text)


class Places:
    """Which task has which places in one executor."""

    def __init__(self) -> None:
        self._next = 1
        self._sources: deque[Source] = deque()

    def give(self, number: int, claim: Claim) -> int:
        """Give a task the next places; returns the first of them."""
        iterations = claim.task.iterations
        if self._next + len(iterations) >= MAX_PLACE:
            self._next = 1
        source = Source(number, self._next, claim.keys.queue, claim.task.job, iterations)
        self._sources.append(source)
        self._next += 1 + len(iterations)
        return source.place

    def forget(self, kept: int) -> None:
        """Forget all tasks but the last `kept` of them."""
        while len(self._sources) > kept:
            self._sources.popleft()

    def withdraw(self, numbers: Collection[int]) -> None:
        """These tasks were taken back."""
        self._sources = deque(source for source in self._sources if source.number not in numbers)

    def of(self, number: int) -> Source | None:
        """The task with this number."""
        return next((source for source in self._sources if source.number == number), None)

    def at(self, place: int | None) -> tuple[Source | None, int | None]:
        """The task and the iteration at a place."""
        if place is not None:
            for source in self._sources:
                if source.place <= place <= source.place + len(source.iterations):
                    return source, source.iteration(place)
        return None, None


class TaskOutput:
    """Reads what one executor prints; never blocks. Tasks go by the numbers of their frames.

    Attributes:
        pipe: Where it comes from.
        tail: The last lines, for the report of the executor's death.

    Args:
        pipe: Where it comes from.
    """

    def __init__(self, pipe: Output) -> None:
        self.pipe = pipe
        self.tail: deque[OutputLine] = deque(maxlen=_KEPT_LINES)
        self._places = Places()

    def expect(self, number: int, claim: Claim, waiting: int) -> int:
        """A task is sent, behind so many others; returns its place."""
        if self.pipe.settled:
            self._places.forget(waiting + 1)  # the last that was finished: the executor may be there
        return self._places.give(number, claim)

    def withdraw(self, numbers: Collection[int]) -> None:
        """These tasks were taken back."""
        self._places.withdraw(numbers)

    def iteration(self, head: int | None) -> int | None:
        """Which iteration of the task `head` is at work, or was at the process's end; None: none of them."""
        source, iteration = self._places.at(self.pipe.place)
        return iteration if source is not None and source.number == head else None

    def lines(self, head: int | None) -> Iterator[OutputLine]:
        """Every whole line that was printed since the last call; `head` is the task that runs."""
        for line in self.pipe.lines():
            yield self._note(line, head)
        if self.pipe.ended:
            yield from self.rest(head)

    def rest(self, head: int | None) -> Iterator[OutputLine]:
        """What was printed after the last whole line, as a line: the process has ended."""
        for line in self.pipe.end_of_line():
            yield self._note(line, head)

    def end_of_task(self, number: int) -> Iterator[OutputLine]:
        """What this task printed after its last whole line, as a line: it has ended."""
        source, _ = self._places.at(self.pipe.rest_place)
        if source is not None and source.number == number:
            yield from self.rest(number)

    def last_words(self, head: int | None) -> str:
        """The last lines of what a process died of: of the iteration; of the task, if it died in none."""
        iteration = self.iteration(head)
        lines = [
            line.text
            for line in self.tail
            if line.text.strip()
            and (None if line.source is None else line.source.number) == head
            and (head is None or iteration in (None, line.iteration))
        ]
        shown = lines[-_SHOWN_LINES:]
        for index, text in enumerate(lines):
            if text.startswith(_LAST_WORDS):
                shown = lines[index : index + _SHOWN_LINES]
        return " | ".join(shown)

    def close(self) -> None:
        """Let go of it."""
        self.pipe.close()

    def _note(self, line: Line, head: int | None) -> OutputLine:
        source, iteration = self._places.at(line.place)
        if line.place is None and head is not None:
            # A system whose named pipes do not keep their times: then this is as much as can be told.
            source = self._places.of(head)
        noted = OutputLine(line.text, source, iteration)
        self.tail.append(noted)
        return noted
