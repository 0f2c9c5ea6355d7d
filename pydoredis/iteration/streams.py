"""Random numbers that depend on a seed and an iteration's number, and on nothing else.

For R bodies: L'Ecuyer's MRG32k3a with streams 2^127 numbers apart, the states that `set.seed(seed,
kind = "L'Ecuyer-CMRG")` and `parallel::nextRNGStream` give (P. L'Ecuyer, R. Simard, E. J. Chen, W. D. Kelton:
An object-oriented random-number package with many long streams and substreams, Operations Research 50, 2002).
For Python bodies: NumPy's `SeedSequence`, one for each iteration. A loop without a seed has a fresh one.
"""

from __future__ import annotations

import contextlib
import functools
import random
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from pydoredis.errors import ConfigError

# L'Ecuyer-CMRG, as R has it

RandomSeed: TypeAlias = tuple[int, ...]
"""R's `.Random.seed`: seven signed 32-bit integers; the generator's kind, then two recurrences of order 3."""

Matrix: TypeAlias = tuple[tuple[int, int, int], ...]

LECUYER_CMRG: Final = 10407
"""First in `.Random.seed`: L'Ecuyer-CMRG (7), normals by inversion (400), sampling by rejection (10000)."""

M1: Final = 4294967087
M2: Final = 4294944443
STEP1: Final[Matrix] = ((0, 1, 0), (0, 0, 1), (-810728, 1403580, 0))
STEP2: Final[Matrix] = ((0, 1, 0), (0, 0, 1), (-1370589, 0, 527612))
STREAM_LENGTH_LOG2: Final = 127

WORD: Final = 2**32
MAX_R_SEED: Final = 2**31 - 1


def fresh_seed() -> int:
    """A seed that no other loop has: 128 bits, of which the operating system draws all but the highest."""
    return 1 << 127 | secrets.randbits(127)


def is_r_seed(seed: int) -> bool:
    """Whether R's `set.seed` takes the seed."""
    return -MAX_R_SEED <= seed <= MAX_R_SEED


def r_seed(seed: int, n: int) -> int:
    """For iteration `n` of a loop whose seed is none of R's: what `set.seed` is given.

    No two iterations of a loop have the same, some of two large loops may: R knows only so many.

    Raises:
        ConfigError: If `seed` is negative.
    """
    return (_bases(seed)[1] + n) % MAX_R_SEED


def stream(seed: int, n: int) -> RandomSeed:
    """R's `.Random.seed` for iteration `n`: `nextRNGStream` applied `n` times to the state that `seed` gives.

    Takes time that grows with the logarithm of `n`.

    Args:
        seed: What `set.seed` gets: at most 2^31 - 1, of either sign.
        n: The iteration, counted from 1; 0 gives the state of the seed itself.

    Raises:
        ConfigError: If R could not have such a seed, or `n` is negative.
    """
    if n < 0:
        raise ConfigError("n", n, "at least 0")
    first, second = _stream_jumps()
    state = _seeded(seed)
    return _random_seed(
        _applied(_power(first, n, M1), state[:3], M1) + _applied(_power(second, n, M2), state[3:], M2)
    )


class Streams:
    """The streams of one seed; the next one takes a thirtieth of the time of any other.

    Raises:
        ConfigError: If R could not have such a seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._number = 0
        self._state = _seeded(seed)

    def __getitem__(self, n: int) -> RandomSeed:
        """`stream(seed, n)`."""
        if n == self._number + 1:
            first, second = _stream_jumps()
            self._state = _applied(first, self._state[:3], M1) + _applied(second, self._state[3:], M2)
        elif n != self._number:
            self._state = _state(stream(self.seed, n))
        self._number = n
        return _random_seed(self._state)


def _seeded(seed: int) -> tuple[int, ...]:
    """The six words that R makes of an integer, by a congruential generator that runs idle for 50 steps."""
    if not is_r_seed(seed):
        raise ConfigError("seed", seed, f"an integer from -{MAX_R_SEED} to {MAX_R_SEED}, for R")
    word = seed % WORD
    for _ in range(50):
        word = (69069 * word + 1) % WORD
    state = []
    for _ in range(6):
        word = (69069 * word + 1) % WORD
        while word >= M2:  # fits both recurrences
            word = (69069 * word + 1) % WORD
        state.append(word)
    return tuple(state)


def _random_seed(state: tuple[int, ...]) -> RandomSeed:
    """With the kind in front, and as R shows it: unsigned words as signed integers."""
    return (LECUYER_CMRG, *(word - WORD if word > MAX_R_SEED else word for word in state))


def _state(seed: RandomSeed) -> tuple[int, ...]:
    """The six unsigned words of a `.Random.seed`."""
    return tuple(word % WORD for word in seed[1:])


@functools.cache
def _stream_jumps() -> tuple[Matrix, Matrix]:
    """The matrices that take both recurrences to the next stream."""
    distance = 2**STREAM_LENGTH_LOG2
    return _power(STEP1, distance, M1), _power(STEP2, distance, M2)


def _power(matrix: Matrix, exponent: int, modulus: int) -> Matrix:
    result: Matrix = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    while exponent:
        if exponent & 1:
            result = _product(result, matrix, modulus)
        matrix = _product(matrix, matrix, modulus)
        exponent >>= 1
    return result


def _product(a: Matrix, b: Matrix, modulus: int) -> Matrix:
    (p, q, r), (s, t, u), (v, w, x) = b
    return tuple(
        (
            (i * p + j * s + k * v) % modulus,
            (i * q + j * t + k * w) % modulus,
            (i * r + j * u + k * x) % modulus,
        )
        for i, j, k in a
    )


def _applied(matrix: Matrix, state: tuple[int, ...], modulus: int) -> tuple[int, ...]:
    p, q, r = state
    return tuple((i * p + j * q + k * r) % modulus for i, j, k in matrix)


# NumPy


@dataclass(slots=True)
class _Current:
    """The iteration that is running; its generator is made when it is asked for."""

    seed: int
    number: int
    generator: np.random.Generator | None = None


_current: ContextVar[_Current | None] = ContextVar("pydoredis_iteration", default=None)


def seed_sequence(seed: int, n: int) -> np.random.SeedSequence:
    """The source of all random numbers of iteration `n`: child `n` of `SeedSequence(seed)`.

    Raises:
        ConfigError: If `seed` is negative, which NumPy has no use for.
    """
    return np.random.SeedSequence(entropy=check_seed(seed), spawn_key=(n,))


def check_seed(seed: int) -> int:
    """The seed, if Python bodies can have it.

    Raises:
        ConfigError: If it is negative, which NumPy has no use for.
    """
    if seed < 0:
        raise ConfigError("seed", seed, "at least 0")
    return seed


def seed_iteration(seed: int, n: int) -> None:
    """Begin iteration `n`: `rng` gives its generator, and `random` and NumPy's old functions are seeded.

    For whoever runs bodies, right before each. A loop in the user's own process belongs inside `preserved()`.

    NumPy's old functions get 32 bits of seed and no more, for more would take as long as all the rest: no two
    iterations of a loop begin alike, some of two large loops may. `rng` has all bits of the seed.

    Raises:
        ConfigError: If `seed` is negative.
    """
    python, numpy = _bases(seed)
    random.seed(python + n)
    np.random.seed((numpy + n) % WORD)
    _current.set(_Current(seed, n))


@functools.lru_cache(maxsize=8)
def _bases(seed: int) -> tuple[int, int]:
    """From where the seeds of `random` and of NumPy's old functions are counted."""
    *python, numpy = np.random.SeedSequence(check_seed(seed)).generate_state(5).tolist()
    return sum(word << 32 * place for place, word in enumerate(python)), numpy


def rng() -> np.random.Generator:
    """The random numbers of the iteration that is running, the same ones wherever and whenever it runs.

    For each iteration one generator, `default_rng(SeedSequence(seed, spawn_key=(number,)))`, with the loop's
    seed: what `foreach(..., seed=1)` says, or a fresh one (`Job.seed` tells it). A body's threads have to be
    given the generator.

    Raises:
        ConfigError: If no iteration is running in this thread.
    """
    current = _current.get()
    if current is None:
        raise ConfigError(
            "rng", None, "called by the body of a loop: it gives the running iteration's numbers"
        )
    if current.generator is None:
        current.generator = np.random.default_rng(seed_sequence(current.seed, current.number))
    return current.generator


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Afterwards all is as it was: which iteration is running, `random`, and NumPy's old functions."""
    outer, python, numpy = _current.get(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        _current.set(outer)
        random.setstate(python)
        np.random.set_state(numpy)
