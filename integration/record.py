"""Recordings of R on other systems than this one: `make record SYSTEM=sid`.

The recorders of values (`tests/rinterop/record.py`) and of what goes over the wire (`tests/wire/record.py`)
run here, and their R in a container of a system of the matrix. What goes over the wire takes a library with
doRedis that was built on such a system (`--r-library`); without one it is left out. The files go into
`tests/data`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from integration import images, matrix
from integration.systems import SYSTEMS, System
from tests.rinterop.record import Recorder
from tests.wire import record as wire
from tests.wire.recording import DATA as WIRE


def rscript(system: System, r_library: Path | None) -> list[str]:
    """The command that runs R there, on this machine's network, with the files that are here.

    Raises:
        RuntimeError: If there is no image.
    """
    image = matrix.image_of(system)
    command = ["docker", "run", "--rm", "--init", "--network=host", "--hostname=recorded"]
    command += ["--env", "LC_ALL=C.UTF-8", "--env", "TZ=UTC", "--user=root", "--volume", "/tmp:/tmp"]
    command += ["--volume", f"{images.REPOSITORY}:{images.REPOSITORY}:ro"]
    return [*command, *matrix.with_library(r_library), image, "Rscript"]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="python -m integration.record",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--r-library", type=Path, help="R packages for it, with doRedis")
    options = parser.parse_args()
    command = rscript(SYSTEMS[options.system], options.r_library)
    with Recorder(command) as recorder:
        added = recorder.keep(recorder.folder())
        images.say(f"R {recorder.version}: {len(added)} values into {recorder.folder()}")
    if options.r_library is None:
        images.say("no --r-library with doRedis: nothing of the wire")
        return
    recording = wire.record(command)
    recording.save(WIRE / f"{recording.scenario}.json.gz")
    images.say(f"{recording.scenario}: {len(recording.expects('result'))} results")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"record: {error}")
