"""R bodies find on our workers what they find on R's own: one program, three pools, one answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.pool import Pool
from tests.redis_process import RedisProcess

pytestmark = [pytest.mark.rpeer, pytest.mark.slow, pytest.mark.timeout(180)]

ENGINES = ("rpy2", "rscript")


def programs() -> dict[str, str]:
    sections = (Path(__file__).parent.parent / "data" / "peers" / "bodies.R").read_text().split("\n## ")[1:]
    return {name: program for name, _, program in (section.partition("\n") for section in sections)}


PROGRAMS = programs()


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, list[str]]]:
    """What each program gives on R's own worker, and on ours with each engine; they run side by side."""
    with RedisProcess() as server, server.client() as client:
        pools = {name: Pool(server.url, client, name) for name in ("R", *ENGINES)}
        for name, pool in pools.items():
            if name == "R":
                pool.add_r_worker()
            else:
                # R's own worker limits no library's threads; ours does, unless it is told not to.
                pool.add_agent(options=("--r-engine", name, "--threads", "0"))
        text = "\n".join(f"say(local({{ {program} }}))" for program in PROGRAMS.values())
        sessions = {name: pool.coordinator(text) for name, pool in pools.items()}
        yield {name: session.values(120) for name, session in sessions.items()}
        for pool in pools.values():
            pool.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_values(name: str, engine: str, answers: dict[str, list[str]]) -> None:
    place = list(PROGRAMS).index(name)
    assert answers[engine][place] == answers["R"][place]


# --- where R's own workers end, or go on for ever ---

LIMIT = """{
  foreach(i = 1:2, .errorhandling = "pass") %dopar% { setTimeLimit(elapsed = 0.1); i }
  foreach(i = 1:4, .combine = c) %dopar% { Sys.sleep(0.15); i }
}"""
CRASH_BEHIND_A_SINK = """{
  setChunkSize(4)
  r <- foreach(i = 1:4, .errorhandling = "pass") %dopar% {
    if (i == 1) sink(tempfile())
    if (i == 3) quit("no", 7)
    Sys.sleep(0.1)
    i
  }
  sapply(r, function(x) if (inherits(x, "condition")) class(x)[1] else x)
}"""
INTERRUPT = """{
  r <- foreach(i = 1:2, .errorhandling = "pass") %dopar% {
    if (i == 2) { tools::pskill(Sys.getpid(), tools::SIGINT); Sys.sleep(5) }
    i
  }
  sapply(r, function(x) if (inherits(x, "condition")) class(x)[1] else x)
}"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (LIMIT, "1:4"),
        (CRASH_BEHIND_A_SINK, 'c("1", "2", "pydoredis_crash", "4")'),
        (INTERRUPT, 'c("1", "pydoredis_crash")'),
    ],
    ids=["a limit of time", "a crash behind a sink", "an interrupt"],
)
def test_what_ends_well_here(program: str, expected: str, engine: str, pool: Pool) -> None:
    pool.add_agent(options=("--r-engine", engine, "--retry-pause", "0.1"))
    assert pool.run(f"say(local({program}))") == expected
