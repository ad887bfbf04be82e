"""Sums without rounding, against `fractions` and `math.fsum`."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_modelgate.statistics.sums import CHUNK, ExactSums, exact_sum, rounded_sum, rounded_sums

hostile = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [1e308, -1e308, 5e-324, -5e-324, 2.2250738585072014e-308, 1e16, 1.0, -1e16, 0.1, -0.0, 2**53 + 2.0, 1e-300]
)
values = st.lists(hostile, max_size=60)


@given(numbers=values)
@example([1e16, 1.0, -1e16])
@example([1e308, 1e308, -1e308, 5e-324])
@example([])
@settings(deadline=None, max_examples=200)
def test_the_sum_is_exact(numbers: list[float]) -> None:
    assert exact_sum(np.array(numbers)) == sum(map(Fraction, numbers), start=Fraction(0))


@given(
    numbers=hnp.arrays(
        st.sampled_from([np.float32, np.float16]),
        st.integers(0, 50),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
@settings(deadline=None, max_examples=60)
def test_the_sum_of_shorter_floats_is_exact(numbers: np.ndarray) -> None:
    assert exact_sum(numbers) == sum((Fraction(float(number)) for number in numbers), start=Fraction(0))


@pytest.mark.parametrize("size", [1, 2**15 - 1, 2**15, 2**15 + 1, 100_000])
def test_the_sum_of_many(size: int) -> None:
    """More than one chunk, of wildly different magnitudes, against math.fsum (which rounds once)."""
    draw = np.random.default_rng(size)
    numbers = draw.standard_normal(size) * 10.0 ** draw.integers(-200, 200, size)
    assert float(exact_sum(numbers)) == math.fsum(numbers)


def test_equal_numbers_fill_no_accumulator() -> None:
    """The case in which sums by exponent grow most."""
    largest = np.full(2**15, np.nextafter(2.0, 1.0))
    assert exact_sum(largest) == Fraction(float(largest[0])) * 2**15


@given(numbers=values, most=st.sampled_from([60, 1000, 10**7, 10**9]), seed=st.integers(0, 9), cut=st.integers(0, 60))
@example([1e308, 1e308, -1e308, 5e-324], 60, 0, 2)
@settings(deadline=None, max_examples=200)
def test_places_order_and_cuts(numbers: list[float], most: int, seed: int, cut: int) -> None:
    draw = random.Random(seed)
    rows = [(value, draw.randrange(3)) for value in numbers]
    expected = [sum((Fraction(value) for value, place in rows if place == k), Fraction()) for k in range(3)]
    draw.shuffle(rows)
    sums = ExactSums(most, 3)
    for part in (rows[:cut], rows[cut:]):
        sums.add(np.array([value for value, _ in part]), np.array([place for _, place in part], dtype=np.uint8))
    assert [sums.exact(place) for place in range(3)] == expected
    if max(map(abs, expected)) < 2**1023:
        assert sums.rounded().tolist() == [float(one) for one in expected]


@pytest.mark.parametrize("shape", ["uniform", "normal", "float32", "whole", "halves"])
def test_rounded_sums_are_those_of_fsum(shape: str) -> None:
    draw = np.random.default_rng(1)
    numbers = {
        "uniform": draw.random(300_000),
        "normal": draw.normal(scale=1e9, size=300_000),
        "float32": draw.random(300_000, dtype=np.float32),
        "whole": draw.integers(0, 2**40, 300_000).astype(np.float64),
        "halves": np.where(draw.random(300_000) < 0.5, 1.0, 2.0**-53),
    }[shape]
    assert rounded_sum(numbers) == rounded_sum(numbers[::-1]) == math.fsum(numbers.tolist())
    places = draw.integers(0, 5, len(numbers))
    sums = ExactSums(len(numbers), 5)
    sums.add(numbers, places)
    assert sums.rounded().tolist() == [math.fsum(numbers[places == k].tolist()) for k in range(5)]


@pytest.mark.parametrize("n", [0, 1, 1024, 1025, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_columns_made_in_chunks(n: int) -> None:
    numbers = np.random.default_rng(n).normal(size=n)
    found = rounded_sums(n, lambda rows: (numbers[rows], numbers[rows] ** 2))
    assert found == (math.fsum(numbers.tolist()), math.fsum((numbers**2).tolist()))


@pytest.mark.parametrize("n", [10, 5000])
@pytest.mark.parametrize(
    ("odd", "expected"), [([math.inf], math.inf), ([-math.inf, 1e308], -math.inf), ([math.nan, math.inf], math.nan)]
)
def test_what_is_not_finite_stays_so(odd: list[float], expected: float, n: int) -> None:
    assert rounded_sum(np.array([1.0] * n + odd)) == pytest.approx(expected, nan_ok=True)


def test_ends_where_denormal_numbers_count_as_zero() -> None:
    """Which is a setting of the processor that training scripts switch on."""
    tiny = np.full(2000, 5e-324)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such setting")
    try:
        found = rounded_sum(np.concatenate([tiny, [1.0]]))
    finally:
        torch.set_flush_denormal(False)
    assert found == 1.0
