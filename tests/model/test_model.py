"""The explorer, for so long as a test may take; `python -m tests.model --minutes 60` goes further."""

from __future__ import annotations

import pytest

from tests.model.explore import explore
from tests.model.scenarios import SCENARIOS
from tests.model.server import Server

pytestmark = pytest.mark.slow

SECONDS = 8.0
"""Of processor time, for each scenario."""

EVERY = 25
"""Each so-many-th state is run to its end."""


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_scenario(name: str) -> None:
    with Server() as server:
        report = explore(server, SCENARIOS[name], seconds=SECONDS, every=EVERY)
    print(f"{name}: {report}")
    assert not report.wrong, str(report)
    assert report.depth >= 1, "not even each state of the run without faults was struck by each fault"
    assert report.endings >= 10
