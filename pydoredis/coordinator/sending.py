"""What a job sends: messages of as many of its iterations as there is room for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pydoredis.coordinator.feeding import Feed
from pydoredis.coordinator.ledger import Ledger
from pydoredis.coordinator.window import Window
from pydoredis.errors import LocalProtocolError
from pydoredis.protocol.codec import Arguments, JobCodec
from pydoredis.protocol.envelope_peek import head_of

FILL_S = 0.01
"""Seconds of taking arguments from an iterator before results are looked at again."""


class Sender:
    """Makes tasks of a job's iterations and enters them into its books.

    Attributes:
        head: What all messages of the job begin with; None before the first.

    Args:
        codec: What messages look like.
        feed: Gives the iterations.
        ledger: The job's books.
        window: How much may be out, and in what pieces.
        total: Number of iterations, if it is known.
    """

    def __init__(
        self, codec: JobCodec, feed: Feed, ledger: Ledger, window: Window, total: int | None
    ) -> None:
        self._window = window
        self.head: bytes | None = None
        self._codec = codec
        self._feed = feed
        self._ledger = ledger
        self._total = total
        self._failure: Exception | None = None  # of what was made before the job began

    @property
    def exhausted(self) -> bool:
        """Whether all iterations were sent."""
        return self._feed.exhausted

    @property
    def waiting(self) -> int | None:
        """How many iterations are left, as far as its feed knows."""
        return self._feed.waiting

    def close(self) -> None:
        """Read no further."""
        self._feed.close()

    # --- before the job begins ----------------------------------------------------------------------------

    def first(self) -> list[list[Arguments]]:
        """Arguments of the tasks that go out as the job begins. Should an iterator fail, `fill` says so."""
        tasks: list[list[Arguments]] = []
        try:
            while len(tasks) < self._window.room(0, 0, 0) and not self._feed.exhausted:
                if arguments := self._feed.take(self._window.chunk(self._remaining()), 1):
                    tasks.append(arguments)
        except Exception as error:
            self._failure = error
        return tasks

    def messages(self, job: str, tasks: Sequence[list[Arguments]]) -> list[bytes]:
        """Their messages. Should one be impossible, `fill` says so."""
        payloads: list[bytes] = []
        number = 1
        try:
            for arguments in tasks:
                payloads.append(self._codec.encode_task(job, number, arguments))
                number += len(arguments)
        except Exception as error:
            self._failure = error
        return payloads

    # --- from then on -------------------------------------------------------------------------------------

    def enter(self, arguments: Sequence[Arguments], payload: bytes) -> None:
        """Put a task into the books."""
        self.head = self.head or head_of(payload)
        self._ledger.submit(len(arguments), payload, time.monotonic())

    def fill(self, job: str, unsent: list[bytes]) -> bool:
        """Make tasks while there is room and time.

        Args:
            job: The job's ID.
            unsent: Where their messages are put.

        Returns:
            Whether more could be made at once.

        Raises:
            LocalProtocolError: If an iteration cannot be sent.
            Exception: Whatever the loop's iterators raise.
        """
        if self._failure is not None:
            raise self._failure
        deadline_s = time.monotonic() + FILL_S
        room = self._room()
        self._feed.look_ahead(room * self._window.chunk(self._remaining()))
        while room > 0 and not self._feed.exhausted:
            size = self._window.chunk(self._remaining())
            arguments = self._feed.take(size, self._least(size))
            if not arguments:
                return False
            try:
                payload = self._codec.encode_task(job, self._ledger.submitted + 1, arguments)
            except LocalProtocolError as error:
                self._feed.refuse(error)
                continue
            self.enter(arguments, payload)
            unsent.append(payload)
            room -= 1
            if time.monotonic() >= deadline_s:
                return True
        return False

    def _least(self, size: int) -> int:
        """How many iterations are worth a task: where we choose its size, fewer while workers are idle."""
        is_idle = len(self._ledger) < max(1, self._window.workers)
        return 1 if self._window.chunk_size is None and is_idle else size

    def _room(self) -> int:
        if self._feed.exhausted:
            return 0
        ledger = self._ledger
        ahead = ledger.submitted + 1 - ledger.oldest
        return self._window.room(len(ledger), ledger.payload_bytes, ahead)

    def _remaining(self) -> int | None:
        return None if self._total is None else max(0, self._total - self._ledger.submitted)
