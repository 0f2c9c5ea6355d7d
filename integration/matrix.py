"""The tests that touch R or Python's internals, on other systems than this one: `make matrix SYSTEM=trixie`.

Each system is a release of Debian with its R and its Python, as a container. In it, as an ordinary user and
from the files that a clone of this working tree would have, `make setup` is run and then the fast tests of
the codec, the embedded R, workers, the wire, real peers and servers. The table at the end says how many
passed, failed and were skipped, and why; the exit status is 1 if one failed. `--json` writes the figures to a
file, and leaves those of other systems there. `--own FILE` adds a line for this machine, from what pytest
wrote (`--junitxml`) of the tests here.

With `--instead COMMAND` that is run there after `make setup`, and no test: for benchmarks, or to look around.

R packages of CRAN that the tests marked `rpeer` need come from a library that was filled on such a system,
where one is named (`--r-library`); without it these tests skip themselves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from integration import bare, images
from integration.systems import SYSTEMS, System

PACKAGES = (
    *("make", "ca-certificates", "procps", "openssl", "redis-server", "python3", "python3-venv"),
    *("r-base-core", "r-cran-foreach", "r-cran-iterators", "r-cran-boot", "r-cran-r6", "r-cran-digest"),
    # To compile rpy2, which is linked with all that R is linked with; and hiredis for R's own peers.
    *("gcc", "libc6-dev", "python3-dev", "libblas-dev", "libbz2-dev", "libdeflate-dev", "libicu-dev"),
    *("liblzma-dev", "libpcre2-dev", "libtirpc-dev", "libzstd-dev", "zlib1g-dev", "libhiredis-dev"),
)

TESTS = (
    *("tests/rinterop", "tests/runtime", "tests/worker", "tests/wire", "tests/peers"),
    *("tests/store/test_servers.py", "tests/test_server.py"),
)

TELL_VERSIONS = """
.venv/bin/python -c 'from rinterop.runtime.locate import Probe; print(Probe().result())'
.venv/bin/python --version
redis-server --version | sed 's/.* v=\\([^ ]*\\).*/Redis \\1/'
"""
OWN = "this machine"
R_LIBRARY = "/r-library"

EXTRAS = ("dev",)
"""Those of `make setup` but for what examples need: these are run on one system."""

SET_UP = f"make setup EXTRAS={','.join(EXTRAS)}"


@dataclass
class Outcome:
    """What came of the tests on a system.

    Attributes:
        system: The release.
        versions: What runs there, a line each: R and how it is embedded, Python, Redis.
        passed: How many tests did.
        failed: Which tests did not.
        skipped: How many were skipped, by reason.
        seconds: How long the tests took.
    """

    system: str
    versions: list[str]
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def read(self, report: Path) -> None:
        """Take in what pytest wrote (JUnit's XML)."""
        suite = ElementTree.parse(report).getroot().find("testsuite")
        assert suite is not None
        self.seconds = float(suite.get("time", "nan"))
        for case in suite.iter("testcase"):
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(f"{case.get('classname')}::{case.get('name')}")
            elif skip is not None:
                reason = skip.get("message", "")
                self.skipped[reason] = self.skipped.get(reason, 0) + 1
            else:
                self.passed += 1


def image_of(system: System) -> str:
    """The image of a system; made if need be.

    Raises:
        RuntimeError: If it cannot be made.
    """
    image = f"pydoredis/system-{system.release}:integration"
    base, packages = f"BASE={images.base(system.release)}", f"PACKAGES={' '.join(PACKAGES)}"
    images.build_image(image, "integration/system.Dockerfile", base, packages)
    return image


def prepare(system: System) -> tuple[str, Path]:
    """The image of a system and a wheelhouse for its Python; made and filled if need be.

    Raises:
        RuntimeError: If one of them cannot be made; or the system has another Python by now.
    """
    image = image_of(system)
    has = subprocess.run(
        ["docker", "run", "--rm", "--network=none", image, "python3", "--version"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.split()[-1]
    if not has.startswith(f"{system.python}."):
        raise RuntimeError(
            f"{system.release} has Python {has}, not {system.python}: see integration/systems.py"
        )
    wheelhouse = images.REPOSITORY / "build" / f"wheelhouse-{system.python}"
    images.fill_wheelhouse(*EXTRAS, "embedded", system.extra, into=wheelhouse, python=system.python)
    return image, wheelhouse


def run(system: System, tests: Sequence[str] = TESTS, r_library: Path | None = None) -> Outcome:
    """Set up and test on a system; the output goes to ours.

    Args:
        system: Which.
        tests: Which tests.
        r_library: A folder with R packages built on such a system.

    Raises:
        RuntimeError: If there is no image, or the tests were not run.
    """
    image, wheelhouse = prepare(system)
    pytest = f"-n 4 --dist loadfile -m 'not slow' --junitxml=/results/junit.xml {' '.join(tests)}"
    commands = [
        SET_UP,
        f"{{ {TELL_VERSIONS} }} >/results/versions",
        f'make pytest PYTEST_ARGS="{pytest}"',
    ]
    with tempfile.TemporaryDirectory(prefix="pydoredis-matrix-") as results:
        Path(results).chmod(0o777)  # the user in the container is another one
        images.say(f"testing on {system.release}")
        options = ["--volume", f"{results}:/results", *with_library(r_library)]
        status = bare.run_in_checkout(image, wheelhouse, commands, *options)
        report = Path(results, "junit.xml")
        if not report.is_file():
            raise RuntimeError(f"no test was run on {system.release}")
        outcome = Outcome(system.release, Path(results, "versions").read_text().splitlines())
        outcome.read(report)
    if status != 0 and not outcome.failed:
        outcome.failed.append(f"the tests as a whole: exit status {status}")
    return outcome


def with_library(r_library: Path | None) -> list[str]:
    """Options of `docker run` that give R in a container a library of packages."""
    if r_library is None:
        return []
    return ["--volume", f"{r_library.resolve()}:{R_LIBRARY}:ro", "--env", f"R_LIBS={R_LIBRARY}"]


def own(report: Path) -> Outcome:
    """What came of the tests on this machine."""
    told = subprocess.run(
        ["sh", "-c", TELL_VERSIONS], cwd=images.REPOSITORY, stdout=subprocess.PIPE, text=True, check=False
    )
    outcome = Outcome(OWN, told.stdout.splitlines())
    outcome.read(report)
    return outcome


def read(file: Path) -> list[Outcome]:
    """What `--json` has kept."""
    return [Outcome(**each) for each in json.loads(file.read_text(encoding="utf-8"))]


def table(outcomes: list[Outcome]) -> Table:
    """What came of the tests, a line for each system."""
    found = Table(title="The matrix of systems")
    for column in ("system", "versions", "passed", "failed", "skipped", "seconds"):
        found.add_column(column, justify="left" if column in ("system", "versions") else "right")
    for each in outcomes:
        counts = (each.passed, len(each.failed), sum(each.skipped.values()), round(each.seconds))
        found.add_row(each.system, "\n".join(each.versions), *map(str, counts))
    return found


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m integration.matrix",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}; default: all")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="tests in place of the usual ones")
    parser.add_argument("--r-library", type=Path, help="R packages for it; {} stands for the system's name")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--own", type=Path, help="what pytest wrote of the tests on this machine")
    parser.add_argument("--instead", metavar="COMMAND", help="run this on each system, and no test")
    options = parser.parse_args()
    if unknown := set(options.systems) - set(SYSTEMS):
        parser.error(f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(SYSTEMS)}")
    outcomes = [own(options.own)] if options.own else []
    for name in options.systems or SYSTEMS:
        library = options.r_library and Path(str(options.r_library).replace("{}", name))
        if options.instead:
            commands = [SET_UP, options.instead]
            if status := bare.run_in_checkout(*prepare(SYSTEMS[name]), commands, *with_library(library)):
                return status
        else:
            outcomes.append(run(SYSTEMS[name], options.tests, library))
    if options.instead:
        return 0
    console = Console(width=110)
    console.print(table(outcomes))
    for each in outcomes:
        for reason, count in each.skipped.items():
            console.print(f"{each.system}: {count} skipped: {reason}", markup=False)
        for test in each.failed:
            console.print(f"{each.system}: failed: {test}", markup=False)
    if options.json:
        known = read(options.json) if options.json.is_file() else []
        by_name = {each.system: each for each in (*known, *outcomes)}
        kept = [asdict(by_name[name]) for name in SYSTEMS if name in by_name]
        options.json.write_text(json.dumps(kept, indent=1) + "\n")
    return 1 if any(each.failed for each in outcomes) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"matrix: {error}")
