"""Everything R recorded, through Python and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

import rinterop
from rinterop import values as v
from tests.rinterop.recordings import FOLDERS, golden, recordings

# Times in pieces come back as a number of seconds; the table in docs/r-values.md says so.
ONE_WAY = {"posixlt_utc", "posixlt_zone"}


def comparable(value: Any) -> Any:
    """Vectors and lists with compact forms expanded and attributes in alphabetical order; the rest."""
    if isinstance(value, v.Altrep):
        try:
            value = v.plain(value)
        except rinterop.ExpansionError:
            return value
    if not isinstance(value, v.Vector):
        return value
    tags = {name: comparable(one) for name, one in sorted(v.attributes(value).items())}
    inside = tuple(map(comparable, value.values)) if isinstance(value, v.List) else value.values
    return type(value)(
        values=inside,  # type: ignore[arg-type]  # the values' own type
        attributes=v.attributes_of(**tags),
        gp=value.gp,
        is_object=value.is_object,
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("folder", [*FOLDERS, *golden()], ids=lambda folder: str(folder.name))
@pytest.mark.parametrize("frames", [None, "table"])
def test_recorded_values_come_back(folder: Path, frames: Literal["table"] | None) -> None:
    changed = []
    for one in recordings(folder, form="xdr"):
        value = rinterop.loads(one.read(), mmap="keep")
        back = rinterop.to_r(rinterop.to_python(value, frames=frames))
        # Comparing goes into depth without limit, making them comparable does not.
        if back != value and (one.name in ONE_WAY or comparable(back) != comparable(value)):
            changed.append(one.name)
    assert set(changed) <= ONE_WAY
