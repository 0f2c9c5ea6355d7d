"""Large job environments in memory that all executors of a machine map: no copy through each pipe.

The memory has no name in any file system. Executors open it by way of the agent's process, so it goes when
the agent has closed it, or has died, and nobody maps it any more.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydoredis.worker.core.jobs import LoadedJob

LEAST_BYTES: Final = 1 << 20
"""Environments from this size on are shared: smaller ones are through a pipe in less than a millisecond."""


class EnvironmentFile:
    """The bytes of one environment, until nobody refers to this object any more.

    Attributes:
        path: Where executors open it.

    Raises:
        OSError: If the system has no room for it.
    """

    def __init__(self, content: bytes) -> None:
        fd = os.memfd_create("pydoredis environment", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, fd)
        left = memoryview(content)
        while left:
            left = left[os.write(fd, left) :]
        # What one executor writes must not reach another: it has to map it for itself.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.path = f"/proc/{os.getpid()}/fd/{fd}"


class EnvironmentFiles:
    """Those that executors of this agent use."""

    def __init__(self) -> None:
        self._by_job: weakref.WeakValueDictionary[int, EnvironmentFile] = weakref.WeakValueDictionary()
        self._possible = _is_possible()

    def of(self, job: LoadedJob) -> EnvironmentFile | None:
        """The job's environment in shared memory; None if it has to go through the pipe."""
        payload = job.environment.payload
        if len(payload) < LEAST_BYTES or not self._possible:
            return None
        found = self._by_job.get(job.number)
        if found is None:
            try:
                found = self._by_job[job.number] = EnvironmentFile(payload)
            except OSError:
                return None
        return found


def mapped(path: str) -> mmap.mmap:
    """An environment as an executor sees it: what it writes there, only it sees.

    Raises:
        OSError: If it is not there any more.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(fd)


def _is_possible() -> bool:
    """Whether executors, which are processes of the same user, may open what this process has open."""
    if sys.platform != "linux" or not hasattr(os, "memfd_create"):
        return False
    try:
        # The system gives it to root if others may not look into this process.
        return os.stat("/proc/self/fd").st_uid == os.geteuid()
    except OSError:
        return False
