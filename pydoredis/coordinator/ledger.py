"""The books of one job: which tasks are out, which iterations are done, what is lost. No I/O, no clock.

Events and times come in, decisions go out. Only the tasks that are out are kept, so the books are as big as
the window, not as the job; an iteration that belongs to no task in them is done already, or never was one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from pydoredis.protocol.keys import Span

DEFAULT_MAX_CRASHES = 3
"""Give up an iteration after this many deaths of the machines that ran it, unless the loop says otherwise."""


@dataclass(eq=False, slots=True)
class Block:
    """A task that is out.

    Attributes:
        first: Number of its first iteration.
        size: How many iterations it has.
        payload: The message, to be submitted again.
        submitted_s: When it was last put on a queue.
        missing: Iterations without a result; None while that is all of them.
        faults: How many workers died with it, as far as we know.
        python_only: Whether only workers that run Python may have it, because one that does not declined it.
        unseen: How many checks in a row found it nowhere.
        copied: Whether it was put on a queue more than once.
        failures: How often its iteration has raised an error.
        due_s: When (monotonic) it is to be put on a queue; 0: it was.
    """

    first: int
    size: int
    payload: bytes
    submitted_s: float
    missing: set[int] | None = None
    faults: int = 0
    python_only: bool = False
    unseen: int = 0
    copied: bool = False
    failures: int = 0
    due_s: float = 0.0

    @property
    def last(self) -> int:
        """Number of its last iteration."""
        return self.first + self.size - 1

    @property
    def span(self) -> Span:
        """First and last iteration."""
        return self.first, self.last

    def unanswered(self) -> list[int]:
        """Iterations without a result."""
        return sorted(self.missing) if self.missing is not None else list(range(self.first, self.last + 1))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a check found in Redis.

    Attributes:
        running: Spans with a start or an alive key.
        queued: Blocks that are on a queue; only those of `suspects` were looked for.
        suspects: The blocks that were looked for.
    """

    running: Collection[Span]
    suspects: Sequence[Block] = ()
    queued: Collection[Block] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a task whose worker died.

    Attributes:
        block: The task; None if it is not out: then only the dead worker's keys are to go.
        again: Whether to put it on a queue again; else its iterations get an error for a result.
    """

    block: Block | None
    again: bool

    @property
    def payload(self) -> bytes | None:
        """The message to submit again, if it is to be."""
        return self.block.payload if self.block is not None and self.again else None

    @property
    def python_only(self) -> bool:
        """Whether the message goes to workers that run Python, and to no others."""
        return self.block is not None and self.block.python_only


@dataclass(slots=True)
class Ledger:
    """Which tasks of a job are out, and what became of the others.

    Attributes:
        max_crashes: Give up a block after this many deaths of workers that ran it.
        is_python: Whether bodies are Python: what a worker declines is then for workers that run Python.
        submitted: Iterations that were ever put on a queue; they are numbered from 1 in this order.
        done: Iterations that have a result.
        repeated: Results that came again, or that nobody asked for.
        resubmitted: How often a block was put on a queue again.
        copies: How many blocks are done of which another copy may still be on a queue.
    """

    max_crashes: int = DEFAULT_MAX_CRASHES
    is_python: bool = False
    submitted: int = 0
    done: int = 0
    repeated: int = 0
    resubmitted: int = 0
    copies: int = 0
    _blocks: dict[int, Block] = field(default_factory=dict)
    _returned: set[int] = field(default_factory=set)  # firsts of blocks that are not in order
    _payload_bytes: int = 0
    _next_suspect: int = 0

    # --- what is out --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks.values())

    @property
    def payload_bytes(self) -> int:
        """Bytes of all messages that are out."""
        return self._payload_bytes

    @property
    def oldest(self) -> int:
        """Number of the first iteration that is out; one more than all if none is."""
        first = next(iter(self._blocks), self.submitted + 1)
        return min(first, min(self._returned)) if self._returned else first

    @property
    def is_searching(self) -> bool:
        """Whether a check found some block nowhere, so that a second one should follow soon."""
        return any(block.unseen for block in self._blocks.values())

    @property
    def leaves_messages(self) -> bool:
        """Whether messages of the job may be on a queue, were the job to end now."""
        return bool(self._blocks) or self.copies > 0

    def idle(self, running: Collection[Span]) -> list[Block]:
        """Blocks that are out and that no key speaks of; but for those that wait to be run again."""
        return [block for block in self._blocks.values() if block.span not in running and not block.due_s]

    def find(self, number: int, near: Block | None = None) -> Block | None:
        """The block that this iteration belongs to, if it is out.

        Args:
            number: The iteration.
            near: A block that it may well belong to.
        """
        block = self._blocks.get(number)
        if block is None and near is not None and near.first <= number <= near.last:
            return near if self._blocks.get(near.first) is near else None
        if block is None:
            # Rare: a result whose first iteration is not the first of a block.
            block = next((b for b in self._blocks.values() if b.first <= number <= b.last), None)
        return block

    # --- events -------------------------------------------------------------------------------------------

    def submit(self, size: int, payload: bytes, now_s: float) -> Block:
        """The next `size` iterations go out."""
        block = Block(self.submitted + 1, size, payload, now_s)
        self.submitted += size
        self._blocks[block.first] = block
        self._payload_bytes += len(payload)
        return block

    def deliver(self, numbers: Sequence[int]) -> list[bool]:
        """A result came for these iterations: which of them are to be counted, each once for ever."""
        block = self._blocks.get(numbers[0])
        if block is not None and block.missing is None and list(numbers) == block.unanswered():
            self._close(block)
            self.done += block.size
            return [True] * block.size
        return [self._deliver_one(number) for number in numbers]

    def _deliver_one(self, number: int) -> bool:
        block = self.find(number)
        if block is None or (block.missing is not None and number not in block.missing):
            self.repeated += 1
            return False
        if block.missing is None:
            block.missing = set(range(block.first, block.last + 1))
        block.missing.remove(number)
        self.done += 1
        if not block.missing:
            self._close(block)
        return True

    def decline(self, number: int) -> Block | None:
        """A worker would not run this iteration's task: the block to submit again, None if it is not out, or
        is to be run again in any case."""
        block = self.find(number)
        if block is not None and block.due_s:
            return None
        if block is not None:
            block.python_only = self.is_python
        return block

    def judge(self, span: Span) -> Verdict:
        """Say what becomes of the task of a worker that seems to be dead. Changes nothing.

        Whoever carries the verdict out may find the worker alive after all, or its result there. If not, the
        death is a fact: `bury`.
        """
        block = self.find(span[0])
        if block is None or block.span != span or block.due_s:
            return Verdict(None, again=False)
        return Verdict(block, again=block.faults + 1 < self.max_crashes)

    def bury(self, verdict: Verdict, now_s: float) -> list[int]:
        """A verdict was carried out; the iterations that get an error for a result."""
        block = verdict.block
        if block is None:
            return []
        block.faults += 1
        if verdict.again:
            self.resubmit(block, now_s)
            return []
        numbers = block.unanswered()
        self._close(block)
        self.done += len(numbers)
        return numbers

    def may_return(self, number: int) -> bool:
        """Whether an iteration can be out alone: no other part of a block that begins with it is."""
        return number not in self._blocks

    def retry(self, number: int, payload: bytes, failures: int, due_s: float) -> None:
        """An iteration that was delivered has failed, and is to be run again: it is out once more.

        Args:
            number: The iteration.
            payload: The message of a task of nothing else.
            failures: How often it has failed.
            due_s: When it is to be put on a queue.
        """
        block = Block(number, 1, payload, due_s, failures=failures, due_s=due_s)
        self._blocks[number] = block
        self._returned.add(number)
        self._payload_bytes += len(payload)
        self.done -= 1

    def resubmit(self, block: Block, now_s: float) -> None:
        """The block is on a queue again."""
        block.submitted_s = now_s
        block.unseen = 0
        block.copied = True
        self.resubmitted += 1

    def release(self, block: Block, now_s: float) -> None:
        """The pause before a retry is over: the block is on a queue."""
        block.due_s = 0.0
        block.submitted_s = now_s

    # --- what is lost -------------------------------------------------------------------------------------

    def suspects(self, running: Collection[Span], limit: int) -> list[Block]:
        """Blocks that no key speaks of: at most `limit` to look for on the queue, other ones each time.

        Those that were not found before come first.
        """
        idle = self.idle(running)
        chosen = [block for block in idle if block.unseen][:limit]
        others = [block for block in idle if not block.unseen]
        if others:
            start = self._next_suspect % len(others)
            room = limit - len(chosen)
            chosen += (others[start:] + others[:start])[:room]
            self._next_suspect = start + room
        return chosen

    def examine(self, sighting: Sighting) -> list[Block]:
        """The blocks that are lost: seen nowhere by two checks in a row (protocol 12.7).

        A block whose result lies unread when the check is made has been delivered before the next one.
        """
        queued = set(map(id, sighting.queued))
        lost: list[Block] = []
        for block in self._blocks.values():
            if block.span in sighting.running:
                block.unseen = 0
        for block in sighting.suspects:
            if self._blocks.get(block.first) is not block:
                continue
            block.unseen = 0 if id(block) in queued else block.unseen + 1
            if block.unseen >= 2:
                lost.append(block)
        return lost

    def _close(self, block: Block) -> None:
        del self._blocks[block.first]
        self._returned.discard(block.first)
        self._payload_bytes -= len(block.payload)
        self.copies += block.copied
