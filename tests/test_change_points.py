"""Change points: what rank sums are is counted, steps are found, and plain noise is not marked.

Everything is seeded. `python -m tests.change_point_rates` measures the rates.
"""

from __future__ import annotations

import itertools
import math
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stats.change_points import (
    ChangePoint,
    _splits,
    _stretches,
    change_points,
    scatter,
)
from bench.stats.rank_sums import COUNTED, critical_distance, distances, tail_probability
from tests.change_point_rates import NOISE, Noise, gaussian, near, planted, skewed

NAN = math.nan
SEEDS = st.integers(0, 2**32)
TIMES = st.floats(1e-9, 1e3)
SERIES = st.lists(TIMES | st.sampled_from([1.0, 1.01, 2.0]) | st.just(NAN), max_size=60)
quickly = settings(max_examples=60, deadline=None, database=None, derandomize=True)


def indices(values: list[float], level: float = 0.001) -> list[int]:
    return [point.index for point in change_points(values, level)]


def stepped(seed: int, sizes: tuple[int, ...], *factors: float) -> list[float]:
    """Gaussian noise of 1 %, multiplied by a factor from the end of each size on."""
    starts = itertools.accumulate(sizes[:-1])
    return planted(gaussian(Random(seed), sum(sizes)), dict(zip(starts, factors, strict=True)))


# --- Rank sums -----------------------------------------------------------------------------------


@quickly
@given(st.lists(st.integers(0, 9), max_size=12))
def test_distances_are_of_mean_ranks(values: list[int]) -> None:
    def rank(value: int) -> float:
        return sum(v < value for v in values) + (values.count(value) + 1) / 2

    mean = (len(values) + 1) / 2
    assert distances(values) == [
        2 * sum(rank(v) - mean for v in values[:k]) for k in range(len(values) + 1)
    ]


@cache
def counted(few: int, many: int) -> list[int]:
    """How many sets of `few` of few + many ranks have the smallest possible sum, one more, ...:
    the coefficients of a Gaussian binomial."""
    counts = [1] + [0] * (few * many)
    for i in range(1, few + 1):
        for u in range(few * many, many + i - 1, -1):
            counts[u] -= counts[u - many - i]
        for u in range(i, len(counts)):
            counts[u] += counts[u - i]
    return counts


def probability(few: int, many: int, distance: float) -> float:
    """That a rank sum is as far from its mean, up or down."""
    counts = counted(few, many)
    far = sum(n for u, n in enumerate(counts) if few * many - 2 * u >= distance)
    return 2 * far / math.comb(few + many, few)


def test_sets_are_counted_as_by_listing_them() -> None:
    for few, many in ((1, 4), (3, 3), (3, 5), (5, 4)):
        sums = [sum(ranks) for ranks in itertools.combinations(range(few + many), few)]
        listed = [sums.count(min(sums) + u) for u in range(few * many + 1)]
        assert counted(few, many) == listed


@pytest.mark.parametrize("many", [7, 12, 30, 45])
@pytest.mark.parametrize("few", [2, 4, 7, COUNTED, COUNTED + 1, 12, 16, 25])
def test_a_critical_distance_is_reached_as_rarely_as_it_says(few: int, many: int) -> None:
    for tail in (0.05, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9, 1e-40):
        distance = critical_distance(few, many, tail)
        assert distance == critical_distance(many, few, tail)
        assert probability(few, many, distance) <= tail
        closer = min(few * many, distance - 2, 0.9 * distance)
        assert probability(few, many, closer) > tail  # nor is it much too far


@pytest.mark.parametrize(("few", "many"), [(3, 9), (7, 7), (9, 40), (10, 10), (12, 40), (25, 30)])
def test_a_tail_is_the_probability_of_its_distance(few: int, many: int) -> None:
    for share in (0.3, 0.5, 0.7, 0.9):
        distance = few * many - 2 * round((1 - share) * few * many / 2)
        exact = probability(few, many, distance)
        assert exact * 0.93 <= tail_probability(few, many, distance)
        assert tail_probability(few, many, distance) <= max(1e-8, 2.5 * exact)
    assert tail_probability(few, many, 0) >= 1 - 1e-9
    assert tail_probability(4, 6, 24) == 2 / math.comb(10, 4)
    assert tail_probability(9, 3000, 0) == 1.0  # not counted that far


@pytest.mark.parametrize("level", [0.05, 0.001])
@pytest.mark.parametrize("n", [4, 8, 14, 20, 45])
def test_all_tests_together_keep_to_the_level(n: int, level: float) -> None:
    critical = _splits(n, level)
    assert len(critical) == n + 1 and critical == critical[::-1]
    splits = [probability(k, n - k, d) for k, d in enumerate(critical) if d < math.inf]
    stretches = [(n + 1 - k) * probability(k, n - k, d) for k, d in _stretches(n, level)]
    assert sum(splits) <= level and sum(stretches) <= level


# --- What is found -------------------------------------------------------------------------------


def test_the_smallest_history_that_can_show_a_change() -> None:
    before, after = [1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06], [2.0, 2.01, 2.02, 2.03, 2.04, 2.05]
    assert change_points(before + after) == []
    (point,) = change_points([*before, *after, 2.06])
    assert point.index == 7
    assert point.p == 2 / math.comb(14, 7)  # of two ways to separate seven of 14, one test
    assert point.ratio == pytest.approx(2.03 / 1.03, rel=0.01)
    assert point.low < 2.0 < point.high
    assert indices(before[:6] + after, 0.01) == [6]


def test_a_step_without_noise() -> None:
    (point,) = change_points([3e-6] * 20 + [4e-6] * 12)
    assert (point.index, point.p < 1e-5) == (20, True)
    assert [point.ratio, point.low, point.high] == pytest.approx([4 / 3] * 3)


@pytest.mark.parametrize(
    ("last", "history", "too_short"), [(3, 131, 105), (4, 38, 31), (5, 20, 16), (6, 13, 10)]
)
def test_from_how_many_runs_on_a_change_is_seen(last: int, history: int, too_short: int) -> None:
    """However large it is: so few runs are above all others by chance as well."""
    values = planted(gaussian(Random(last), history + last), {history: 2.0})
    (point,) = change_points(values)
    n = history + last
    assert point.index == history
    assert point.p == pytest.approx(2 * (n + 1 - 2 * last) / math.comb(n, last), rel=1e-12)
    assert indices(values[history - too_short :]) == []


@pytest.mark.parametrize(
    ("side", "least", "most"), [(10, 3.6, 3.9), (50, 1.5, 1.65), (500, 0.95, 1.05)]
)
def test_how_many_times_the_scatter_a_step_must_be(side: int, least: float, most: float) -> None:
    draw = Random(1)
    even = [(i + 0.5) / side - 0.5 for i in range(side)]  # so median and median distance are known
    noise = [x / 25 / 1.4826 for _ in range(2) for x in draw.sample(even, side)]

    def is_found(times: float) -> bool:
        step = [0.01 * times * (i >= side) for i in range(2 * side)]
        return indices([math.exp(x + y) for x, y in zip(noise, step, strict=True)]) != []

    assert not is_found(least) and is_found(most)


def test_the_interval_is_that_of_the_tables() -> None:
    """Of seven and seven values, the ninth smallest and the ninth largest difference (Hollander,
    Wolfe and Chicken, Nonparametric Statistical Methods: the critical U is 8), and wider."""
    draw = Random(9)
    old, new = [draw.gauss(0, 0.01) for _ in range(7)], [draw.gauss(0.3, 0.01) for _ in range(7)]
    differences = sorted(y - x for x in old for y in new)
    shift, low, high = differences[24], differences[8], differences[-9]
    (point,) = change_points([math.exp(x) for x in (*old, *new)])
    assert math.log(point.ratio) == pytest.approx(shift)
    assert math.log(point.low) == pytest.approx(shift - math.sqrt(3) * (shift - low))
    assert math.log(point.high) == pytest.approx(shift + math.sqrt(3) * (high - shift))


@pytest.mark.parametrize(
    ("sizes", "factors", "at_least"),
    [
        ((10, 10), (1.1,), 38),
        ((20, 20), (1.05,), 38),
        ((20, 20), (0.95,), 38),
        ((50, 50), (1.03,), 36),
        ((50, 5), (1.1,), 38),
        ((50, 10, 50), (1.05, 1 / 1.05), 38),
        ((60, 6, 60), (1.1, 1 / 1.1), 38),
        ((30, 30, 30, 30), (1.1, 0.9, 1.2), 38),
    ],
)
def test_steps_are_found_where_they_are(
    sizes: tuple[int, ...], factors: tuple[float, ...], at_least: int
) -> None:
    found = 0
    for seed in range(40):
        points = change_points(stepped(seed, sizes, *factors))
        marks = [near(points, at) for at in itertools.accumulate(sizes[:-1])]
        if len(points) == len(marks) and None not in marks:
            found += all(
                mark is not None and mark.low <= factor <= mark.high
                for mark, factor in zip(marks, factors, strict=True)
            )
    assert found >= at_least


def test_a_step_is_found_among_wild_runs() -> None:
    found = [
        near(change_points(planted(skewed(Random(seed), 60), {30: 1.05})), 30) for seed in range(40)
    ]
    assert sum(mark is not None for mark in found) >= 36


def test_a_step_in_a_very_long_history() -> None:
    values = stepped(1, (6000, 3990, 10), 1.03, 1.1)
    points = change_points(values)
    assert len(points) == 2 and near(points, 6000) and near(points, 9990)


# --- What is not ---------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", list(NOISE.values())[:-3], ids=list(NOISE)[:-3])
def test_plain_noise_is_not_marked(noise: Noise) -> None:
    """Seven kinds, the last correlated by 0.5: below half a percent; here at most 2 of 300."""
    draw = Random(7)
    series = [noise(draw, n) for n, count in ((20, 200), (60, 99), (500, 1)) for _ in range(count)]
    assert sum(bool(change_points(values)) for values in series) <= 2


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 13, 100, 1000])
def test_a_constant_series_has_no_point(n: int) -> None:
    assert change_points([2.5e-7] * n) == []


@quickly
@given(st.lists(TIMES, max_size=13))
def test_a_short_series_has_no_point(values: list[float]) -> None:
    assert change_points(values) == []


def test_slow_drift_is_no_staircase() -> None:
    for deviation in (0.005, 0.01, 0.02):
        noise = gaussian(Random(3), 1000, deviation)
        assert len(change_points([x * (1 + 0.02 * i / 1000) for i, x in enumerate(noise)])) <= 3


def test_single_wild_runs_are_no_level() -> None:
    values = gaussian(Random(5), 80)
    for i in (3, 20, 21, 50, 79):
        values[i] *= 1.8
    assert change_points(values) == []


def test_each_step_is_significant_by_itself() -> None:
    """However clear a stretch is as a whole: two wild runs among 30 leave the step to its eight
    with p = 0.0010079."""
    values = stepped(1, (30, 8, 30), 1.1, 1 / 1.1)
    assert indices(values) == [30, 38]
    values[10], values[20] = 1.5, 1.6
    assert indices(values) == []
    points = change_points(values, 0.00101)
    assert [point.index for point in points] == [30, 38]
    assert points[0].p == pytest.approx(0.0010079, rel=1e-4)


def test_equal_medians_are_one_level() -> None:
    """However clearly ranks say that the rest is different."""
    draw = Random(2)
    before = draw.sample([1.0] * 72 + [0.9] * 28, 100)
    after = draw.sample([1.0] * 72 + [1.1] * 28, 100)
    assert change_points(before + after) == []


def test_a_neighbour_who_has_been_there_before_is_no_new_level() -> None:
    """One visit of two runs, so half of a visit's runs are followed by another: 0.5^10 is less than
    one in a thousand, 0.5^9 is more."""
    for last, marked in ((10, []), (11, [60])):
        values = planted(gaussian(Random(2), 60 + last), {60: 1.1})
        assert indices(values) == [60]
        visited = planted(values, {20: 1.1, 22: 1 / 1.1})
        assert indices(visited) == marked
        apart = planted(values, {20: 1.1, 21: 1 / 1.1, 30: 1.1, 31: 1 / 1.1})
        assert indices(apart) == [60]


# --- What does not matter ------------------------------------------------------------------------


@quickly
@given(SEEDS, st.integers(-60, 60), st.sampled_from([1.04, 1.1, 0.9]))
def test_the_unit_does_not_matter(seed: int, exponent: int, factor: float) -> None:
    values = stepped(seed, (25, 12), factor)
    points = change_points(values)
    moved = change_points([x * 2.0**exponent for x in values])
    assert [point.index for point in moved] == [point.index for point in points]
    assert [point.ratio for point in moved] == pytest.approx([point.ratio for point in points])


@quickly
@given(SEEDS, st.sampled_from([0.5, 2.0, 3.0]))
def test_a_power_of_the_values_has_the_same_points(seed: int, power: float) -> None:
    values = stepped(seed, (25, 12), 1.05)
    points = change_points(values)
    moved = change_points([x**power for x in values])
    assert [point.index for point in moved] == [point.index for point in points]
    assert [p.ratio for p in moved] == pytest.approx([p.ratio**power for p in points])


@quickly
@given(SEEDS, st.sampled_from([1.04, 1.1, 0.9]))
def test_backwards_the_points_are_the_same(seed: int, factor: float) -> None:
    values = stepped(seed, (25, 12, 95), factor, 1 / factor)
    points = change_points(values)
    back = change_points(values[::-1])[::-1]
    assert [len(values) - point.index for point in back] == [point.index for point in points]
    assert [1 / point.ratio for point in back] == pytest.approx([point.ratio for point in points])


@quickly
@given(SEEDS, st.sets(st.integers(0, 49)))
def test_runs_without_the_benchmark_are_skipped(seed: int, gaps: set[int]) -> None:
    values = stepped(seed, (25, 12), 1.1)
    filled = iter(values)
    holes = [NAN if i in gaps else next(filled, NAN) for i in range(len(values) + len(gaps))]
    kept = [i for i, x in enumerate(holes) if not math.isnan(x)]
    points = change_points([holes[i] for i in kept])
    expected = [ChangePoint(kept[p.index], p.ratio, p.low, p.high, p.p) for p in points]
    assert change_points(holes) == expected
    assert scatter(holes, expected) == scatter([holes[i] for i in kept], points)


@quickly
@given(SERIES, st.sampled_from([1e-9, 0.001, 0.05]))
def test_whatever_comes_points_are_in_order_and_as_rare_as_asked(
    values: list[float], level: float
) -> None:
    points = change_points(values, level)
    assert points == change_points(tuple(values), level)
    found = [point.index for point in points]
    assert found == sorted(set(found)) and all(0 < i < len(values) for i in found)
    for point in points:
        assert 0 < point.low <= point.ratio <= point.high < math.inf
        assert 0 < point.p <= level * (1 + 1e-9)
        assert not math.isnan(values[point.index])


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0.0, -0.0, -1e-9, math.inf, -math.inf])
def test_what_is_no_time_is_refused(bad: float) -> None:
    for function in (change_points, lambda values: scatter(values, [])):
        with pytest.raises(
            ValueError, match=r"^values\[2\]: got .*, needs seconds above 0, or NaN$"
        ):
            function([1.0, NAN, bad])


@pytest.mark.parametrize("level", [0.0, -1.0, 0.06, 1.0, NAN, math.inf])
def test_what_is_no_level_is_refused(level: float) -> None:
    with pytest.raises(
        ValueError, match=r"^level: got .*, needs a probability from 1e-12 to 0.05$"
    ):
        change_points([1.0] * 30, level)


def test_the_smallest_and_largest_times_are_times() -> None:
    tiny, huge = [5e-324 * (i % 3 + 1) for i in range(20)], [1e308 + 1e300 * i for i in range(20)]
    (point,) = change_points(tiny + huge)
    assert point.index == 20 and 1e300 < point.ratio < math.inf
    (point,) = change_points(huge + tiny)
    assert point.index == 20 and 0 < point.ratio < 1e-300


# --- Scatter -------------------------------------------------------------------------------------


def test_the_scatter_is_that_within_the_levels() -> None:
    values = stepped(4, (400, 400), 1.5)
    points = change_points(values)
    assert [point.index for point in points] == [400]
    assert scatter(values, points) == pytest.approx(0.01, rel=0.1)
    assert (scatter(values, []) or 0) > 0.2  # one level of two
    wild = [x * (2 if i % 20 == 7 else 1) for i, x in enumerate(values)]
    assert scatter(wild, points) == pytest.approx(0.01, rel=0.15)


def test_the_scatter_of_known_values() -> None:
    values = [math.exp(x / 100) for x in (-2, -1, 0, 1, 2, 50)]
    assert scatter(values, []) == pytest.approx(0.015 * 1.4826, rel=1e-4)
    assert scatter([2.0] * 6, []) == 0.0


def test_few_runs_have_no_scatter() -> None:
    assert scatter([], []) is None
    assert scatter([1.0, NAN, 1.1, 1.2, 1.3, 1.4, NAN], []) is None
    assert scatter([1.0, NAN, 1.1, 1.2, 1.3, 1.4, 1.5], []) is not None
    point = ChangePoint(2, 1.1, 1.0, 1.2, 0.001)
    assert scatter([1.0, NAN, 1.1, 1.2, 1.3, 1.4, 1.5], [point]) is None
