"""What an agent sends to one executor: job environments, tasks, answers; and the tasks that it takes back."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from pydoredis.protocol.keys import QueueKeys
from pydoredis.worker.core.jobs import LoadedJob
from pydoredis.worker.core.lease import Lease
from pydoredis.worker.environment_files import EnvironmentFile, EnvironmentFiles
from pydoredis.worker.frame_streams import Outgoing, pack
from pydoredis.worker.frames import Answer, Bytes, FrameError, Kind
from pydoredis.worker.starts import Ends, Starts

KEPT_ENVIRONMENTS = 4
KEPT_BYTES = 128 * 1024 * 1024
"""How many job environments an executor keeps, and of what size together, least recently used out: several
jobs may alternate on a queue. Those that tasks in its pipe need stay in any case."""

_LAST_NUMBER = 2**31 - 1
"""Numbers of frames have 31 bits; after the last one comes 1 again."""


class _Environment(NamedTuple):
    """A job environment that the executor has.

    Attributes:
        size: Its size in bytes.
        file: Where it is, if it was not sent through the pipe: it goes when no executor has it any more.
    """

    size: int
    file: EnvironmentFile | None


class TaskPipe:
    """Writes frames to an executor, and tokens for its tasks; never blocks.

    Attributes:
        fd: Where frames are written; -1 once it is closed.
        starts: The pipe of tokens.
        leases: Tasks in the pipe, the running one first.
        numbers: What their frames carry.

    Args:
        fd: Where frames are to be written.
        starts: The pipe of tokens.
        files: Large job environments, for all executors.
        here: Tells an executor where tasks come from that have these keys; None: it does not want to know.
    """

    def __init__(
        self, fd: int, starts: Ends, files: EnvironmentFiles, here: Callable[[QueueKeys], bytes] | None = None
    ) -> None:
        self.fd = fd
        self.starts = Starts(starts)
        self.leases: deque[Lease] = deque()
        self.numbers: deque[int] = deque()
        self._last_number = 0
        self._environments: OrderedDict[int, _Environment] = OrderedDict()  # by number
        self._files = files
        self._unread: deque[EnvironmentFile] = deque()  # files that the executor has not opened yet
        self._outgoing = Outgoing()
        self._here = here
        self._told: QueueKeys | None = None  # where the tasks come from that were sent last

    def next_number(self) -> int:
        """A number for the next task that is sent."""
        self._last_number = self._last_number % _LAST_NUMBER + 1
        return self._last_number

    def send(self, lease: Lease, number: int, place: int) -> None:
        """Line up a task under this number, its job's environment before it if that is new."""
        assert lease.job is not None
        job = lease.job.number
        if lease.keys is not self._told and self._here is not None:
            self._told = lease.keys
            self.post(Kind.HERE, 0, body=self._here(lease.keys))
        if job in self._environments:
            self._environments.move_to_end(job)
        else:
            self._send_environment(lease.job)
        for iteration, verdict in lease.verdicts.items():
            index = lease.task.iterations.index(iteration)
            self._post_for(number, Kind.VERDICT, index, body=verdict.encode())
        for finished, part in lease.kept:
            self._post_for(number, Kind.KEPT, finished, body=part)
        self._post_for(number, Kind.TASK, job, place, body=lease.task.payload)
        self.leases.append(lease)
        self.numbers.append(number)
        # Tokens are written before frames: an executor that waits for a token does not read on, so that a
        # large frame could not be written to its end.
        self.starts.give(number)

    def _send_environment(self, job: LoadedJob) -> None:
        number, file = job.number, self._files.of(job)
        self._environments[number] = _Environment(job.environment.size, file)
        self._make_room(number)  # first: the executor need not have both at a time
        if file is None:
            self.post(Kind.ENVIRONMENT, number, body=job.environment.payload)
        else:
            self._unread.append(file)
            self.post(Kind.ENV_FILE, number, body=file.path.encode())

    def answer(self, number: int, status: Answer, value: bytes) -> None:
        """Answer a request of the running body."""
        self.post(Kind.ANSWER, number, status.value, body=value)
        self.flush()

    def post(self, kind: Kind, number: int, *head: object, body: Bytes | memoryview = b"") -> None:
        """Line up a frame that no recall takes back."""
        self._outgoing.add(pack(kind, number, *head, body=body))

    def _post_for(self, task: int, kind: Kind, *head: object, body: Bytes) -> None:
        self._outgoing.add(pack(kind, task, *head, body=body), task)

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait until the pipe takes them."""
        return bool(self._outgoing)

    def flush(self) -> None:
        """Write what the pipes take."""
        self.starts.write()
        if self.fd >= 0:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                self._outgoing.write(self.fd)

    # --- what was sent is done with -----------------------------------------------------------------------

    def loaded(self) -> None:
        """The executor has opened the file that was sent first of those that it had not opened.

        Raises:
            FrameError: If there is none.
        """
        if not self._unread:
            raise FrameError("it has loaded what was not sent")
        self._unread.popleft()

    def running(self, number: int) -> Lease:
        """The task with this number, the first in the pipe.

        Raises:
            FrameError: If it is not the first.
        """
        if not self.numbers or self.numbers[0] != number:
            raise FrameError(f"answer for task {number}, which is not running")
        return self.leases[0]

    def finish(self, number: int) -> Lease:
        """The task with this number, the first in the pipe, was answered.

        Raises:
            FrameError: If it is not the first.
        """
        self.running(number)
        self.numbers.popleft()
        self.starts.answered(number)
        return self.leases.popleft()

    def recall(self) -> dict[int, Lease]:
        """Take back the tasks that were not begun.

        Returns:
            The tasks in their order, by number. The executor will not run them.

        Raises:
            FrameError: If the executor has not taken tokens as it should.
        """
        numbers = self.starts.take_back()
        sent = dict(zip(self.numbers, self.leases, strict=True))
        recalled = {number: sent[number] for number in numbers if number in sent}
        if not recalled:
            for number in numbers:  # tokens of SKIPs, at which the executor may wait
                self.starts.give(number)
        else:
            for _ in recalled:
                self.leases.pop()
                self.numbers.pop()
            self._outgoing.withdraw(recalled)
            skip = self.next_number()
            self.post(Kind.SKIP, skip)
            self.starts.give(skip)
        self.flush()
        return recalled

    def forget(self, job: int) -> None:
        """Have it let go of a job environment, unless a task in the pipe needs that."""
        if job in self._environments and all(
            lease.job is None or lease.job.number != job for lease in self.leases
        ):
            del self._environments[job]
            self.post(Kind.FORGET, job)

    def _make_room(self, wanted: int) -> None:
        for number in list(self._environments):
            kept = self._environments.values()
            if len(kept) <= KEPT_ENVIRONMENTS and sum(each.size for each in kept) <= KEPT_BYTES:
                break
            if number != wanted:
                self.forget(number)

    def dismiss(self) -> None:
        """Nothing comes any more: the executor finishes what it has, and ends."""
        self.starts.dismiss()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """The executor has ended."""
        self.dismiss()
        self.starts.close()
        self._environments.clear()
        self._unread.clear()
