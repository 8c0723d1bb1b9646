"""When a minimum counts as confirmed: on a clock that the tests wind, so nothing here is timed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.measure.timing import minimum, rounds
from bench.measure.timing.minimum import NoiseProbe, Rounds


class Machine:
    """A clock that moves only when work is done, and a function that takes set times."""

    def __init__(self, durations: Iterator[float]) -> None:
        self.now = 0.0
        self.durations = durations
        self.calls = 0

    def clock(self) -> float:
        return self.now

    def work(self) -> None:
        self.calls += 1
        self.now += next(self.durations)


class ScriptedProbe(NoiseProbe):
    """Says what it is told, and takes a little time to say it."""

    def __init__(self, machine: Machine, answers: Iterator[bool]) -> None:
        super().__init__()
        self.machine = machine
        self.answers = answers

    def is_quiet(self) -> bool:
        self.machine.now += 1e-5
        return next(self.answers)


def forever(*values: float) -> Iterator[float]:
    while True:
        yield from values


def always(answer: bool) -> Iterator[bool]:
    while True:
        yield answer


@pytest.fixture
def wind(monkeypatch: pytest.MonkeyPatch):
    def make(durations: Iterator[float], answers: Iterator[bool], cap: float = 1.0) -> Rounds:
        machine = Machine(durations)
        for module in (minimum, rounds):
            monkeypatch.setattr(module, "perf_counter", machine.clock)
        made = Rounds(machine.work, (), cap, probe=ScriptedProbe(machine, answers))
        made.calibrate()
        return made

    return make


def test_a_steady_case_is_confirmed_early(wind) -> None:
    rounds = wind(forever(2e-3), always(True))
    taken = list(rounds)
    assert rounds.confirmed
    assert minimum._LEAST_SHARE <= sum(taken) < minimum._LEAST_SHARE + 0.1  # of a cap of 1.0


def test_short_calls_are_bundled_into_rounds_of_a_tenth_of_a_millisecond(wind) -> None:
    short = wind(forever(1e-6), always(True))
    taken = list(short)
    assert 100 <= short.iterations < 300
    assert min(taken) >= rounds.ROUND_SECONDS


def test_a_noisy_machine_ends_at_the_cap_unconfirmed(wind) -> None:
    rounds = wind(forever(2e-3), always(False), cap=0.1)
    taken = list(rounds)
    assert not rounds.confirmed
    assert sum(taken) <= 0.1 + 2 * 4e-3


def test_a_minimum_met_once_is_not_confirmed(wind) -> None:
    def durations() -> Iterator[float]:
        yield from (2e-3,) * 20
        yield 1e-3
        yield from forever(2e-3)

    rounds = wind(durations(), iter([False] * 15 + [True] * 10_000), cap=0.3)
    list(rounds)
    assert not rounds.confirmed


def test_a_slow_stretch_does_not_confirm_its_own_minimum(wind) -> None:
    """Slow for 100 calls, with a probe that notices; then fast."""

    def durations() -> Iterator[float]:
        yield from (2e-3,) * 100
        yield from forever(1e-3)

    rounds = wind(durations(), iter([False] * 50 + [True] * 10_000))
    taken = list(rounds)
    assert rounds.confirmed
    assert min(taken) == pytest.approx(1e-3)


def test_a_call_longer_than_the_cap_still_gives_a_round(wind) -> None:
    rounds = wind(forever(5.0), always(True), cap=1.0)
    assert len(list(rounds)) == 1
    assert not rounds.confirmed


def test_the_first_probe_of_a_session_takes_nothing_from_the_first_case(wind) -> None:
    rounds = wind(forever(2e-3), always(True), cap=0.1)
    quick = rounds.probe.is_quiet

    def slow_once() -> bool:
        rounds.probe.machine.now += 5.0
        rounds.probe.is_quiet = quick
        return True

    rounds.probe.is_quiet = slow_once
    assert sum(rounds) >= 0.05


def test_few_rounds_end_by_number_or_by_time(wind) -> None:
    rounds = wind(forever(1.0), always(True))
    assert list(rounds.few(3, 8.0, [1.0])) == [1.0, 1.0]
    assert list(rounds.few(3, 8.0, [9.0])) == []
    assert list(rounds.few(3, 1.5, [1.0])) == [1.0]
    assert not rounds.confirmed


def test_a_further_round_counts_once_where_the_caller_keeps_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = Rounds(lambda: None, (), cap_seconds=1.0)
    seconds = iter([1.2, 1.1])
    monkeypatch.setattr(rounds, "_take", lambda calls: next(seconds))
    kept = [1.0]
    for round_seconds in rounds.few(3, 8.0, kept):
        kept.append(round_seconds)  # noqa: PERF402
    assert kept == [1.0, 1.2, 1.1]
    assert rounds.uncertainty == pytest.approx(0.1)


def test_the_garbage_collector_comes_back(wind) -> None:
    import gc

    assert gc.isenabled()
    rounds = wind(forever(2e-3), always(True))
    for _ in rounds:
        assert gc.isenabled()  # the caller runs with it on
        break
    assert gc.isenabled()
