"""What a coordinator says of who is on its queue, and when it looks."""

from __future__ import annotations

import pytest

from pydoredis.coordinator.staffing import FIRST_LOOK_S, LONGEST_PAUSE_S, Need, StaffWatch, shortage
from pydoredis.protocol.messages import Codec
from pydoredis.protocol.presence import Presence, Staff

PYTHON = Need("Q", "redis://h:6379/0", "cloudpickle")
PYTHON_311 = Need("Q", "redis://h:6379/0", "cloudpickle", "3.11")
R = Need("Q", "redis://h:6379/0", "r")


def agent(*codecs: Codec, python: str = "3.11.7", workers: int = 2) -> Presence:
    return Presence("id", "host", 7, workers, codecs, python, "", "0.1")


@pytest.mark.parametrize(
    ("need", "staff"),
    [
        (PYTHON, Staff(2, [agent("r", "cloudpickle")])),
        (PYTHON, Staff(2, [agent("cloudpickle", python="3.13.1")])),
        (PYTHON_311, Staff(4, [agent("cloudpickle", python="3.13.1"), agent("cloudpickle")])),
        (R, Staff(2, [agent("r")])),
        (R, Staff(1)),  # one of R's
        (R, Staff(3, [agent("cloudpickle")])),
        (R, Staff(0, [agent("r")])),  # somebody deleted the count
    ],
)
def test_somebody_can_run_it(need: Need, staff: Staff) -> None:
    assert shortage(need, staff) is None


def test_nobody_is_there() -> None:
    found = shortage(PYTHON, Staff(0, elsewhere=["q", "RJOBS"]))
    assert found is not None
    assert not found.is_final
    assert found.reason == (
        "no worker serves queue 'Q': start some with `pydoredis worker --queue Q --url redis://h:6379/0`. "
        "Other queues have workers: q, RJOBS."
    )


def test_only_workers_of_another_language() -> None:
    found = shortage(PYTHON, Staff(5, [agent("r")]))
    assert found is not None
    assert not found.is_final
    assert "no worker on queue 'Q' runs Python; there are 3 of R's own, 2 on host for R only" in found.reason
    assert "--codec cloudpickle" in found.reason
    found = shortage(R, Staff(2, [agent("cloudpickle")]))
    assert found is not None
    assert "runs R; there are 2 on host for Python only" in found.reason


def test_only_another_version_of_python() -> None:
    found = shortage(
        PYTHON_311,
        Staff(9, [agent("cloudpickle", python="3.13.1"), agent("r", "cloudpickle", python="3.9.2")]),
    )
    assert found is not None
    assert found.is_final
    assert "code of Python 3.11, but the workers on 'Q' have Python 3.13, 3.9" in found.reason


def test_workers_of_r_that_take_nothing() -> None:
    found = shortage(R, Staff(2), silent_s=35)
    assert found is not None
    assert "2 workers are counted on queue 'Q', but for 35 s none of them has taken a task" in found.reason
    assert shortage(R, Staff(2), silent_s=None) is None


def test_looks_become_rare() -> None:
    watch = StaffWatch()
    watch.reset(100.0)
    looks = [second for second in range(100, 10_000) if watch.due(second) is not None]
    pauses = [b - a for a, b in zip([100, *looks], looks, strict=False)]
    assert pauses[0] == FIRST_LOOK_S
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE_S
    watch.reset(20_000.0)
    assert watch.due(20_000 + FIRST_LOOK_S / 2) is None
    assert watch.due(20_000 + FIRST_LOOK_S) == FIRST_LOOK_S
