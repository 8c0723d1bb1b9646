"""The gate's statistics against brute force, and against published figures."""

from __future__ import annotations

import itertools
import math
import random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.binomial import binomial_bounds
from bench.stats.rank import (
    hodges_lehmann,
    holm,
    interval,
    signed_rank_p,
    walsh_averages,
)

# Eighths: sums and means of them are exact, so ties and zeros are what they look like.
EIGHTHS = st.integers(-24, 24).map(lambda n: n / 8)
SAMPLES = st.lists(EIGHTHS, min_size=1, max_size=9)
quickly = settings(max_examples=100, deadline=None, database=None, derandomize=True)


def ranks(values: list[float]) -> list[float]:
    """Of the distances from zero; equal ones share the mean."""
    distances = sorted(map(abs, values))
    return [
        (distances.index(abs(v)) + 1 + len(distances) - distances[::-1].index(abs(v))) / 2
        for v in values
    ]


def p_by_enumeration(values: list[float], shift: float) -> float:
    """How many of all ways to sign the ranks give at least the observed sum."""
    moved = [v - shift for v in values if v != shift]
    of = ranks(moved)
    observed = sum(r for r, v in zip(of, moved, strict=True) if v > 0)
    sums = [
        sum(itertools.compress(of, signs)) for signs in itertools.product((0, 1), repeat=len(of))
    ]
    return sum(total >= observed for total in sums) / len(sums)


@quickly
@given(values=SAMPLES, shift=EIGHTHS)
def test_p_is_the_share_of_signs_that_do_as_much(values: list[float], shift: float) -> None:
    assert signed_rank_p(values, shift) == pytest.approx(p_by_enumeration(values, shift), abs=1e-12)


def test_p_of_known_samples() -> None:
    assert signed_rank_p([]) == 1.0  # nothing seen is no evidence
    assert signed_rank_p([0.0, 0.0]) == 1.0
    assert signed_rank_p([1.0]) == 0.5
    assert signed_rank_p([1.0, 2.0, 3.0, 4.0, 5.0]) == 1 / 32
    assert signed_rank_p([-1.0, -2.0, -3.0]) == 1.0
    # Wilcoxon's own example of 1945: the sum of the negative ranks is 24 (Hollander, Wolfe and
    # Chicken, Nonparametric Statistical Methods, Darwin's maize): two-sided p = 0.0413.
    maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert 2 * signed_rank_p([float(v) for v in maize]) == pytest.approx(0.0413, abs=5e-5)


@quickly
@given(values=st.lists(EIGHTHS, min_size=1, max_size=40))
def test_the_estimate_is_the_median_of_all_averages_of_two(values: list[float]) -> None:
    pairs = itertools.combinations_with_replacement(values, 2)
    averages = sorted((x + y) / 2 for x, y in pairs)
    assert walsh_averages(values) == averages
    assert hodges_lehmann(values) == median(averages)
    assert min(values) <= hodges_lehmann(values) <= max(values)
    assert hodges_lehmann([-v for v in values]) == -hodges_lehmann(values)
    assert hodges_lehmann([v + 1 for v in values]) == hodges_lehmann(values) + 1


@given(wild=st.lists(st.floats(-1e9, 1e9), max_size=8))
@quickly
def test_a_fifth_of_wild_values_does_not_carry_the_estimate_away(wild: list[float]) -> None:
    calm = [i / 1000 for i in range(-16, 17)]
    assert abs(hodges_lehmann(calm + wild)) <= 0.017


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("count", [5, 6, 9, 12])
def test_the_interval_is_what_the_test_does_not_reject(count: int, confidence: float) -> None:
    draw = random.Random(count)
    tail, step = (1 - confidence) / 2, 1e-9
    for _ in range(20):
        values = [draw.gauss(0, 1) for _ in range(count)]
        span = interval(values, confidence)
        assert span.low <= hodges_lehmann(values) <= span.high
        for side, end in ((values, span.low), ([-v for v in values], -span.high)):
            if math.isfinite(end):
                assert signed_rank_p(side, end - step) <= tail < signed_rank_p(side, end + step)


def test_an_interval_of_too_few_values_says_nothing() -> None:
    for count in range(1, 5):
        assert interval([0.01] * count, 0.90).high == math.inf
    assert interval([float(v) for v in range(5)], 0.90).low == 0.0  # 1/32 on each side
    assert interval([0.02] * 5, 0.90).high == 0.02


def test_the_interval_holds_the_centre_as_often_as_it_says() -> None:
    draw = random.Random(20260102)
    spans = [interval([draw.gauss(0.01, 0.01) for _ in range(12)], 0.90) for _ in range(1500)]
    held = sum(span.low <= 0.01 <= span.high for span in spans) / len(spans)
    assert 0.90 - 0.024 <= held <= 0.96  # three standard errors below; discrete, so a little above


def test_false_rejections_are_as_rare_as_the_p_value_says() -> None:
    draw = random.Random(7)
    for scatter in (lambda: draw.gauss(0, 1), lambda: draw.choice((-1, 1)) / draw.random()):
        hits = sum(signed_rank_p([scatter() for _ in range(16)]) <= 0.05 for _ in range(2000))
        assert hits / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def holm_by_definition(p_values: list[float], alpha: float) -> list[bool]:
    """Rejected, if each smaller or equal one was, and it is below alpha / (how many are left)."""
    order = sorted(p_values)
    passed = 0
    while passed < len(order) and order[passed] <= alpha / (len(order) - passed):
        passed += 1
    return [p in order[:passed] for p in p_values]


@quickly
@given(p_values=st.lists(st.floats(0, 1), max_size=8, unique=True), alpha=st.floats(0.001, 0.5))
def test_holm_steps_down(p_values: list[float], alpha: float) -> None:
    assert holm(p_values, alpha) == holm_by_definition(p_values, alpha)


def test_holm_of_known_values() -> None:
    assert holm([], 0.05) == []
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([0.05], 0.05) == [True]
    assert holm([0.02, 0.02], 0.04) == [True, True]


@pytest.mark.parametrize(("gates", "percent"), [(20, 13.9), (60, 4.9), (300, 1.0)])
def test_what_no_alarm_shows(gates: int, percent: float) -> None:
    bounds = binomial_bounds(0, gates)
    assert bounds.low == 0.0
    assert round(100 * bounds.high, 1) == percent
    assert bounds.high == pytest.approx(1 - 0.05 ** (1 / gates), rel=1e-9)
    assert binomial_bounds(gates, gates).low == pytest.approx(1 - bounds.high)


def test_bounds_of_known_counts() -> None:
    assert binomial_bounds(0, 0) == binomial_bounds(0, 0, 0.5)
    assert (binomial_bounds(0, 0).low, binomial_bounds(0, 0).high) == (0.0, 1.0)
    # Clopper and Pearson, 1934: 5 of 10 is 0.187 to 0.813.
    bounds = binomial_bounds(5, 10)
    assert (round(bounds.low, 3), round(bounds.high, 3)) == (0.187, 0.813)
    bounds = binomial_bounds(1, 20)
    assert (round(bounds.low, 4), round(bounds.high, 4)) == (0.0013, 0.2487)


@quickly
@given(trials=st.integers(1, 60), share=st.floats(0, 1), confidence=st.sampled_from([0.9, 0.95]))
def test_bounds_leave_out_what_would_rarely_give_such_a_count(
    trials: int, share: float, confidence: float
) -> None:
    successes = round(share * trials)
    bounds = binomial_bounds(successes, trials, confidence)
    assert bounds.low <= successes / trials <= bounds.high
    tail = (1 - confidence) / (1 if successes in (0, trials) else 2)

    def at_least(p: float) -> float:
        return sum(
            math.comb(trials, k) * p**k * (1 - p) ** (trials - k)
            for k in range(successes, trials + 1)
        )

    if successes:
        assert at_least(bounds.low) == pytest.approx(tail, rel=1e-6)
    if successes < trials:
        at_most = 1 - at_least(bounds.high)
        at_most += math.comb(trials, successes) * (
            bounds.high**successes * (1 - bounds.high) ** (trials - successes)
        )
        assert at_most == pytest.approx(tail, rel=1e-6)
