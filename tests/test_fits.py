"""The arithmetic of growth: exponents and overheads that are known are found."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.stats import fits

SIZES = st.lists(st.integers(1, 10**9), min_size=3, max_size=12, unique=True)
FACTORS = st.floats(1e-10, 1e-3)


@given(SIZES, FACTORS, st.floats(0.3, 3.5))
def test_a_power_law_is_recovered_exactly(sizes: list[int], a: float, exponent: float) -> None:
    assume(max(sizes) / min(sizes) > 1.01)
    fit = fits.power([(n, a * n**exponent) for n in sizes])
    assert fit and fit.exponent == pytest.approx(exponent, rel=1e-6)
    assert fit.error == pytest.approx(0, abs=1e-6) and fit.points == len(sizes)


@given(st.floats(0.7, 1.3), st.floats(0.01, 0.2), st.integers(0, 1000))
def test_the_standard_error_covers_the_exponent(exponent: float, noise: float, seed: int) -> None:
    """Student's t of ten degrees of freedom is beyond 10 once in a million draws."""
    draw = random.Random(seed)
    points = [(2.0**i, 2.0 ** (i * exponent) * math.exp(draw.gauss(0, noise))) for i in range(12)]
    fit = fits.power(points)
    assert fit and fit.error and abs(fit.exponent - exponent) < 10 * fit.error


@pytest.mark.parametrize("points", [[(5.0, 1.0)], [(5.0, 1.0), (5.0, 2.0), (5.0, 1.5)]])
def test_one_size_has_neither_exponent_nor_overhead(points: list[tuple[float, float]]) -> None:
    assert fits.power(points) is None
    assert fits.overhead(points) is None


def test_the_standard_error_is_that_of_the_textbook() -> None:
    """log y of 0, 1, 1 at log x of 0, 1, 2: residuals of -1/6, 1/3, -1/6 about a slope of 1/2."""
    fit = fits.power([(1.0, 1.0), (math.e, math.e), (math.e**2, math.e)])
    assert fit and fit.exponent == pytest.approx(1 / 2) and fit.error == pytest.approx(12**-0.5)


def test_two_points_have_no_standard_error() -> None:
    assert fits.power([(1.0, 1.0), (4.0, 16.0)]) == fits.Fit(2.0, None, 2)


@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(1e-12, 1e3)), min_size=2))
def test_the_overhead_is_between_nothing_and_the_smallest_size(
    points: list[tuple[float, float]],
) -> None:
    found = fits.overhead(points)
    assert found is None or 0 <= found <= min(points)[1]


@given(st.floats(0, 1e-3), FACTORS)
def test_the_overhead_of_a_straight_line_is_recovered(overhead: float, a: float) -> None:
    found = fits.overhead([(n, overhead + a * n) for n in (8, 1, 64)])
    assert found == pytest.approx(overhead, rel=1e-6, abs=1e-6 * a)
