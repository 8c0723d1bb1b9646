"""What a count of successes says of the probability behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def binomial_bounds(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """What holds the probability of success: the exact two-sided interval; one-sided where all or
    none succeeded, so that no alarm in 60 gates shows at most 4.9 % (Clopper and Pearson, The Use
    of Confidence or Fiducial Limits Illustrated in the Case of the Binomial, Biometrika 26, 1934).
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    one_sided = successes in (0, trials)
    tail = (1 - confidence) / (1 if one_sided else 2)

    def at_least(p: float) -> float:
        return sum(_binomial(trials, k, p) for k in range(successes, trials + 1))

    def at_most(p: float) -> float:
        return sum(_binomial(trials, k, p) for k in range(successes + 1))

    low = 0.0 if successes == 0 else _crossing(at_least, tail)
    high = 1.0 if successes == trials else _crossing(lambda p: -at_most(p), -tail)
    return Interval(low, high)


def _binomial(n: int, k: int, p: float) -> float:
    if p in (0.0, 1.0):
        return float(k == n * p)
    return math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(p) + (n - k) * math.log1p(-p)
    )  # fmt: skip


def _crossing(rising: Callable[[float], float], level: float) -> float:
    """Where a function that rises on [0, 1] meets the level."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < level else (low, middle)
    return (low + high) / 2
