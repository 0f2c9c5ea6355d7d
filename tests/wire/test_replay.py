"""Every recorded job again, served by a worker of today: it must publish the values that R's worker did.

With PYDOREDIS_WORKER=R in the environment the worker under test is R's own, which judges the harness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import has_r, missing_r_packages
from tests.wire.compare import Comparer
from tests.wire.driver import as_bytes, is_r_empty_string
from tests.wire.recording import load_all
from tests.wire.sites import R_PEER, Place, Theatre, each_engine, is_long
from tests.wire.table import BAD_QUEUE_NAMES, DIFFERENCES, NOT_REPLAYED

RECORDINGS = load_all()


def _scenarios() -> list[Any]:
    """Those with tasks, the quick ones first: the long ones are played in one go."""
    names = sorted(set(RECORDINGS) - set(NOT_REPLAYED), key=lambda name: (is_long(RECORDINGS[name]), name))
    return [pytest.param(name, marks=[pytest.mark.slow] * is_long(RECORDINGS[name])) for name in names]


def test_each_recording_without_tasks_is_accounted_for() -> None:
    silent = {name for name, recording in RECORDINGS.items() if not recording.tasks}
    assert silent == set(NOT_REPLAYED)
    assert set(DIFFERENCES) | set(BAD_QUEUE_NAMES) <= set(RECORDINGS)


@pytest.mark.needs_r
def test_comparison_finds_every_recorded_result_equal_to_itself(comparer: Comparer) -> None:
    for name, recording in RECORDINGS.items():
        tasks = recording.expects("result")
        published = [(task.job, task.result) for task in reversed(tasks)]
        assert comparer.differences(tasks, published) == [], name


@pytest.mark.needs_r
def test_comparison_finds_recorded_results_of_other_tasks_different(comparer: Comparer) -> None:
    tasks = RECORDINGS["basic_sqrt"].expects("result")
    first = tasks[0]
    assert "not answered" in comparer.differences([first], [])[0]
    assert "not expected" in comparer.differences([], [(first.job, first.result)])[0]
    assert "unreadable" in comparer.differences([], [(first.job, b"\x80\x04\x00")])[0]
    # The same iteration number, another value: 1 becomes 2 in the last eight bytes of the body.
    changed = first.result.replace(bytes.fromhex("3ff0000000000000"), bytes.fromhex("4000000000000000"))
    assert "value" in comparer.differences([first], [(first.job, changed)])[0]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", _scenarios())
@each_engine
def test_results_are_those_of_rs_worker(
    engine: str, scenario: str, theatre: Callable[[str], Theatre], comparer: Comparer
) -> None:
    recording = RECORDINGS[scenario]
    if has_r() and (missing := missing_r_packages(recording.packages)):
        pytest.skip(f"R packages not installed: {', '.join(missing)}")
    if engine != R_PEER and scenario in BAD_QUEUE_NAMES:
        pytest.skip(f"our worker refuses the queue: {BAD_QUEUE_NAMES[scenario]}")
    difference = None if engine == R_PEER else DIFFERENCES.get(scenario)
    outcome = theatre(engine).play(recording)
    wrong = comparer.differences(
        recording.expects("result"), outcome.answers, code=difference.value if difference else ""
    )
    assert not [*wrong, *outcome.problems], "\n".join([*wrong, *outcome.problems])


@each_engine
def test_queue_is_open_and_its_workers_counted_after_many_jobs(
    engine: str, theatre: Callable[[str], Theatre]
) -> None:
    site = theatre(engine).site(Place.of(RECORDINGS["basic_sqrt"]))
    assert site.counts() == [1]
    with site.server.client() as client:
        live = client.get("golden.live")
        assert is_r_empty_string(as_bytes(live)), live
        assert client.ttl("golden.live") == -1
        assert client.llen("golden") == 0
