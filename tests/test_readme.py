"""The README's examples, as they stand there."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.peers.processes import clean_environment, pydoredis_worker, r_address

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]


def examples(language: str) -> list[str]:
    """The blocks of code in the README in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)


def prints_pi(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    estimate = float(done.stdout.split()[-1])
    assert abs(estimate - math.pi) < 5 * 1.642 / math.sqrt(10_000_000)  # five standard errors


@pytest.mark.slow
def test_the_examples_for_python_users(redis_url: str) -> None:
    environment = {**os.environ, "PYDOREDIS_URL": redis_url}
    loop, calls = examples("python")
    prints_pi([sys.executable, "-c", loop], environment)
    program = f"import pydoredis as dr\n{calls}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout == "1024 3 2 4\n"


@pytest.mark.slow
@pytest.mark.rpeer
def test_the_example_for_r_users(redis_url: str, redis_client: redis.Redis) -> None:
    registration = 'registerDoRedis("RJOBS")'
    (code,) = examples("r")
    assert code.count(registration) == 1
    # There, the server is where doRedis looks for one.
    code = code.replace(registration, f'registerDoRedis("RJOBS", {r_address(redis_url)})')
    with pydoredis_worker(redis_url, ["RJOBS"], workers=2) as worker:
        prints_pi(["Rscript", "-e", code], clean_environment())
        assert worker.wait() == 0
    assert [key for key in redis_client.scan_iter() if redis_client.pttl(key) == -1] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        place, _, heading = target.partition("#")
        if "://" in place:
            continue
        linked = (path.parent / place) if place else path
        assert linked.exists(), target
        if heading:
            assert heading in anchors(linked.read_text("utf-8")), target


def anchors(document: str) -> set[str]:
    """Names of its headings in links."""
    headings = re.findall(r"^#+ (.+)$", document, re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
