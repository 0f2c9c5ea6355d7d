"""What the replay tests share: the R process that compares, and the workers under test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.wire.compare import Comparer
from tests.wire.recording import load_all
from tests.wire.sites import Theatre, is_long
from tests.wire.table import NOT_REPLAYED


@pytest.fixture(scope="session")
def comparer() -> Iterator[Comparer]:
    with Comparer() as process:
        yield process


@pytest.fixture(scope="session")
def theatre(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Theatre]]:
    """The theatre of a kind of worker. Of the long recordings it plays those that this session selected."""
    chosen: dict[str, set[str]] = {}
    for item in request.session.items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "engine" in parameters and "scenario" in parameters and not item.get_closest_marker("skip"):
            chosen.setdefault(parameters["engine"], set()).add(parameters["scenario"])
    recordings = load_all()
    theatres: dict[str, Theatre] = {}

    def of(kind: str) -> Theatre:
        # All kinds at the first call: the long recordings sleep, and may well do so beside the quick ones.
        for each in {kind, *chosen} - set(theatres):
            names = sorted(chosen.get(each, set()) - set(NOT_REPLAYED))
            theatres[each] = Theatre(each, [recordings[name] for name in names if is_long(recordings[name])])
        return theatres[kind]

    yield of
    for built in theatres.values():
        built.close()
