"""Conversion where nothing is installed but NumPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import rinterop

PROGRAM = """
import importlib.util, sys
assert not any(importlib.util.find_spec(name) for name in ("pandas", "polars", "pyarrow"))
import numpy as np
import rinterop
from rinterop import values as v

frame = rinterop.to_r(rinterop.Table({
    "f": rinterop.Factor([0, 1], ["a", "b"]),
    "x": np.array([1.5, 2.5]),
    "t": np.array(["2024-01-01", "NaT"], "M8[us]"),
}))
found = rinterop.to_python(frame)
assert isinstance(found, rinterop.Table), found
assert found["f"] == rinterop.Factor([0, 1], ["a", "b"])
assert rinterop.to_r(found) == frame
tags = v.attributes_of(**{"class": v.character("POSIXct", "POSIXt"), "tzone": v.character("UTC")})
times = v.Double(np.array([0.0, 1.0]), attributes=tags)
assert isinstance(rinterop.to_python(times), rinterop.RArray)
assert rinterop.to_r(rinterop.to_python(times)) == times
for kind in ("pandas", "polars", "arrow"):
    try:
        rinterop.to_python(frame, frames=kind)
    except rinterop.ConversionError as error:
        assert "pip install" in str(error), error
    else:
        raise AssertionError(kind)
print("done")
"""


def test_without_other_packages(tmp_path: Path) -> None:
    for package in (np, rinterop):
        folder = Path(str(package.__file__)).parent
        for part in folder.parent.glob(f"{folder.name}*"):  # numpy.libs, too
            if part.is_dir():
                (tmp_path / part.name).symlink_to(part)
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout == "done\n", done.stderr
