"""The arithmetic of growth: what a call costs besides its work, and how time grows with that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    logs = [(math.log(work), math.log(seconds)) for work, seconds in points]
    n = len(logs)
    if n < 2:
        return None
    mean_x, mean_y = (math.fsum(values) / n for values in zip(*logs, strict=True))
    sxx = math.fsum((x - mean_x) ** 2 for x, _ in logs)
    if len({work for work, _ in points}) < 2 or not sxx:
        return None
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in logs) / sxx
    if n == 2:
        return Fit(slope, None, n)
    residuals = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in logs)
    return Fit(slope, math.sqrt(residuals / (n - 2) / sxx), n)
