"""Verdicts from samples: simulated gates with a fixed seed, so nothing here depends on a time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from bench.gate.verdicts import verdict
from bench.gate.verdicts.verdict import (
    ALPHA,
    CONFIDENCE,
    FIRST_STAGE,
    LATER_STAGES,
    MARGIN,
    Finding,
    judge,
    minimum_detectable_slowdown,
    settled,
)
from bench.saved.gates import INCONCLUSIVE, PASS, REGRESSED
from bench.stats.binomial import binomial_bounds
from bench.stats.rank import interval

THRESHOLD = 0.01
Scatter = Callable[[random.Random], float]


def normal(draw: random.Random) -> float:
    return draw.gauss(0, 0.01)


def heavy(draw: random.Random) -> float:
    """Student's t with two degrees of freedom: no variance, and one sample in 50 beyond 7 %."""
    return 0.01 * draw.gauss(0, 1) / math.sqrt(draw.expovariate(1))


def bimodal(draw: random.Random) -> float:
    """Where things lie decides: 15 % faster or slower, seldom."""
    return draw.gauss(0, 0.004) + draw.choice((-0.15, 0.15)) * (draw.random() < 0.15)


def simulated(
    centres: list[float], scatter: Scatter, draw: random.Random, threshold: float = THRESHOLD
) -> list[Finding]:
    """One gate, as bench.gate.timed.measure_in_stages() does it."""

    def samples(i: int, count: int) -> list[float]:
        return [math.log1p(centres[i]) + scatter(draw) for _ in range(count)]

    findings: dict[str, Finding] = {}
    left = []
    for i in range(len(centres)):
        found = settled(samples(i, FIRST_STAGE), threshold, len(centres))
        if found is None:
            left.append(i)
        else:
            findings[str(i)] = found
    later: dict[int, list[float]] = {i: [] for i in left}
    for stage in LATER_STAGES:
        for i in left:
            later[i] += samples(i, stage - len(later[i]))
        findings |= judge({str(i): later[i] for i in left}, threshold)
        left = [i for i in left if findings[str(i)].verdict == INCONCLUSIVE]
    return [findings[str(i)] for i in range(len(centres))]


@pytest.mark.parametrize("scatter", [normal, heavy, bimodal])
def test_gates_of_identical_code_seldom_alarm(scatter: Scatter) -> None:
    """At most as often as promised: alarms in so many gates would be rarer than one in 1000 if the
    promise held, at which point the promise is what is wrong."""
    draw = random.Random(11)
    gates = 120
    alarms = sum(
        any(f.verdict == REGRESSED for f in simulated([0.0] * 20, scatter, draw))
        for _ in range(gates)
    )
    assert binomial_bounds(alarms, gates, 0.999).low <= ALPHA


@pytest.mark.parametrize("scatter", [normal, heavy])
def test_chance_alone_is_kept_below_alpha_where_the_threshold_does_not_help(
    scatter: Scatter,
) -> None:
    """At the least threshold there could be, only the tests stand between chance and an alarm."""
    draw = random.Random(12)
    gates = 200
    alarms = 0
    for _ in range(gates):
        findings = simulated([0.0] * 6, scatter, draw, threshold=1e-9)
        alarms += any(f.verdict == REGRESSED for f in findings)
    assert binomial_bounds(alarms, gates, 0.999).low <= ALPHA


@pytest.mark.parametrize(("slowdown", "least"), [(0.02, 0.5), (0.03, 0.97), (0.10, 1.0)])
def test_a_slowdown_is_caught_among_many_that_are_none(slowdown: float, least: float) -> None:
    draw = random.Random(13)
    gates = 60
    caught = innocent = 0
    for _ in range(gates):
        first, *others = simulated([slowdown] + [0.0] * 9, lambda d: d.gauss(0, 0.008), draw)
        caught += first.verdict == REGRESSED
        innocent += any(f.verdict == REGRESSED for f in others)
    assert caught >= least * gates
    assert innocent <= 2


def test_what_a_pass_says_it_would_have_seen_is_seen() -> None:
    """95 of 100 slowdowns of that size are called one, or very nearly so: for normal scatter."""
    draw = random.Random(14)
    family = 10
    for sigma in (0.003, 0.01):
        values = [draw.gauss(0, sigma) for _ in range(4000)]
        samples = [values[n : n + FIRST_STAGE] for n in range(0, 2400, FIRST_STAGE)]
        stated = sorted(
            minimum_detectable_slowdown(s, interval(s, CONFIDENCE), THRESHOLD, family)
            for s in samples
        )[len(samples) // 2]
        gates, caught = 80, 0
        for _ in range(gates):
            centres = [stated] + [0.0] * (family - 1)
            found = simulated(centres, lambda d, s=sigma: d.gauss(0, s), draw)
            caught += found[0].verdict == REGRESSED
        assert binomial_bounds(caught, gates, 0.999).high >= 0.95, (sigma, stated, caught)
        assert caught >= 0.88 * gates, (sigma, stated, caught)


def test_minimum_detectable_slowdown_is_never_below_the_threshold_and_grows_with_scatter() -> None:
    draw = random.Random(15)
    shape = [draw.gauss(0, 1) for _ in range(FIRST_STAGE)]

    def figure(sigma: float, family: int) -> float:
        values = [sigma * s for s in shape]
        return minimum_detectable_slowdown(values, interval(values, CONFIDENCE), THRESHOLD, family)

    figures = [figure(sigma, 10) for sigma in (1e-6, 0.003, 0.01, 0.05)]
    assert figures == sorted(figures)
    assert figures[0] >= THRESHOLD
    assert figure(1.0, 60) > figure(1.0, 1)


def test_a_pass_could_have_seen_a_slowdown_of_threshold_and_margin() -> None:
    """Whatever the samples are: what is not seen well is inconclusive, never a pass."""
    draw = random.Random(16)
    seen = set()
    for _ in range(800):
        sigma, centre = 10 ** draw.uniform(-4, -0.5), draw.uniform(-0.03, 0.03)
        count = draw.choice((FIRST_STAGE, *LATER_STAGES))
        values = [draw.gauss(centre, sigma) for _ in range(count)]
        finding = judge({"x": values}, THRESHOLD)["x"]
        seen.add(finding.verdict)
        if finding.verdict == PASS:
            assert finding.high <= THRESHOLD + MARGIN + 1e-12
            assert finding.change <= THRESHOLD + 1e-12
        if finding.verdict == REGRESSED:
            assert finding.change > THRESHOLD
            assert finding.low > 0
        first = settled(values, THRESHOLD, 1)
        if first is not None:
            assert first.verdict == PASS
            assert interval(values, CONFIDENCE).high <= math.log(1 + THRESHOLD + MARGIN) + 1e-12
            assert first.minimum_detectable_slowdown <= THRESHOLD + MARGIN
    assert seen == {PASS, REGRESSED, INCONCLUSIVE}


def test_noise_without_end_is_inconclusive() -> None:
    draw = random.Random(17)
    findings = simulated([0.0] * 10, lambda d: d.gauss(0, 0.5), draw)
    unclear = [f for f in findings if f.verdict == INCONCLUSIVE]
    assert len(unclear) >= 8  # now and then it looks much faster, and so surely not slower
    assert all(f.verdict == PASS for f in findings if f not in unclear)
    assert all(
        f.samples == LATER_STAGES[-1] and f.minimum_detectable_slowdown > 0.1 for f in unclear
    )


def test_an_improvement_is_never_a_failure() -> None:
    draw = random.Random(18)
    for improvement in (-0.02, -0.05, -0.5, -0.99):
        finding = simulated([improvement], lambda d: d.gauss(0, 0.005), draw)[0]
        assert finding.verdict == PASS
        assert finding.improved
        assert finding.change == pytest.approx(improvement, abs=0.01)
    assert not any(f.improved for f in simulated([0.0] * 10, normal, draw))


@pytest.mark.parametrize("threshold", [0.01, 0.05, 0.5, 10.0])
def test_a_larger_threshold_lets_smaller_slowdowns_pass(threshold: float) -> None:
    draw = random.Random(19)

    def calm(d: random.Random) -> float:
        return d.gauss(0, 0.001)

    below, above = simulated([threshold * 0.6, threshold * 1.6], calm, draw, threshold)
    assert (below.verdict, above.verdict) == (PASS, REGRESSED)


def test_the_first_stage_never_calls_a_regression_and_takes_no_part_in_the_later_ones() -> None:
    values = [0.5] * FIRST_STAGE
    assert settled(values, THRESHOLD, 1) is None
    calm = settled([0.0] * FIRST_STAGE, THRESHOLD, 5)
    assert calm is not None and calm.verdict == PASS
    with_nothing = judge({"x": [0.0] * LATER_STAGES[0]}, THRESHOLD)["x"]
    assert with_nothing.verdict == PASS


@pytest.mark.parametrize("value", [0.0, 0.5, -0.5, 1e-12, 800.0, -800.0])
def test_identical_samples_of_any_size_are_judged(value: float) -> None:
    finding = judge({"x": [value] * LATER_STAGES[0]}, THRESHOLD)["x"]
    assert finding.verdict == (REGRESSED if value > 0.01 else PASS)
    assert all(
        math.isfinite(number)
        for number in (
            finding.change,
            finding.low,
            finding.high,
            finding.minimum_detectable_slowdown,
        )
    )


def test_twice_as_many_pairs_do_not_make_an_alarm_likelier() -> None:
    """Holm: what is called slower among many needs more evidence than alone."""
    names = {f"calm {n}": [0.0001 * (-1) ** i for i in range(32)] for n in range(300)}
    few = [0.02] * 13 + [-0.005] * 3
    assert judge({"x": few}, THRESHOLD)["x"].verdict == REGRESSED
    assert judge({"x": few, **names}, THRESHOLD)["x"].verdict == INCONCLUSIVE


def test_the_documented_chance_of_error() -> None:
    assert verdict.ALPHA == 0.01
    assert sum(ALPHA / len(LATER_STAGES) for _ in LATER_STAGES) <= 0.01
