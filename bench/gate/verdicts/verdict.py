"""From samples to verdicts.

The first stage, of every pair, clears those that have not moved. The rest are measured again, on
samples that had no part in choosing them, and only these decide. There are two such stages at most,
each with half of the chance of error: a noisy benchmark gets more samples, never another chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from bench.saved.gates import INCONCLUSIVE, PASS, REGRESSED
from bench.stats.binomial import Interval
from bench.stats.rank import hodges_lehmann, holm, interval, signed_rank_p

LEAST_THRESHOLD = 0.01  # below it lies what code layout can do to a benchmark
ALPHA = 0.01  # the chance of any false alarm in a gate
FIRST_STAGE = 12  # samples
LATER_STAGES = (32, 64)  # fresh samples; the second stage has the first's among them
# A pair goes on when its first estimate is beyond this share of the threshold.
_SUSPICIOUS = 0.7
# A pass must have been able to see a slowdown so far above the threshold.
MARGIN = 0.02
CONFIDENCE = 0.90  # of the interval: each end has 95 % on its own
_Z = NormalDist().inv_cdf


@dataclass(frozen=True)
class Finding:
    """What some samples of one pair say, as fields of Judged. A change of 0.03 is 3 % slower."""

    verdict: str
    change: float
    low: float
    high: float
    minimum_detectable_slowdown: float
    samples: int
    improved: bool = False


def _change(log_ratio: float) -> float:
    return math.expm1(min(log_ratio, 700.0))


def is_settled(values: Sequence[float], threshold: float, family: int) -> bool:
    """Whether the first stage is enough to pass: nothing suspicious, and a slowdown worth seeing is
    ruled out and would have been seen. The later stages, of more samples, do without the last."""
    suspicious = abs(hodges_lehmann(values)) > _SUSPICIOUS * math.log1p(threshold)
    span = interval(values, CONFIDENCE)
    could_see = minimum_detectable_slowdown(values, span, threshold, family) <= threshold + MARGIN
    return not suspicious and could_see and _rules_out(span, threshold)


def _rules_out(span: Interval, threshold: float) -> bool:
    """Whether the interval excludes slowdowns worth seeing."""
    return span.high <= math.log1p(threshold + MARGIN)


def passed(values: Sequence[float], threshold: float, family: int) -> Finding:
    """What is said of a pair that is settled."""
    return _finding(PASS, values, threshold, family)


def judge(samples: Mapping[str, Sequence[float]], threshold: float) -> dict[str, Finding]:
    """The findings of one later stage of some pairs. A slowdown counts when its estimate is beyond
    the threshold and chance is ruled out, over all pairs together; so does a speed-up."""
    names = list(samples)
    alpha = ALPHA / len(LATER_STAGES)
    slower = holm([signed_rank_p(samples[n]) for n in names], alpha)
    faster = holm([signed_rank_p([-v for v in samples[n]]) for n in names], alpha)
    findings = {}
    for name, is_slower, is_faster in zip(names, slower, faster, strict=True):
        values = samples[name]
        estimate, span = hodges_lehmann(values), interval(values, CONFIDENCE)
        if is_slower and estimate > math.log1p(threshold):
            verdict = REGRESSED
        elif estimate <= math.log1p(threshold) and _rules_out(span, threshold):
            verdict = PASS
        else:
            verdict = INCONCLUSIVE
        improved = is_faster and estimate < -math.log1p(threshold)
        findings[name] = _finding(verdict, values, threshold, len(names), improved)
    return findings


def _finding(
    verdict: str, values: Sequence[float], threshold: float, family: int, improved: bool = False
) -> Finding:
    span = interval(values, CONFIDENCE)
    return Finding(
        verdict=verdict,
        change=_change(hodges_lehmann(values)),
        low=_change(span.low),
        high=_change(span.high),
        minimum_detectable_slowdown=minimum_detectable_slowdown(values, span, threshold, family),
        samples=len(values),
        improved=improved,
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
