"""Everything here is tested twice: with the compiled helper, and as it is without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rinterop.serialize import speed

HELPER = speed.compiled


# Of a module, not of a test: hypothesis runs many examples within one test.
@pytest.fixture(
    scope="module",
    autouse=True,
    params=[
        "pure",
        pytest.param(
            "compiled",
            marks=pytest.mark.skipif(HELPER is None, reason="rinterop._speed is not built, or switched off"),
        ),
    ],
)
def serializer(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which of the two serializes: "pure" or "compiled"."""
    speed.compiled = HELPER if request.param == "compiled" else None
    yield request.param
    speed.compiled = HELPER
