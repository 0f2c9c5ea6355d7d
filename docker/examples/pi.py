"""Estimates pi with all workers of the pool, by a Python body and by an R body."""

import os

import numpy as np

import pydoredis as dr

TASKS, POINTS = 200, 100_000


def hits(task: int) -> int:
    """How many of random points are inside of the circle."""
    points = np.random.random((2, POINTS))
    return int(np.sum(np.hypot(*points) < 1))


queue = dr.register(os.environ.get("PYDOREDIS_QUEUE", "RJOBS"))
print("Workers:", sum(row.workers for row in queue.workers()))

inside = dr.foreach(range(TASKS), combine="+", inorder=False, seed=1).dopar(hits)
print(f"Python's pi is about {4 * inside / (TASKS * POINTS):.7f}")

body = dr.rexpr(f"sum(sqrt(runif({POINTS})^2 + runif({POINTS})^2) < 1)")
inside = dr.foreach(dr.icount(TASKS), combine="+", inorder=False).dopar(body)
print(f"R's pi is about {4 * inside / (TASKS * POINTS):.7f}")
