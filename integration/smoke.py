"""Whether an installed pydoredis works: `python -I integration/smoke.py compiled` (or `pure`).

The argument says whether the compiled helper must be in use, or must not be there. With a Redis server on the
PATH or in a package, the demo runs as well (not with `no-demo` as a second argument). A program of its own
that needs nothing but the package, for `make wheels` and for the builds of a release; with `-I` the checkout
stays out of sight.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import numpy

import rinterop
from pydoredis.server import find_server

CHECKOUT = Path(__file__).resolve().parent.parent
COMMAND_S = 180


def serialization() -> None:
    """Values that go to R's form and back are the same, in each form and for numbers, texts and lists."""
    for value in (
        rinterop.to_r([1, 2, 3]),
        rinterop.to_r(numpy.linspace(0, 1, 1000)),
        rinterop.to_r({"names": ["a", "b", "ü", None], "flags": [True, False], "nested": {"x": 1.5}}),
    ):
        data = rinterop.dumps(value)
        back = rinterop.loads(data)
        if rinterop.dumps(back) != data:
            raise SystemExit(f"smoke: {value!r} came back as {back!r}")


def helper(expected: str) -> None:
    """The helper is in use or absent, as the kind of wheel has it."""
    if Path(rinterop.__file__).is_relative_to(CHECKOUT / "rinterop"):
        raise SystemExit(f"smoke: this is the checkout, and not what was installed: {rinterop.__file__}")
    if rinterop.accelerated != (expected == "compiled"):
        raise SystemExit(f"smoke: expected {expected}, but serialization is done {rinterop.acceleration}")


def command(*arguments: str) -> str:
    """What the installed command says.

    Raises:
        SystemExit: If it fails; with what it said.
    """
    program = str(Path(sysconfig.get_path("scripts"), "pydoredis"))
    done = subprocess.run(
        [program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=COMMAND_S,
    )
    if done.returncode != 0:
        raise SystemExit(f"smoke: pydoredis {' '.join(arguments)} failed:\n{done.stdout}")
    return done.stdout


def main(expected: str, with_demo: bool) -> None:
    helper(expected)
    serialization()
    if version("pydoredis") not in (said := command("--version")):
        raise SystemExit(f"smoke: pydoredis --version says {said!r}")
    demo = "not asked for"
    if with_demo:
        demo = "no Redis server here" if find_server() is None else "ran"
    if demo == "ran":
        command("demo")
    print(
        f"{expected}: works with Python {platform.python_version()}, NumPy {numpy.__version__}; demo: {demo}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] not in (["compiled"], ["pure"]) or sys.argv[2:] not in ([], ["no-demo"]):
        raise SystemExit("usage: python -I integration/smoke.py compiled|pure [no-demo]")
    main(sys.argv[1], not sys.argv[2:])
