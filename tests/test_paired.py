"""Ratios of alternating rounds and their interval: from made-up numbers, on a clock of our own."""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Callable, Iterator
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.timing import paired, rounds
from bench.measure.timing.paired import Pairing, Timed, alternate
from bench.measure.timing.quiet import wait_until_quiet
from bench.stats.rank import FEWEST, Estimate, estimate

positive = st.floats(1e-3, 1e3)


def rank_of_low(n: int) -> int:
    """Where the interval of n ratios begins, counted from 1."""
    return round(estimate([float(i) for i in range(1, n + 1)]).low)


# Tables of the sign test, e.g. Conover, Practical Nonparametric Statistics, and by hand for 6.
@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (9, 2), (15, 4), (20, 6), (100, 40)])
def test_the_interval_is_that_of_the_tables(n: int, rank: int) -> None:
    assert rank_of_low(n) == rank
    found = estimate([float(i) for i in range(1, n + 1)])
    assert found.high == n + 1 - rank
    assert found.ratio == (n + 1) / 2


@pytest.mark.parametrize("n", [6, 7, 31, 400])
def test_it_leaves_out_at_most_five_percent_and_no_less_than_it_may(n: int) -> None:
    rank = rank_of_low(n)
    missed = [2 * sum(math.comb(n, i) for i in range(k)) / 2**n for k in (rank, rank + 1)]
    assert missed[0] <= 0.05 < missed[1]


@given(st.lists(positive, min_size=FEWEST, max_size=60))
def test_the_median_lies_within_and_order_does_not_matter(ratios: list[float]) -> None:
    found = estimate(ratios)
    assert min(ratios) <= found.low <= found.ratio <= found.high <= max(ratios)
    assert estimate(ratios[::-1]) == found


@given(positive)
def test_equal_ratios_have_no_width(ratio: float) -> None:
    assert estimate([ratio] * 9) == Estimate(ratio, ratio, ratio)


def test_the_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    draw = random.Random(7)
    held = 0
    for _ in range(1000):
        found = estimate([math.exp(draw.gauss(0, 0.2)) for _ in range(25)])
        held += found.low <= 1 <= found.high
    assert held >= 930  # exactly 957 are expected; the seed is fixed


def test_too_few_ratios_are_refused() -> None:
    with pytest.raises(ValueError, match="got 5, needs at least 6"):
        estimate([1.0] * 5)


# --- Rounds --------------------------------------------------------------------------------------


class Machine:
    """A clock that moves only when work is done; `slowness` may change from call to call."""

    def __init__(self, slowness: Iterator[float]) -> None:
        self.now = 0.0
        self.slowness = slowness
        self.log: list[str] = []

    def clock(self) -> float:
        return self.now

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.log.append(name)
            self.now += seconds * next(self.slowness)

        return work


def steady() -> Iterator[float]:
    while True:
        yield 1.0


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch):
    """A pairing of a 1 ms call with a 2 ms call on such a machine."""

    def make(
        slowness: Iterator[float], settle: Callable[[], None] | None = None
    ) -> tuple[Machine, Pairing]:
        machine = Machine(slowness)
        for module in (paired, rounds):
            monkeypatch.setattr(module, "perf_counter", machine.clock)
        calls = (machine.call("a", 1e-3), machine.call("b", 2e-3))
        first, second = (Timed(call, (), settle) for call in calls)
        machine.log.clear()
        return machine, Pairing(first, second)

    return make


def test_rounds_alternate_and_begin_and_end_with_the_first(pair) -> None:
    machine, pairing = pair(steady())
    pairing.take(0.01)
    assert "".join(machine.log).startswith("ababa")
    assert machine.log[-1] == "a"
    assert machine.log.count("a") == machine.log.count("b") + 1 == len(pairing.ratios) + 1
    assert pairing.ratios == pytest.approx([2.0] * len(pairing.ratios))
    assert (pairing.first_minimum, pairing.second_minimum) == pytest.approx((1e-3, 2e-3))


def test_a_drift_of_the_machine_cancels(pair) -> None:
    def drifting() -> Iterator[float]:
        slow = 1.0
        while True:
            yield slow
            slow *= 1.001

    _, pairing = pair(drifting())
    pairing.take(0.5)
    assert len(pairing.ratios) > 50
    assert pairing.ratios == pytest.approx([2.0] * len(pairing.ratios), rel=1e-5)


def test_a_machine_that_turns_slow_for_a_while_does_not_move_the_ratio(pair) -> None:
    def stretches() -> Iterator[float]:
        while True:
            yield from (1.0,) * 50
            yield from (2.0,) * 50

    _, pairing = pair(stretches())
    pairing.take(1.0)
    assert estimate(pairing.ratios).ratio == pytest.approx(2.0)


def test_on_several_threads_each_round_first_settles_and_runs_untimed(pair) -> None:
    settled: list[str] = []
    machine, pairing = pair(steady(), settle=lambda: settled.append("."))
    pairing.take(0.0)
    # 30 calls of 1 ms warm the first, 15 of 2 ms the second; then the one that is timed.
    runs = [len(run) for run in re.findall("a+|b+", "".join(machine.log))]
    assert runs == pytest.approx([31, 16, 31], abs=1)
    assert len(settled) == 3
    assert pairing.ratios == pytest.approx([2.0])


def test_quiet_is_when_no_other_thread_runs() -> None:
    """A spinning thread is waited for; one that sleeps is not."""
    running = threading.Event()
    ended: list[float] = []

    def spin() -> None:
        running.set()
        end = perf_counter() + 0.05
        while perf_counter() < end:
            pass
        ended.append(perf_counter())

    sleeper = threading.Event()
    threads = [threading.Thread(target=spin), threading.Thread(target=sleeper.wait)]
    for thread in threads:
        thread.start()
    running.wait()
    wait_until_quiet()
    assert ended
    sleeper.set()
    for thread in threads:
        thread.join()


def test_pairings_take_turns_until_each_has_enough(pair) -> None:
    _, one = pair(steady())
    other = Pairing(one.first, one.second)
    turns = sum(1 for _ in alternate([one, other], 0.01, least=15))
    assert len(one.ratios) >= 15
    assert len(other.ratios) >= 15
    assert turns >= 20


def test_a_slow_call_gets_the_least_number_of_pairs(pair) -> None:
    _, pairing = pair(steady())
    for _ in alternate([pairing], 1e-6, least=7):
        pass
    assert len(pairing.ratios) == 7
