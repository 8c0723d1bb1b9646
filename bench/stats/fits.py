"""The arithmetic of growth: what a call costs besides its work, and how time grows with that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

_ROUNDING = 1e-9  # what is left of nothing when floats are subtracted, relative
Points = Sequence[tuple[float, float]]  # (work, seconds), both above zero


@dataclass(frozen=True)
class Fit:
    """t = a work^exponent.

    error   standard error of the exponent: how far points lie from the line, whatever the reason;
            None for two points, which are always on one
    points  how many it was fitted to
    """

    exponent: float
    error: float | None
    points: int


def overhead(points: Points) -> float | None:
    """Seconds that a call takes without any work: where the straight line through the two smallest
    sizes meets zero, but no more than the shortest of their times, and no less than nothing. None
    for a single size."""
    (first, fastest), *others = sorted(points)
    second = next(((work, seconds) for work, seconds in others if work > first), None)
    if second is None:
        return None
    slope = (second[1] - fastest) / (second[0] - first)
    found = min(fastest - slope * first, fastest, second[1])
    return found if found > _ROUNDING * fastest else 0.0


def power(points: Points) -> Fit | None:
    """Least squares of log(seconds) on log(work). None where all sizes are one."""
    x = [math.log(work) for work, _ in points]
    y = [math.log(seconds) for _, seconds in points]
    n = len(points)
    if len(set(x)) < 2:
        return None
    slope, intercept = linear_regression(x, y)
    if n == 2:
        return Fit(slope, None, n)
    residuals = math.fsum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    mean = fmean(x)
    spread = math.fsum((a - mean) ** 2 for a in x)
    return Fit(slope, math.sqrt(residuals / (n - 2) / spread), n)
