"""From samples to verdicts.

The first stage, of every pair, clears those that have not moved. The rest are measured again, on
samples that had no part in choosing them, and only these decide. There are two such stages at most,
each with half of the chance of error: a noisy benchmark gets more samples, never another chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from bench.saved.gates import INCONCLUSIVE, PASS, REGRESSED
from bench.stats.binomial import Interval
from bench.stats.rank import hodges_lehmann, holm, interval, signed_rank_p

LEAST_THRESHOLD = 0.01  # below it lies what code layout can do to a benchmark
ALPHA = 0.01  # the chance of any false alarm in a gate
FIRST_STAGE = 12  # samples
LATER_STAGES = (32, 64)  # fresh samples; the second stage has the first's among them
# A pair goes on when its first estimate is beyond this share of the threshold, as logarithms.
_SUSPICIOUS = 0.7
# A pass must have been able to see a slowdown so far above the threshold.
MARGIN = 0.02
CONFIDENCE = 0.90  # of the interval: each end has 95 % on its own
_Z = NormalDist().inv_cdf


@dataclass(frozen=True)
class Finding:
    """What some samples of one pair say, as fields of Judged. A change of 0.03 is 3 % slower."""

    change: float
    low: float
    high: float
    minimum_detectable_slowdown: float
    samples: int
    verdict: str = INCONCLUSIVE
    improved: bool = False


def _change(log_ratio: float) -> float:
    return math.expm1(min(log_ratio, 700.0))


def settled(values: Sequence[float], threshold: float, family: int) -> Finding | None:
    """The pass of a pair for which the first stage is enough: nothing suspicious, and a slowdown
    worth seeing is ruled out and would have been seen. The later stages, of more samples, do
    without the last. None of any other pair."""
    found = _finding(values, threshold, family)
    edge = (1 + threshold) ** _SUSPICIOUS
    suspicious = not 1 / edge <= 1 + found.change <= edge
    could_see = found.minimum_detectable_slowdown <= threshold + MARGIN
    is_pass = not suspicious and could_see and found.high <= threshold + MARGIN
    return replace(found, verdict=PASS) if is_pass else None


def judge(samples: Mapping[str, Sequence[float]], threshold: float) -> dict[str, Finding]:
    """The findings of one later stage of some pairs. A slowdown counts when its estimate is beyond
    the threshold and chance is ruled out, over all pairs together; so does a speed-up."""
    alpha = ALPHA / len(LATER_STAGES)
    slower = holm([signed_rank_p(values) for values in samples.values()], alpha)
    faster = holm([signed_rank_p([-v for v in values]) for values in samples.values()], alpha)
    findings = {}
    for (name, values), is_slower, is_faster in zip(samples.items(), slower, faster, strict=True):
        found = _finding(values, threshold, len(samples))
        if is_slower and found.change > threshold:
            verdict = REGRESSED
        elif found.change <= threshold and found.high <= threshold + MARGIN:
            verdict = PASS
        else:
            verdict = INCONCLUSIVE
        improved = is_faster and 1 + found.change < 1 / (1 + threshold)
        findings[name] = replace(found, verdict=verdict, improved=improved)
    return findings


def _finding(values: Sequence[float], threshold: float, family: int) -> Finding:
    """Without a verdict yet."""
    span = interval(values, CONFIDENCE)
    return Finding(
        change=_change(hodges_lehmann(values)),
        low=_change(span.low),
        high=_change(span.high),
        minimum_detectable_slowdown=minimum_detectable_slowdown(values, span, threshold, family),
        samples=len(values),
    )


def minimum_detectable_slowdown(
    values: Sequence[float], span: Interval, threshold: float, family: int
) -> float:
    """The smallest slowdown that would be called one in 95 of 100 gates, from how much this pair's
    samples scatter: it must be suspicious at the first stage, and beyond the threshold and beyond
    chance at the last. For normal scatter; the tests compare it with simulated gates."""
    error = (span.high - span.low) / 2 / _Z((1 + CONFIDENCE) / 2)  # of the estimate
    of_one = error * math.sqrt(len(values))
    first = of_one / math.sqrt(FIRST_STAGE)
    last = of_one / math.sqrt(LATER_STAGES[-1])
    miss = _Z(0.95)
    beyond_chance = _Z(1 - ALPHA / len(LATER_STAGES) / max(family, 1))
    return _change(
        max(
            _SUSPICIOUS * math.log1p(threshold) + miss * first,
            math.log1p(threshold) + miss * last,
            (beyond_chance + miss) * last,
        )
    )
