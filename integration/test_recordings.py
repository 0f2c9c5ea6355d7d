"""An R coordinator played from recordings, for worker containers: also where doRedis is not to be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.site import Site
from tests.conftest import has_r
from tests.wire.compare import Comparer
from tests.wire.driver import Replay
from tests.wire.recording import load_all

RECORDINGS = load_all()
SCENARIOS = [
    *("basic_sqrt", "chunk3", "pi_icount", "packages_boot", "err_conditions", "export_closures", "rng_kinds")
]

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("recordings")]


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    if not has_r():
        pytest.skip("results are compared by R, and R (Rscript) is not installed")
    process = Comparer()
    yield process
    process.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    """Two machines that serve the recordings' queue."""
    (queue,) = {queue for name in SCENARIOS for queue in RECORDINGS[name].queues}
    with Site(queue=queue) as site:
        site.add("ours", "ours")
        yield site


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_replay(scenario: str, served: Site, comparer: Comparer) -> None:
    recording = RECORDINGS[scenario]
    outcome = Replay(served.client, recording, strict=True, timeout_s=60).run()
    wrong = comparer.differences(recording.expects("result"), outcome.answers)
    assert not [*wrong, *outcome.problems], "\n".join([*wrong, *outcome.problems, served.tails()])
