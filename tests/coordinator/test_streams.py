"""Random streams: R's, state by state as R gives them, and NumPy's for each iteration."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoredis.errors import ConfigError
from pydoredis.iteration import streams

SEEDS = (1, 42, 0, -7, 123456789, 2147483647, -2147483647, *range(1000, 1040))


@pytest.fixture(autouse=True)
def _preserved() -> Iterator[None]:
    with streams.preserved():
        yield


@pytest.mark.needs_r
def test_streams_are_those_of_r() -> None:
    program = f"""
        for (seed in c({", ".join(f"{seed}L" for seed in SEEDS)})) {{
          set.seed(seed, kind = "L'Ecuyer-CMRG", normal.kind = "Inversion", sample.kind = "Rejection")
          state <- .Random.seed
          for (n in 0:20) {{ cat(state, "\\n"); state <- parallel::nextRNGStream(state) }}
        }}"""
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True)
    from_r = iter([tuple(map(int, line.split())) for line in done.stdout.splitlines()])
    for seed in SEEDS:
        for n in range(21):
            assert streams.stream(seed, n) == next(from_r), (seed, n)
    assert next(from_r, None) is None


@given(st.integers(-streams.MAX_R_SEED, streams.MAX_R_SEED), st.integers(0, 10**12), st.integers(1, 10))
def test_a_jump_is_many_steps(seed: int, far: int, more: int) -> None:
    in_turn = streams.Streams(seed)
    for n in (0, *range(far, far + more), far + more - 1, 1):
        assert in_turn[n] == streams.stream(seed, n)
    first, _ = streams._stream_jumps()
    there = streams._power(first, far, streams.M1)
    assert streams._product(there, streams._power(first, more, streams.M1), streams.M1) == streams._power(
        first, far + more, streams.M1
    )


@pytest.mark.needs_r
@pytest.mark.slow
def test_a_far_stream_is_that_of_r() -> None:
    program = """
        set.seed(3L, kind = "L'Ecuyer-CMRG", normal.kind = "Inversion", sample.kind = "Rejection")
        state <- .Random.seed
        for (n in 1:100000) state <- parallel::nextRNGStream(state)
        cat(state)"""
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True, check=True)
    assert streams.stream(3, 100_000) == tuple(map(int, done.stdout.split()))


@pytest.mark.parametrize(("seed", "n"), [(2**31, 1), (-(2**31), 1), (1, -1)])
def test_what_r_could_not_have(seed: int, n: int) -> None:
    with pytest.raises(ConfigError):
        streams.stream(seed, n)


@given(st.integers(2**31, 2**128), st.integers(1, 10**6))
def test_seeds_of_iterations_are_integers_for_r(seed: int, first: int) -> None:
    drawn = [streams.r_seed(seed, n) for n in range(first, first + 100)]
    assert len(set(drawn)) == 100
    assert all(0 <= one < 2**31 for one in drawn)
    assert not streams.is_r_seed(streams.fresh_seed())


def test_outside_of_a_body_rng_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="the body of a loop"):
        streams.rng()


def drawn(seed: int, n: int) -> list[float]:
    """What a body sees that uses all generators there are."""
    streams.seed_iteration(seed, n)
    return [streams.rng().random(), streams.rng().random(), random.random(), np.random.random()]


def test_an_iteration_always_draws_the_same() -> None:
    first, second = drawn(5, 1), drawn(5, 2)
    assert drawn(5, 1) == first
    assert len({*first, *second, *drawn(6, 1)}) == 12
    assert first[:2] == np.random.default_rng(np.random.SeedSequence(5, spawn_key=(1,))).random(2).tolist()


def test_iterations_are_children_of_the_seed() -> None:
    children = np.random.SeedSequence(5).spawn(3)
    assert streams.seed_sequence(5, 2).generate_state(4).tolist() == children[2].generate_state(4).tolist()
    with pytest.raises(ConfigError, match="seed = -1"):
        streams.seed_sequence(-1, 1)


def test_a_loop_in_this_process_leaves_its_generators_alone() -> None:
    random.seed(1)
    np.random.seed(1)
    expected = [random.random(), np.random.random()]
    random.seed(1)
    np.random.seed(1)
    streams.seed_iteration(1, 1)
    outer = streams.rng()
    random.seed(1)
    np.random.seed(1)
    with streams.preserved():
        drawn(9, 9)
        assert streams.rng() is not outer
    assert streams.rng() is outer
    assert [random.random(), np.random.random()] == expected
