"""What becomes of results: outcomes for the program, tasks that are to be sent again."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Sequence

from pydoredis.coordinator.ledger import Block, Ledger
from pydoredis.coordinator.retries import Retries
from pydoredis.errors import RemoteProtocolError
from pydoredis.protocol.codec import Declined, Item, JobCodec, Result

log = logging.getLogger(__name__)


class Collector:
    """Reads result messages and enters them into a job's books.

    Attributes:
        outcomes: Of iterations, for the sink; whoever takes them empties this.
        failed: How many iterations have failed for good.

    Args:
        codec: What messages look like.
        ledger: The job's books.
        retries: Which iterations that failed are run again.
    """

    def __init__(self, codec: JobCodec, ledger: Ledger, retries: Retries) -> None:
        self.outcomes: list[Item] = []
        self.failed = 0
        self._codec = codec
        self._ledger = ledger
        self._retries = retries
        self._delayed: list[tuple[float, int]] = []  # a heap: when, and the iteration's number

    def take(self, job: str, message: bytes) -> Block | None:
        """Read a message: the task that is to be sent again, if a worker would not run it."""
        try:
            result = self._codec.decode_result(job, message)
        except Declined as declined:
            block = self._ledger.decline(declined.numbers[0])
            if block is not None:
                log.info("job %s: task %d is run again: %s", job, block.first, declined.reason)
            return block
        except RemoteProtocolError as error:
            log.warning("job %s: dropped what is no result: %s", job, error)
            return None
        if not all(ok for _, ok, _ in result.items):
            self._deliver_failures(job, result)
        else:
            fresh = self._ledger.deliver(result.numbers)
            self.outcomes += [item for item, new in zip(result.items, fresh, strict=True) if new]
        return None

    def give_up(self, number: int, error: Exception) -> None:
        """An iteration fails without a result: its workers have died."""
        self.outcomes.append((number, False, error))
        self.failed += 1

    def _deliver_failures(self, job: str, result: Result) -> None:
        """Deliver a result some of whose iterations failed: those that may be run again are out once more."""
        blocks = self._blocks_of_failures(result) if self._retries.most else {}
        fresh = self._ledger.deliver(result.numbers)
        for item, new in zip(result.items, fresh, strict=True):
            block = blocks.get(item[0])
            if new and not (block is not None and self._run_again(job, item, block)):
                self.outcomes.append(item)
                self.failed += not item[1]

    def _blocks_of_failures(self, result: Result) -> dict[int, Block]:
        """The tasks that iterations which failed belong to, by number, while they are out."""
        found: dict[int, Block] = {}
        block: Block | None = None
        for number, ok, _ in result.items:
            if not ok and (block := self._ledger.find(number, block)) is not None:
                found[number] = block
        return found

    def _run_again(self, job: str, item: Item, block: Block) -> bool:
        """Whether an iteration that has just been delivered from this task is to be run again, and is."""
        number, _, error = item
        failures = block.failures + 1
        pause_s = self._retries.pause_s(failures, error)
        if pause_s is None or not self._ledger.may_return(number):
            return False
        payload = block.payload if block.size == 1 else self._codec.single(job, number, block.payload)
        due_s = time.monotonic() + pause_s
        self._ledger.retry(number, payload, failures, due_s)
        heapq.heappush(self._delayed, (due_s, number))
        log.info(
            "job %s: iteration %d raised %s; it is run again in %g s (%d of %d)",
            *(job, number, type(error).__name__, pause_s, failures, self._retries.most),
        )
        return True

    # --- what is to be sent again -------------------------------------------------------------------------

    @property
    def due_s(self) -> float:
        """When (monotonic) something is to be sent again; infinity for never."""
        return self._delayed[0][0] if self._delayed else float("inf")

    def due(self) -> Sequence[bytes]:
        """Messages of tasks that are to be sent again now; they count as sent."""
        now_s = time.monotonic()
        messages: list[bytes] = []
        while self._delayed and self._delayed[0][0] <= now_s:
            due_s, number = heapq.heappop(self._delayed)
            block = self._ledger.find(number)
            if block is not None and block.due_s == due_s:  # else it was answered meanwhile
                self._ledger.release(block, now_s)
                messages.append(block.payload)
        return messages
