"""The same examples as Python programs on pools of every kind, with bodies in R and in Python."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from integration.site import Site

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("python")]


@dataclass(frozen=True)
class Example:
    """A Python program and an R program that tell the same numbers; the second needs no workers."""

    name: str
    python: str
    r: str


EXAMPLES = [
    Example(
        "pi",
        """
body = dr.rexpr("{ set.seed(k); 4 * mean(runif(20000)^2 + runif(20000)^2 < 1) }")
tell(sorted(queue.foreach(k=dr.icount(8), combine="c", inorder=False).dopar(body)))
""",
        "tell(sort(sapply(1:8, function(k) { set.seed(k); 4 * mean(runif(20000)^2 + runif(20000)^2 < 1) })))",
    ),
    Example(
        "bootstrap",
        """
slope = dr.rexpr('function(data, rows) coef(lm(dist ~ speed, data = data[rows, ]))[["speed"]]')
loop = queue.foreach(k=range(1, 6), combine="c", packages=["boot"], export={"slope": slope}, chunk_size=2)
tell(loop.dopar(dr.rexpr("{ set.seed(k); as.vector(boot(cars, slope, R = 8)$t) }")))
""",
        """
        slope <- function(data, rows) coef(lm(dist ~ speed, data = data[rows, ]))[["speed"]]
        tell(unlist(lapply(1:5, function(k) { set.seed(k); as.vector(boot::boot(cars, slope, R = 8)$t) })))
        """,
    ),
    Example(
        "seeds",
        """
draw = dr.rexpr("c(rnorm(1), runif(1), sample.int(1000, 1))")
single = queue.foreach(i=range(1, 8), combine="rbind", seed=7).dopar(draw)
chunked = queue.foreach(i=range(1, 8), combine="rbind", seed=7, chunk_size=3).dopar(draw)
assert np.array_equal(single, chunked)
unseeded = queue.foreach(i=range(1, 8), combine="rbind").dopar(draw)
assert not np.array_equal(single, unseeded)
seeding = dr.rexpr("{ set.seed(i); c(rnorm(1), runif(1), sample.int(1000, 1)) }")
tell(queue.foreach(i=range(1, 8), combine="rbind").dopar(seeding))
""",
        "tell(sapply(1:7, function(n) { set.seed(n); c(rnorm(1), runif(1), sample.int(1000, 1)) }))",
    ),
    Example(
        "matrices_from_redis",
        """
full = np.asfortranarray(np.arange(1.0, 61).reshape(10, 6).T / 7)
for part in (1, 2, 3):
    dr.redis_set(f"rows{part}", full[2 * part - 2 : 2 * part])
dr.redis_set("vector", np.arange(1.0, 11) - 4.5)
body = dr.rexpr('as.vector(redisGet(paste0("rows", part)) %*% redisGet("vector"))')
tell(queue.foreach(part=range(1, 4), combine="c", packages=queue_packages).dopar(body))
for key in ("rows1", "rows2", "rows3", "vector"):
    dr.redis_delete(key)
""",
        """
        full <- matrix(seq_len(60) / 7, nrow = 6)
        tell(unlist(lapply(1:3, function(part)
          as.vector(full[2 * part - 1:0, ] %*% (seq_len(10) - 4.5)))))
        """,
    ),
    Example(
        "nested_and_filtered",
        """
columns = dr.foreach(b=range(1, 6), combine="c").when(lambda a, b: (a + b) % 2 == 0)
tell(queue.foreach(a=range(1, 5), combine="c").nest(columns).dopar(dr.rexpr("a * 10 + b")))
""",
        """
        grid <- expand.grid(b = 1:5, a = 1:4)
        grid <- grid[(grid$a + grid$b) %% 2 == 0, ]
        tell(grid$a * 10 + grid$b)
        """,
    ),
    Example(
        "errors",
        """
body = dr.rexpr('{ if (i == 3) stop("no ", i, " today"); i * 10 }')
kept = queue.foreach(i=range(1, 5), errorhandling="remove", combine="c").dopar(body)
passed = queue.foreach(i=range(1, 5), errorhandling="pass").dopar(body)
assert "no 3 today" in str(passed[2])
try:
    queue.foreach(i=range(1, 5)).dopar(body)
except dr.TaskError as error:
    assert "no 3 today" in str(error)
    tell(kept)
""",
        "tell(c(10, 20, 40))",
    ),
    Example(
        "python_bodies",
        """
offset = 0.5
def body(x):
    if x == 4:
        raise ValueError("not four")
    return np.sqrt(x) + offset
tell(queue.foreach(x=range(9), errorhandling="remove", chunk_size=2).dopar(body))
""",
        "tell(sqrt(c(0:3, 5:8)) + 0.5)",
    ),
]


@pytest.fixture(scope="module")
def plain() -> dict[str, list[float]]:
    """What plain R says of each example, all in one session."""
    with Site() as site:
        values = site.plain_r("\n".join(example.r for example in EXAMPLES)).values()
    rows = [json.loads(value) for value in values]
    return dict(zip((example.name for example in EXAMPLES), rows, strict=True))


# R's workers run no Python.
CASES = [
    pytest.param(kind, example, id=f"{kind}-{example.name}")
    for kind in ("R", "ours", "mixed")
    for example in EXAMPLES
    if (kind, example.name) != ("R", "python_bodies")
]


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_under_python(kind: str, pool: Site, example: Example, plain: dict[str, list[float]]) -> None:
    # R's workers find redisGet() in doRedis; ours have it of their own.
    packages = ["doRedis"] if kind == "R" else []
    program = f"queue_packages = {packages}\n{example.python}"
    assert pool.python_coordinator(program).numbers() == plain[example.name]
    pool.check()


@pytest.mark.parametrize("kind", ["ours", "mixed"])
def test_numbers_drawn_by_numpy(kind: str, pool: Site) -> None:
    """Streams depend on the seed and on the iteration, whichever machine draws."""
    program = """
def body(n):
    return np.random.random() + n

first = queue.foreach(n=range(12), seed=7).dopar(body)
again = queue.foreach(n=range(12), seed=7, chunk_size=5).dopar(body)
here = dr.foreach(n=range(12), seed=7).do(body)
tell([first, again, here])
"""
    first, again, here = np.asarray(pool.python_coordinator(program).numbers()).reshape(3, 12)
    assert np.array_equal(first, again)
    assert np.array_equal(first, here)
    assert len(set(first % 1)) == 12
    pool.check()
