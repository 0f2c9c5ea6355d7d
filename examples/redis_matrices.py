"""Matrices that workers fetch from Redis: a product, computed in blocks of rows.

What a task needs is told by a name, so that tasks stay small; R sessions see the same matrices with
redisGet("B").

python examples/redis_matrices.py          with a Python body
python examples/redis_matrices.py --r      with an R body
"""

import sys

import numpy as np
from numpy.typing import NDArray

import pydoredis as dr

BLOCKS = ["A1", "A2", "A3", "A4"]


def multiply(name: str) -> NDArray[np.float64]:
    """A block of rows, times B."""
    product: NDArray[np.float64] = dr.redis_get(name) @ dr.redis_get("B")
    return product


multiply_in_r = dr.rexpr('redisGet(name) %*% redisGet("B")')

if __name__ == "__main__":
    random = np.random.default_rng(1)
    a, b = random.random((400, 300)), random.random((300, 200))
    body = multiply_in_r if "--r" in sys.argv else multiply
    with dr.local(2):
        dr.redis_set("B", b)
        for name, block in zip(BLOCKS, np.split(a, len(BLOCKS)), strict=True):
            dr.redis_set(name, block)
        product = dr.foreach(name=BLOCKS, combine="rbind").dopar(body)
        for name in ["B", *BLOCKS]:
            dr.redis_delete(name)
    print(f"{a.shape} times {b.shape} is {product.shape}")
    print(f"largest deviation from NumPy's product: {np.abs(product - a @ b).max():.0e}")
