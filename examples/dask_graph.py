"""A graph of dask's, computed on workers through `Executor`.

python examples/dask_graph.py
"""

from __future__ import annotations

import os

import dask

import pydoredis as dr


@dask.delayed
def load(part: int) -> list[int]:
    """Some numbers."""
    return list(range(100 * part, 100 * (part + 1)))


@dask.delayed
def count(numbers: list[int]) -> tuple[int, int]:
    """How many of them are even, and which process has counted them."""
    return sum(number % 2 == 0 for number in numbers), os.getpid()


@dask.delayed
def total(counts: list[tuple[int, int]]) -> tuple[int, bool]:
    """All of them, and whether none was counted here."""
    return sum(number for number, _ in counts), all(pid != HERE for _, pid in counts)


HERE = os.getpid()

if __name__ == "__main__":
    with dr.local(2), dr.Executor() as executor, dask.config.set(scheduler=executor):
        even, elsewhere = total([count(load(part)) for part in range(10)]).compute()
    print(f"{even} even numbers, counted elsewhere: {elsewhere}")
