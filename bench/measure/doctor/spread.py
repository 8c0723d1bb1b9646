"""How far rounds of a fixed piece of work lie apart: what is left of a machine's promise."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median

SLOW = 1.1  # over the shortest: a round that takes longer is a slow one
# Of the variance of times that a cut in two explains: 0.64 of a bell's, 0.75 of what is spread
# evenly (Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979). Two speeds are more.
_TWO_SPEEDS = 0.85
_LEAST_SHARE = 0.1  # of the rounds, for each of two speeds


@dataclass(frozen=True)
class Spread:
    """Rounds of a fixed loop; all but `minimum` (seconds) and shares over the shortest of them.

    slow         the share of rounds that took more than SLOW
    slow_median  of those; 1 where there are none
    two_speeds   whether they fall into two groups, with few in between
    """

    rounds: int
    minimum: float
    median: float
    p90: float
    longest: float
    mean: float
    slow: float
    slow_median: float
    two_speeds: bool


def spread_of(rounds: Collection[float]) -> Spread:
    """Of at least one round, in seconds."""
    ordered = sorted(rounds)
    least, count = ordered[0], len(ordered)
    slow = [seconds / least for seconds in ordered if seconds > SLOW * least]
    return Spread(
        rounds=count,
        minimum=least,
        median=median(ordered) / least,
        p90=ordered[count * 9 // 10] / least,
        longest=ordered[-1] / least,
        mean=fmean(ordered) / least,
        slow=len(slow) / count,
        slow_median=median(slow) if slow else 1.0,
        two_speeds=_two_speeds(ordered),
    )


def _two_speeds(ordered: Sequence[float]) -> bool:
    """Whether the best cut in two, in logarithms, leaves little variance on both sides, enough
    rounds, and a gap between their means. The longest hundredth counts as its shortest: a single
    round that lost its core for milliseconds would be a group by itself."""
    most = ordered[len(ordered) * 99 // 100]
    logs = [log(min(seconds, most)) for seconds in ordered]
    count, total = len(logs), sum(logs)
    mean = total / count
    variance = sum((value - mean) ** 2 for value in logs)
    best, gap, below = 0.0, 0.0, 0.0
    for number, value in enumerate(logs[:-1], start=1):
        below += value
        if not _LEAST_SHARE <= number / count <= 1 - _LEAST_SHARE:
            continue
        apart = (total - below) / (count - number) - below / number
        between = apart**2 * number * (count - number) / count
        if between > best:
            best, gap = between, apart
    return gap > log(SLOW) and best > _TWO_SPEEDS * variance
