"""π by throwing darts: of points that are anywhere in a square, a share of π/4 is in its circle.

python examples/pi.py          with a Python body
python examples/pi.py --r      with an R body, on the same workers
"""

import sys

import pydoredis as dr

DARTS = 1_000_000


def throw(darts: int) -> int:
    """How many darts hit."""
    x, y = dr.rng().random((2, darts))
    return int((x * x + y * y < 1).sum())


throw_in_r = dr.rexpr("sum(runif(darts)^2 + runif(darts)^2 < 1)")

if __name__ == "__main__":
    body = throw_in_r if "--r" in sys.argv else throw
    with dr.local(2):
        # The order does not matter to a sum. With a seed the answer is the same each time, and everywhere.
        parts = dr.idiv(DARTS, chunks=10)
        hits = dr.foreach(darts=parts, combine="+", inorder=False, seed=1).dopar(body)
    print(f"pi is about {4 * hits / DARTS:.4f}")
