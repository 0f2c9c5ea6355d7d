"""How many processors there are, where affinity or control groups leave a part of them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pydoredis.settings import cpu_count, processors


class Groups:
    """A file that names a process's groups, and the file system with them."""

    def __init__(self, directory: Path) -> None:
        self.names = directory / "cgroup"
        self.mounted = directory / "mounted"

    def of_process(self, *lines: str) -> None:
        self.names.write_text("".join(f"{line}\n" for line in lines))

    def write(self, path: str, text: str) -> None:
        file = self.mounted / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    @property
    def quota(self) -> float:
        return processors.quota(self.names, self.mounted)


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


def test_no_groups(groups: Groups) -> None:
    assert groups.quota == math.inf


def test_a_container_sees_its_group_as_the_root(groups: Groups) -> None:
    groups.of_process("0::/")
    groups.write("cpu.max", "150000 100000")
    assert groups.quota == 1.5
    groups.of_process("0::/a/name/of/the/host's")
    assert groups.quota == 1.5
    groups.of_process("0::/../../outside")
    assert groups.quota == 1.5


def test_a_service_is_below(groups: Groups) -> None:
    groups.of_process("0::/system.slice/worker.service")
    groups.write("system.slice/worker.service/cpu.max", "400000 100000")
    assert groups.quota == 4
    groups.write("system.slice/cpu.max", "200000 100000")
    assert groups.quota == 2
    groups.write("system.slice/cpu.max", "max 100000")
    assert groups.quota == 4


def test_version_1(groups: Groups) -> None:
    groups.of_process("4:memory:/box", "3:cpu,cpuacct:/box", "1:name=systemd:/box", "0::/")
    groups.write("cpu,cpuacct/box/cpu.cfs_quota_us", "300000")
    groups.write("cpu,cpuacct/box/cpu.cfs_period_us", "100000")
    groups.write("cpu,cpuacct/cpu.cfs_quota_us", "-1")
    groups.write("cpu,cpuacct/cpu.cfs_period_us", "100000")
    assert groups.quota == 3


@pytest.mark.parametrize("text", ["", "max", "lots 100000", "1 2 3", "100000 0"])
def test_what_nobody_understands_is_no_limit(groups: Groups, text: str) -> None:
    groups.of_process("0::/")
    groups.write("cpu.max", text)
    assert groups.quota == math.inf


def test_a_part_of_a_processor_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "quota", lambda: 0.2)
    assert cpu_count() == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity of processes")
def test_affinity() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from pydoredis.settings import cpu_count; print(cpu_count())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
