"""Makes ahead what `make bare`, `make integration` and `make matrix` need: `python -m integration.prepare`.

That is their images and wheelhouses, which mostly wait for the network. `.ci/run` makes them in one step;
each of the three finds them then, and makes what is missing. Systems of the matrix are the arguments.
"""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from integration import bare, images, matrix
from integration.systems import SYSTEMS


def main(*systems: str) -> None:
    """Make them, and say how long each took.

    Raises:
        RuntimeError: If one cannot be made; says why.
    """
    # The way out that leaves no temporary folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("prepare: terminated"))
    steps: dict[str, Callable[[], object]] = {"bare": bare.prepare, "integration": images.build}
    for name in systems:
        steps[name] = functools.partial(matrix.prepare, SYSTEMS[name])
    for name, make in steps.items():
        began = time.monotonic()
        make()
        images.say(f"{name}: prepared in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RuntimeError, OSError, KeyError, subprocess.CalledProcessError) as error:
        sys.exit(f"prepare: {error}")
