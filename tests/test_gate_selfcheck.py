"""The gate on trial: slowdowns come out as meant, on a clock of our own, in the head alone and in
kernels alone; and code placed elsewhere does the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kernels_c
from bench.gate import selfcheck
from bench.gate.checkouts.loading import load_tier_copy
from bench.gate.checkouts.sides import Side
from bench.gate.prepare import setup
from bench.gate.rounds import one_process, slowed
from bench.gate.rounds.slowed import halved, part_of
from bench.gate.selfcheck import shift
from bench.gate.verdicts.pairs import Pair
from bench.measure.cases.case import Call
from bench.measure.cases.make import make_case
from bench.measure.timing.rounds import ROUND_SECONDS, Round
from bench.saved.ledger import SAME, SHIFTED, SLOWED
from bench.suite import registry
from tests.checkout import Checkout

ROOT = Path(__file__).resolve().parent.parent


class Clock:
    """Moves only when a round is taken; `counts` says how many calls each had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.counts: list[int] = []
        monkeypatch.setattr(slowed, "perf_counter", lambda: self.now)

    def round(self, seconds: float, first: float = 0.0) -> Round:
        """Of calls that last so long; the first of a round, on cold caches, so much longer."""

        def take(calls: int) -> float:
            self.counts.append(calls)
            took = calls * seconds + (first if calls else 0.0)
            self.now += took
            return took

        return take


@pytest.mark.parametrize("slowdown", [0.01, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("first", [0.0, 200e-9])
@pytest.mark.parametrize("seconds", [100e-9, 3e-6, 90e-6, 2e-3])
def test_rounds_take_so_much_longer(
    seconds: float, first: float, slowdown: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    take = slowed.slowed(clock.round(seconds), clock.round(60e-9, first), slowdown)
    calls = max(1, round(ROUND_SECONDS / seconds))
    times = [take(calls) / (calls * seconds) - 1 for _ in range(200)]
    assert sum(times) / len(times) == pytest.approx(slowdown, rel=0.1)
    one_call = (60e-9 + first) / (calls * seconds)
    assert all(abs(t - slowdown) <= one_call + 0.1 * slowdown for t in times)


def test_the_extra_work_is_fixed_before_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that turns slow makes it slower: it is work, and no wait for a time."""
    clock = Clock(monkeypatch)
    pace = 1.0
    part = clock.round(60e-9)
    take = slowed.slowed(clock.round(1e-6), lambda calls: pace * part(calls), 0.05)
    before = sum(take(100) for _ in range(50)) - 50 * 100e-6
    pace = 2.0
    assert sum(take(100) for _ in range(50)) - 50 * 100e-6 == pytest.approx(2 * before, rel=0.02)


def test_halves_end_with_one_element() -> None:
    assert list(halved((5, 2))) == [(5, 2), (2, 1), (1, 1)]
    assert list(halved((1,))) == [(1,)]


@pytest.mark.parametrize("name", registry.KERNELS)
def test_a_part_is_small_against_the_slowdown(name: str) -> None:
    kernel = registry.kernel(name)
    for shape in kernel.shapes():
        for calls in (0.01, 1.0, 1000.0):
            part = part_of(kernel, shape, calls, 0.01)
            least = part == tuple(1 for _ in shape)
            wanted = 0.01 * max(calls, 1.0) * kernel.flops(shape)
            assert least or 16 * kernel.flops(part) <= wanted
            assert kernel.flops(part) <= kernel.flops(shape)


def test_only_the_head_is_slowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def spy(whole: Round, part: Round, slowdown: float, least_seconds: float) -> Round:
        asked.append((slowdown, least_seconds, part(3) > 0))
        return lambda calls: 2 * whole(calls)

    monkeypatch.setattr(one_process, "slowed", spy)
    sides = [Side(label, label, ROOT) for label in ("base", "head")]
    both = one_process.BothSides(sides, tmp_path, random.Random(0), {})
    for variant in ("c-scalar", "py-idiomatic"):
        pair = Pair("x", "x", "relu_f32", variant, "100", "100", seconds=1e-6)
        assert both.take(pair, 1e-3).calls > 1
        assert asked == []
        taken = both.take(replace(pair, injected=0.03), 1e-3)
        assert asked == [(0.03, ROUND_SECONDS, True)]
        assert min(taken.head) > min(taken.base)
        asked.clear()


class Fake:
    """Takes a sample of nothing: each pair is as slow as it was made."""

    record = None
    draw: Any = None

    def one_pass(self, pairs: Sequence[Pair]) -> dict[str, float]:
        return {p.name: p.injected + self.draw.gauss(0, 1e-4) for p in pairs}


def test_gates_of_each_kind() -> None:
    pairs = [Pair(f"k{n}", f"k{n}", "relu_f32", "c-scalar", "100", "100") for n in range(50)]
    pairs += [Pair(f"other{n}", f"other{n}") for n in range(5)]
    sampler: Any = Fake()
    trial = selfcheck.SelfCheck(sampler, pairs, setup.Settings(seed=1), random.Random(1))
    for kind in (SAME, SHIFTED, SLOWED):
        entry = trial.gate(kind)
        assert {o.name for o in entry.outcomes} == {p.name for p in pairs}
        assert entry.alarms == []
        victims = {o.name: o for o in entry.outcomes if o.injected}
        assert (len(victims) > 8) == (kind == SLOWED)
        assert not any(name.startswith("other") for name in victims)
        assert {o.injected for o in victims.values()} <= {*selfcheck.SLOWDOWNS}
        assert all(o.verdict == "regressed" for o in victims.values() if o.injected > 0.01)


def test_shifted_code_does_the_same_and_lies_elsewhere(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, with_modules=False)
    before = {p: p.read_text() for p in (checkout.folder / "kernels_c").rglob("*.cpp")}
    shift(checkout.folder)
    changed = {p.name for p, text in before.items() if p.read_text() != text}
    assert changed == {p.name for p in before} - {"cpu.cpp"}
    for path, text in before.items():  # nothing is taken away
        assert set(text.splitlines()) <= set(path.read_text().splitlines())
    answer = checkout.build("--tier", "scalar")
    assert answer.returncode == 0, answer.stderr
    module = next((checkout.folder / "kernels_c").glob("_scalar.*so"))
    shifted = load_tier_copy(module, "scalar", tmp_path, random.Random(0))
    plain = kernels_c.load_tier("scalar")
    for name, kernel in registry.KERNELS.items():
        case = make_case(kernel, kernel.shapes()[0])
        results = []
        for tier in (plain, shifted):
            call = Call("portable", *case.native_call(tier, name))
            case.run_and_verify(name, call)
            results.append(case.output(call))
        assert results[0] == results[1]
