"""Where a series of minima changed its level for good, and by how much.

Circular binary segmentation (Olshen, Venkatraman, Lucito and Wigler, Circular Binary Segmentation
for the Analysis of Array-Based DNA Copy Number Data, Biostatistics 5, 2004) of ranks: a series is
cut in two, or a stretch is cut out of it, where Wilcoxon's rank sum is furthest from its mean; then
so are the parts. For exchangeable values that sum has a known distribution, however wild they are.

Each cut then moves to where absolute deviations from both levels are least (Bai, Least Absolute
Deviation Estimation of a Shift, Econometric Theory 11, 1995), and the weakest goes, one by one,
until each that is left is a step that is significant between its two levels and no smaller than
their scatter. Runs are not exchangeable where a machine is busy for several of them in a row, so
- a step is larger than normal noise whose neighbours correlate by 0.5 would make it, and
- its shorter level lasts longer than visits to it from the other one: values beyond the middle that
  come several in a row, as many as a geometric distribution says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, groupby, pairwise
from operator import sub, truediv
from statistics import NormalDist, median

from bench.stats.rank_sums import COUNTED, critical_distance, distances, tail_probability

_NORMAL = NormalDist()
_SPLITS = 2 / 3  # of the level is for cuts in two, the rest for stretches
_CORRELATED = (1 + 0.5) / (1 - 0.5)  # variance of the mean over that of independent values
_MAD = 1 / _NORMAL.inv_cdf(0.75)  # standard deviations of normal values in their median deviation
_SPAN = 500  # runs on either side that a step is placed and judged by
_SHOWN = 40  # medians on either side that make its ratio


@dataclass(frozen=True)
class ChangePoint:
    """index      of the first value of the new level
    ratio      level after over level before: Hodges and Lehmann's shift of the logarithms
    low, high  its 95 % interval: Moses's, which holds for any distribution of independent values,
               made wider by the square root of three for neighbours that correlate by 0.5
    p          how often plain noise would separate the two levels as clearly, at most
    """

    index: int
    ratio: float
    low: float
    high: float
    p: float


def change_points(values: Sequence[float], level: float = 0.001) -> list[ChangePoint]:
    """Where the level changed, oldest first.

    values  seconds, one a run, oldest first; NaN where a run has none
    level   the share of series without any change that may get a point, if runs are independent:
            who shows a thousand series and accepts one wrong mark takes 0.001

    Raises ValueError for values that are no times, and for a level out of range.
    """
    if not 1e-12 <= level <= 0.05:
        raise ValueError(f"level: got {level}, needs a probability from 1e-12 to 0.05")
    runs, logs = _logs(values)
    placed = cache(lambda *step: _placed(logs, *step))
    strength = cache(lambda *step: _strength(*_sides(logs, *step), level))
    cuts = _search(logs, level)
    while cuts:
        edges = [0, *cuts, len(logs)]
        for i in range(len(cuts)):
            edges[i + 1] = cuts[i] = placed(*edges[i : i + 3])
        steps = list(zip(edges, cuts, edges[2:], strict=False))
        strengths = [strength(*step) for step in steps]
        if min(strengths) >= 1:
            return [_point(runs[step[1]], *_sides(logs, *step), level) for step in steps]
        del cuts[strengths.index(min(strengths))]
    return []


def scatter(values: Sequence[float], points: Sequence[ChangePoint]) -> float | None:
    """How far the runs of one level lie apart, relative: 1.48 times the median distance from the
    level's median, the standard deviation where noise is normal. None for too few runs: fewer than
    five more than levels."""
    runs, logs = _logs(values)
    edges = [0, *(bisect_left(runs, point.index) for point in points), len(runs)]
    levels = [logs[start:end] for start, end in pairwise(edges) if start < end]
    return _scatter(*levels) if len(logs) - len(levels) >= 5 else None


def _logs(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Which runs have a value, and the logarithms of these."""
    runs = [run for run, value in enumerate(values) if not math.isnan(value)]
    for run in runs:
        if not 0 < values[run] < math.inf:
            raise ValueError(f"values[{run}]: got {values[run]}, needs seconds above 0, or NaN")
    return runs, [math.log(values[run]) for run in runs]


# --- Cuts: logs[start:end] is cut before logs[cut] -----------------------------------------------


def _search(logs: Sequence[float], level: float) -> list[int]:
    """Cuts that are significant where they were found: some too many, and roughly placed."""
    found: list[int] = []
    parts = [(0, len(logs))]
    while parts:
        start, end = parts.pop()
        if cuts := [start + cut for cut in _best_cuts(logs[start:end], level)]:
            found += cuts
            parts += pairwise([start, *cuts, end])
    return sorted(found)


def _best_cuts(values: Sequence[float], level: float) -> list[int]:
    """The cut, or the two ends of the stretch, whose rank sum is furthest beyond its critical
    distance; nothing where none reaches it."""
    sums = distances(values)
    over = list(map(truediv, map(abs, sums), _splits(len(values), level * _SPLITS)))
    best = max(over)
    cuts = [over.index(best)]
    for length, critical in _stretches(len(values), level * (1 - _SPLITS)):
        within = list(map(sub, sums[length:], sums))
        extreme = max(max(within), min(within), key=abs)
        if abs(extreme) > best * critical:
            best, start = abs(extreme) / critical, within.index(extreme)
            cuts = [start, start + length]
    return [cut for cut in cuts if 0 < cut < len(values)] if best >= 1 else []


def _placed(logs: Sequence[float], start: int, cut: int, end: int) -> int:
    """The cut with the least absolute deviations from the medians on its two sides."""
    start, end = max(start, cut - _SPAN), min(end, cut + _SPAN)
    for _ in range(5):  # the medians follow the cut; it mostly rests at once
        before, after = median(logs[start:cut]), median(logs[cut:end])
        costs = list(accumulate(abs(x - before) - abs(x - after) for x in logs[start : end - 1]))
        last, cut = cut, start + 1 + costs.index(min(costs))
        if cut == last:
            break
    return cut


def _sides(
    logs: Sequence[float], start: int, cut: int, end: int
) -> tuple[Sequence[float], Sequence[float]]:
    """What a step is judged by."""
    return logs[max(start, cut - _SPAN) : cut], logs[cut : min(end, cut + _SPAN)]


def _strength(before: Sequence[float], after: Sequence[float], level: float) -> float:
    """How clear a step is, over how clear it must be."""
    n = len(before) + len(after)
    variance = _CORRELATED * (1 / len(before) + 1 / len(after))
    variance /= max(0.1, 1 - 2 * _CORRELATED / n)  # of two short levels scatter looks smaller
    noise = -_NORMAL.inv_cdf(level / 2 / n) * math.sqrt(variance)
    size, needed = abs(_shift(before, after)[0]), max(1.0, noise) * _scatter(before, after)
    if size < needed:
        return size / needed
    few, tests = _tested_splits(n, level)
    if few > min(len(before), len(after)):
        return 0.0
    distance = abs(distances([*before, *after])[len(before)])
    return min(
        size / needed if needed else math.inf,
        distance / critical_distance(len(before), len(after), level / tests),
        math.log(_visit_as_long(before, after)) / math.log(level),
    )


def _visit_as_long(before: Sequence[float], after: Sequence[float]) -> float:
    """How many of the longer level's visits to the shorter one would last as long as that does."""
    short, long = sorted((before, after), key=len)
    up = median(short) > median(long)
    middle = (median(short) + median(long)) / 2
    visits = [len(list(group)) for away, group in groupby((x > middle) == up for x in long) if away]
    stays = 1 - len(visits) / sum(visits) if visits else 0.0
    return max(len(visits) * stays ** (len(short) - 1), 1e-300)


def _point(
    index: int, before: Sequence[float], after: Sequence[float], level: float
) -> ChangePoint:
    ratio, low, high = (
        math.exp(max(-700.0, min(700.0, shift))) for shift in _shift(before, after)
    )  # within what a float holds
    distance = abs(distances([*before, *after])[len(before)])
    _, tests = _tested_splits(len(before) + len(after), level)
    p = tests * tail_probability(len(before), len(after), distance)
    return ChangePoint(index, ratio, low, high, p)


def _shift(before: Sequence[float], after: Sequence[float]) -> tuple[float, float, float]:
    """By how much the values went up, and the ends of its interval."""
    old, new = _thinned(before[::-1]), _thinned(after)
    shifts = sorted(y - x for x in old for y in new)
    left_out = max(0.0, len(shifts) - critical_distance(len(old), len(new), 0.05)) // 2
    ends = shifts[int(left_out)], shifts[-1 - int(left_out)]
    shift, wider = median(shifts), math.sqrt(_CORRELATED)
    return shift, shift + wider * (ends[0] - shift), shift + wider * (ends[1] - shift)


def _thinned(values: Sequence[float]) -> Sequence[float]:
    """Of many values, medians of neighbours, as many as are shown at most."""
    size = math.ceil(len(values) / _SHOWN)
    return [median(values[i : i + size]) for i in range(0, len(values) - size + 1, size)]


def _scatter(*levels: Sequence[float]) -> float:
    return _MAD * median(abs(x - m) for level in levels for m in [median(level)] for x in level)


# --- The tests, and how they share the level ------------------------------------------------------


@lru_cache(maxsize=512)
def _splits(n: int, level: float) -> list[float]:
    """The critical distances of cuts in two after 0, 1, ... n values."""
    few, tests = _tested_splits(n, level)
    half = [math.inf] * few
    half += [critical_distance(k, n - k, level / tests) for k in range(few, n // 2 + 1)]
    return half + half[: (n + 1) // 2][::-1]


@lru_cache(maxsize=512)
def _stretches(n: int, level: float) -> list[tuple[int, float]]:
    """The lengths of the stretches that are tested, and their critical distances."""
    lengths = [1]
    while lengths[-1] < n:
        lengths.append(max(lengths[-1] + 1, lengths[-1] * 4 // 3))

    def count(few: int) -> int:
        return sum(n + 1 - k for k in lengths if few <= k <= n - few)

    few, tests = _tested(n, count, level)
    return [(k, critical_distance(k, n - k, level / tests)) for k in lengths if few <= k <= n - few]


def _tested_splits(n: int, level: float) -> tuple[int, int]:
    return _tested(n, lambda few: n + 1 - 2 * few, level)


def _tested(n: int, count: Callable[[int], int], level: float) -> tuple[int, int]:
    """From how many values on a test can be significant at its share of the level, and how many
    tests from there on share it (Tarone, A Modified Bonferroni Method for Discrete Data, Biometrics
    46, 1990)."""
    for few in range(1, n // 2 + 1):
        tests = count(few)
        if tests and (few > COUNTED or 2 * tests <= level * math.comb(n, few)):
            return few, tests
    return n // 2 + 1, 1
