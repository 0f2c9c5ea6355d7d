"""Random numbers that stay the same, whatever runs where: one stream for each iteration.

python examples/seeds.py          with a Python body: NumPy's streams
python examples/seeds.py --r      with an R body: those of parallel::nextRNGStream
"""

import sys

import pydoredis as dr


def draw(i: int) -> float:
    """A number from the iteration's own stream."""
    return float(dr.rng().normal())


draw_in_r = dr.rexpr("rnorm(1)")

if __name__ == "__main__":
    body = draw_in_r if "--r" in sys.argv else draw

    def numbers(seed: int, chunk_size: int) -> list[float]:
        """Six draws."""
        loop = dr.foreach(i=dr.icount(6), seed=seed, chunk_size=chunk_size)
        return [round(float(number), 4) for number in loop.dopar(body)]

    with dr.local(2):
        single, pairs, other = numbers(1, chunk_size=1), numbers(1, chunk_size=2), numbers(2, chunk_size=1)
    with dr.local(1):
        alone = numbers(1, chunk_size=6)
    print("seed 1:", *single)
    print("in chunks of two the same:", single == pairs)
    print("on one worker the same:", single == alone)
    print("with seed 2 the same:", single == other)
