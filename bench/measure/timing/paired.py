"""Two calls against each other: alternating rounds, and what their ratios say.

A shared machine changes its speed by the second, so minima of two runs, or of two stretches of one
run, differ by 10-40 % where nothing has changed. Rounds of a tenth of a millisecond in alternation
meet the same machine, and the median of their ratios repeats within 1 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

from bench.measure.timing.rounds import calibrate, garbage_collection_off, rounds_of, tracing_off


class Takes(Protocol):
    """What rounds can be taken of."""

    def round(self) -> float:
        """Seconds a call."""


class Timed:
    """A call, and rounds of it that the clock can see."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.take = rounds_of(function, args)
        self.iterations = calibrate(self.take)

    def round(self) -> float:
        return self.take(self.iterations) / self.iterations


@dataclass
class Pairing:
    """Rounds in alternation, first second first second ... first, and their ratios.

    ratios      each round of the second over the mean of the two rounds of the first around it, in
                which a steady drift of the machine cancels
    """

    first: Takes
    second: Takes
    ratios: list[float] = field(default_factory=list)
    first_minimum: float = float("inf")
    second_minimum: float = float("inf")

    def add(self, before: float, second: float, after: float) -> None:
        """A round of the second between two of the first."""
        self.ratios.append(2 * second / (before + after))
        self.first_minimum = min(self.first_minimum, before, after)
        self.second_minimum = min(self.second_minimum, second)

    def take(self, seconds: float) -> float:
        """Pairs of rounds for about so long, at least one. Returns the seconds they took."""
        start = perf_counter()
        with garbage_collection_off(), tracing_off():
            before = self.first.round()
            while True:
                second = self.second.round()
                after = self.first.round()
                self.add(before, second, after)
                before = after
                spent = perf_counter() - start
                if spent >= seconds:
                    return spent


@dataclass(frozen=True)
class Turns:
    """What in_turn() found besides the ratios: all rounds of the first, and who raised what."""

    first: list[float]
    failed: dict[str, Exception]


def in_turn(
    first: Takes,
    pairings: Mapping[str, Pairing],
    seconds: float,
    least: Callable[[Pairing], int],
    turn: float = 0.0,
) -> Turns:
    """Pairs of rounds for about `seconds` each and at least so many, in turns of `turn` seconds: a
    slow stretch of the machine meets all of them. With 0 a turn is a pair, and the first's rounds
    are every other one; where a round does not warm up by itself, the others then come back to
    colder caches than the first, which made them up to a tenth slower. What raises takes no more
    turns; where the first does, it is raised here."""
    spent = dict.fromkeys(pairings, 0.0)
    due, turns = dict(pairings), Turns([], {})
    with garbage_collection_off(), tracing_off():
        turns.first.append(first.round())
        while due:
            for name, pairing in list(due.items()):
                start, enough = perf_counter(), False
                while not enough:
                    try:
                        second = pairing.second.round()
                    except Exception as error:
                        turns.failed[name] = error
                        due.pop(name)
                        break
                    turns.first.append(first.round())
                    pairing.add(turns.first[-2], second, turns.first[-1])
                    enough = perf_counter() - start >= turn
                spent[name] += perf_counter() - start
                if enough and spent[name] >= seconds and len(pairing.ratios) >= least(pairing):
                    due.pop(name)
    return turns
