"""`python -m tests.model`: explore all worlds for a while, and print what was seen."""

from __future__ import annotations

import argparse
import sys

from tests.model.explore import explore
from tests.model.scenarios import SCENARIOS
from tests.model.server import Server


def main() -> int:
    """Explore; 1 if something was found wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="processor time for all of them together")
    parser.add_argument("--every", type=int, default=20, help="run each so-many-th state to its end")
    parser.add_argument("names", nargs="*", choices=[[], *SCENARIOS], help="those to explore; all by default")
    arguments = parser.parse_args()
    names = arguments.names or list(SCENARIOS)
    wrong = False
    for name in names:
        with Server() as server:
            report = explore(
                server, SCENARIOS[name], seconds=60 * arguments.minutes / len(names), every=arguments.every
            )
        print(f"{name}: {report}", flush=True)
        wrong = wrong or bool(report.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
