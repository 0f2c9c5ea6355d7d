"""Large job environments in memory that all executors of a machine map: no copy through each pipe.

On Linux the memory has no name in any file system. Executors open it by way of the agent's process, so it
goes when the agent has closed it, or has died, and nobody maps it any more. Where there is no such memory, it
is a file in the directory of temporary files. (That is left there if the agent is killed.)
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import mmap
import os
import sys
import tempfile
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydoredis.worker.core.jobs import LoadedJob
    from pydoredis.worker.frames import Bytes

LEAST_BYTES: Final = 1 << 20
"""Environments from this size on are shared: smaller ones are through a pipe in less than a millisecond."""


class EnvironmentFile:
    """The bytes of one environment, until nobody refers to this object any more.

    Attributes:
        path: Where executors open it.

    Args:
        size: How many bytes it will have.
        in_memory: Whether it has no name; else it is on disk.

    Raises:
        OSError: If the system has no room for it.
    """

    def __init__(self, size: int, *, in_memory: bool) -> None:
        self._in_memory = in_memory
        if sys.platform == "linux" and in_memory:
            self._fd = os.memfd_create("pydoredis environment", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        else:
            self._fd, self.path = tempfile.mkstemp(prefix="pydoredis-environment-")
            weakref.finalize(self, os.unlink, self.path)
        weakref.finalize(self, os.close, self._fd)
        if sys.platform == "linux":
            os.posix_fallocate(self._fd, 0, size)

    def write(self, at: int, content: Bytes | memoryview) -> None:
        """Put bytes at an offset.

        Raises:
            OSError: If the system has no room for them.
        """
        left = memoryview(content)
        while left:
            written = os.pwrite(self._fd, left, at)
            left, at = left[written:], at + written

    def seal(self) -> None:
        """Let nobody write any more: what one executor writes there must not reach another one, so each has
        to map it for itself."""
        if sys.platform == "linux" and self._in_memory:
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
            fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, seals)
        else:
            os.fchmod(self._fd, 0o400)


class EnvironmentFiles:
    """Those of the jobs that this agent knows; each goes when its job is forgotten and no executor has it."""

    def __init__(self) -> None:
        self._files: weakref.WeakKeyDictionary[LoadedJob, EnvironmentFile] = weakref.WeakKeyDictionary()
        self._in_memory = _may_be_in_memory()

    def keep(self, job: LoadedJob, first: int, content: Bytes) -> None:
        """Put bytes of a job's pieces where they belong in its environment.

        Args:
            job: The job.
            first: Where among the bytes of all pieces they begin.
            content: The bytes.

        Raises:
            OSError: If the system has no room for the environment: on Linux, with the first bytes.
        """
        about = job.environment.apart
        assert about is not None
        if first == 0:
            self._files[job] = EnvironmentFile(about.whole_size, in_memory=self._in_memory)
            self._files[job].write(0, about.stream)
        target = self._files[job]
        target.write(about.offset + first, content)
        if first + len(content) == about.size:
            target.write(about.offset + about.size, about.tail)
            target.seal()

    def of(self, job: LoadedJob) -> EnvironmentFile | None:
        """The job's environment in shared memory; None if it has to go through the pipe."""
        found = self._files.get(job)
        if found is None and len(job.environment.payload) >= LEAST_BYTES:
            with contextlib.suppress(OSError):
                found = self._files[job] = _moved(job, self._in_memory)
        return found


def _moved(job: LoadedJob, in_memory: bool) -> EnvironmentFile:
    """A job's environment in a file, and no more beside it.

    Raises:
        OSError: If the system has no room for it.
    """
    environment = job.environment
    file = EnvironmentFile(len(environment.payload), in_memory=in_memory)
    file.write(0, environment.payload)
    file.seal()
    job.environment = dataclasses.replace(environment, payload=memoryview(mapped(file.path)).toreadonly())
    return file


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


def _may_be_in_memory() -> bool:
    """Whether executors, which are processes of the same user, may open what this process has open."""
    if sys.platform != "linux" or not hasattr(os, "memfd_create"):
        return False
    try:
        # The system gives it to root if others may not look into this process.
        return os.stat("/proc/self/fd").st_uid == os.geteuid()
    except OSError:
        return False
