"""Samples of two fake sides on a fake clock: nothing is timed."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Callable

import pytest

from bench.gate.rounds import samples
from bench.gate.rounds.samples import FEWEST_ABBA_BLOCKS, Sample, take_sample
from bench.measure.timing.rounds import calibrate, rounds_of


class Machine:
    """Two sides whose calls take so many seconds, on a clock that only they move on."""

    def __init__(self, base: float, head: float, pace: Callable[[float], float] = lambda _: 1.0):
        self.now = 0.0
        self.rounds: list[tuple[str, int]] = []
        self._seconds = {"base": base, "head": head}
        self._pace = pace  # of the machine at a time: 2.0 where everything takes twice as long

    def side(self, name: str) -> Callable[[int], float]:
        def take(calls: int) -> float:
            self.rounds.append((name, calls))
            seconds = calls * self._seconds[name] * self._pace(self.now)
            self.now += seconds
            return seconds

        return take

    def sample(self, seed: int = 0, **options: float) -> Sample:
        return take_sample(self.side("base"), self.side("head"), random.Random(seed), **options)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    def make(*arguments: float, **more: Callable[[float], float]) -> Machine:
        made = Machine(*arguments, **more)
        monkeypatch.setattr(samples, "perf_counter", lambda: made.now)
        return made

    return make


Make = Callable[..., Machine]


def test_quads_are_mirrored_and_both_orders_occur(machine: Make) -> None:
    m = machine(1e-6, 1e-6)
    sample = m.sample()
    taken = m.rounds[-2 * len(sample.base) :]
    assert len({calls for _, calls in taken}) == 1
    blocks = {tuple(name for name, _ in taken[n : n + 4]) for n in range(0, len(taken), 4)}
    assert blocks == {("base", "head", "head", "base"), ("head", "base", "base", "head")}
    assert len(sample.base) == len(sample.head) == len(taken) / 2
    assert len(sample.base) % 2 == 0


def test_neither_side_is_warmed_before_the_other(machine: Make) -> None:
    """The same predictors serve both: what they learn of one they forget of the other."""
    first = set()
    for seed in range(8):
        m = machine(1e-6, 1e-6)
        sample = m.sample(seed)
        first.add(m.rounds[0][0])
        names = [name for name, _ in m.rounds]
        assert names.index("base") + names.index("head") == 1
        unequal = [n for n in range(len(names)) if abs(names[:n].count("base") * 2 - n) > 2]
        assert not unequal
        warm = m.rounds[: -2 * len(sample.base)]
        assert sum(calls for _, calls in warm) * 1e-6 >= 4e-3
    assert first == {"base", "head"}


def test_the_seed_repeats_the_order(machine: Make) -> None:
    orders = []
    for seed in (1, 1, 2):
        m = machine(1e-6, 1e-6)
        m.sample(seed)
        orders.append(m.rounds)
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("change", [0.0, 0.03, -0.2, 1.0])
def test_the_value_is_the_log_of_the_ratio(change: float, machine: Make) -> None:
    sample = machine(1e-6, 1e-6 * (1 + change)).sample()
    assert sample.value == pytest.approx(math.log1p(change), abs=1e-12)


def test_slow_stretches_cancel(machine: Make) -> None:
    """Half of the time everything takes twice as long, in stretches as of a busy neighbour."""
    m = machine(1e-6, 1.03e-6, pace=lambda now: 2.0 if math.sin(400 * now) > 0 else 1.0)
    sample = m.sample(seconds=0.5)
    assert max(sample.base) > 1.9 * min(sample.base)
    assert sample.value == pytest.approx(math.log(1.03), abs=1e-12)


def test_a_machine_that_slows_all_the_time_favours_neither_side(machine: Make) -> None:
    for rate in (0.5, 5.0):
        m = machine(1e-6, 1e-6, pace=lambda now, rate=rate: 1 + rate * now)
        assert abs(m.sample(seconds=0.5).value) < 1e-3


def test_a_third_of_wild_rounds_does_not_move_the_value(machine: Make) -> None:
    draw = random.Random(3)
    m = machine(1e-6, 1.02e-6, pace=lambda _: 10.0 if draw.random() < 0.15 else 1.0)
    assert m.sample(seconds=0.3).value == pytest.approx(math.log(1.02), abs=1e-9)


@pytest.mark.parametrize("seconds", [0.2, 3.0, 100.0])
def test_a_long_call_still_gets_its_quads(seconds: float, machine: Make) -> None:
    m = machine(seconds, 1.1 * seconds)
    sample = m.sample()
    assert len(sample.base) == len(sample.head) == 2 * FEWEST_ABBA_BLOCKS
    assert sample.calls == 1
    assert sample.value == pytest.approx(math.log(1.1))


@pytest.mark.parametrize(("base", "head"), [(1e-9, 1e-9), (2e-7, 1e-6), (5e-5, 1e-7), (1.0, 1e-8)])
def test_rounds_are_long_enough_and_not_much_longer(
    base: float, head: float, machine: Make
) -> None:
    m = machine(base, head)
    calls = calibrate(m.side("base"), m.side("head"))
    longer = max(base, head)
    assert calls * longer >= 100e-6 or calls == 1
    assert calls == 1 or calls * longer <= 300e-6


def test_a_clock_that_does_not_move_at_first_is_waited_for(machine: Make) -> None:
    """A call below the clock's resolution reads as nothing until there are enough of them."""

    def coarse(calls: int) -> float:
        seconds = calls * 1e-9
        m.now += seconds
        return seconds if seconds > 1e-6 else 0.0

    m = machine(0.0, 0.0)
    assert calibrate(coarse) * 1e-9 >= 100e-6


def test_times_are_of_one_call(machine: Make) -> None:
    sample = machine(1e-6, 2e-6).sample()
    assert sample.calls > 1
    assert sample.base == pytest.approx([1e-6] * len(sample.base))
    assert sample.head == pytest.approx([2e-6] * len(sample.head))


def test_no_garbage_is_collected_meanwhile(machine: Make) -> None:
    m = machine(1e-3, 1e-3)
    states = []
    side = m.side("base")

    def watched(calls: int) -> float:
        states.append(gc.isenabled())
        return side(calls)

    before = gc.isenabled()
    take_sample(watched, m.side("head"), random.Random(0))
    assert not any(states)
    assert gc.isenabled() == before


def test_rounds_call_the_function_with_its_arguments() -> None:
    seen: list[tuple[int, str]] = []
    seconds = rounds_of(lambda a, b: seen.append((a, b)), (1, "x"))(5)
    assert seen == [(1, "x")] * 5
    assert seconds > 0
