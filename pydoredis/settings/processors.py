"""How many processors this process may use: its affinity, and the quotas of its control groups."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_PROC = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """How many processors this process may use; a part of one counts as one.

    A container or a service that is limited to 2 of 64 processors still sees 64: the limit is one of time.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(processors, quota())))


def quota(groups: Path = _PROC, mounted: Path = _MOUNTED) -> float:
    """For how many processors this process has time; infinity if there is no limit, or none is known.

    Each group may have a limit, and is limited by those above it.

    Args:
        groups: Names the groups of a process, as `/proc/self/cgroup` does.
        mounted: Where control groups are mounted.
    """
    found = math.inf
    with contextlib.suppress(OSError, ValueError):
        for line in groups.read_text("utf-8", "surrogateescape").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:  # version 2, which has one hierarchy for all
                for group in _upwards(mounted, path):
                    found = min(found, _quota_v2(group))
            elif "cpu" in controllers.split(","):
                for mount in (controllers, "cpu"):
                    for group in _upwards(mounted / mount, path):
                        found = min(found, _quota_v1(group))
    return found


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """A group and those above it. A container may see its own group as the root, under whatever name."""
    inside = PurePosixPath(path.lstrip("/"))
    for group in (inside, *inside.parents):
        if ".." not in group.parts:
            yield root / group


def _quota_v2(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        time, period = (group / "cpu.max").read_text("ascii").split()
        if time != "max" and int(period) > 0:
            return int(time) / int(period)
    return math.inf


def _quota_v1(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):
        time = int((group / "cpu.cfs_quota_us").read_text("ascii"))
        if time > 0:
            return time / int((group / "cpu.cfs_period_us").read_text("ascii"))
    return math.inf
