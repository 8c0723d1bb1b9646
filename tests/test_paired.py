"""Ratios of alternating rounds and their interval: from made-up numbers, on a clock of our own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.timing import paired, rounds
from bench.measure.timing.paired import Pairing, Timed, in_turn
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

    def make(slowness: Iterator[float]) -> tuple[Machine, Pairing]:
        machine = Machine(slowness)
        for module in (paired, rounds):
            monkeypatch.setattr(module, "perf_counter", machine.clock)
        calls = (machine.call("a", 1e-3), machine.call("b", 2e-3))
        first, second = (Timed(call, ()) for call in calls)
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


def test_rounds_in_turn_share_those_of_the_first(pair) -> None:
    machine, one = pair(steady())
    other = Pairing(one.first, Timed(machine.call("c", 3e-3), ()))
    machine.log.clear()
    turns = in_turn(one.first, {"b": one, "c": other}, 0.01, lambda _: 15)
    assert "".join(machine.log).startswith("abacabaca")
    assert (len(one.ratios), len(other.ratios)) == (15, 15)
    assert one.ratios == pytest.approx([2.0] * 15)
    assert other.ratios == pytest.approx([3.0] * 15)
    assert turns.first == pytest.approx([1e-3] * 31)
    assert turns.failed == {}


def test_a_turn_may_be_of_several_pairs(pair) -> None:
    machine, one = pair(steady())
    other = Pairing(one.first, Timed(machine.call("c", 3e-3), ()))
    machine.log.clear()
    in_turn(one.first, {"b": one, "c": other}, 0.01, lambda _: 6, turn=0.005)
    assert "".join(machine.log).startswith("ababacacababa")


def test_turns_go_on_for_the_seconds_asked_for_and_fewer_where_that_is_enough(pair) -> None:
    _, pairing = pair(steady())
    in_turn(pairing.first, {"b": pairing}, 0.1, lambda _: 7)
    assert len(pairing.ratios) == pytest.approx(0.1 / 3e-3, abs=1)
    _, pairing = pair(steady())
    in_turn(pairing.first, {"b": pairing}, 1e-6, lambda p: 6 if p.second_minimum > 1e-3 else 15)
    assert len(pairing.ratios) == 6


def test_what_raises_takes_no_more_turns_and_the_others_go_on(pair) -> None:
    _, one = pair(steady())

    class Raises:
        def round(self) -> float:
            raise OSError("gone")

    pairings = {"bad": Pairing(one.first, Raises()), "b": one}
    turns = in_turn(one.first, pairings, 1e-6, lambda _: 7)
    assert repr(turns.failed) == "{'bad': OSError('gone')}"
    assert len(one.ratios) == 7
    with pytest.raises(OSError, match="gone"):
        in_turn(Raises(), pairings, 1e-6, lambda _: 7)
