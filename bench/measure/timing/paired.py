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
    first: Takes, pairings: Mapping[str, Pairing], seconds: float, least: Callable[[Pairing], int]
) -> Turns:
    """Rounds of the first and of each of the others, first one first other first ..., for about
    `seconds` each and at least so many pairs: a slow stretch of the machine meets all of them. What
    raises takes no more turns; where the first does, it is raised here."""
    spent = dict.fromkeys(pairings, 0.0)
    due, turns = dict(pairings), Turns([], {})
    with garbage_collection_off(), tracing_off():
        before = first.round()
        turns.first.append(before)
        while due:
            for name, pairing in list(due.items()):
                start = perf_counter()
                try:
                    second = pairing.second.round()
                except Exception as error:
                    turns.failed[name] = error
                    del due[name]
                    continue
                after = first.round()
                turns.first.append(after)
                pairing.add(before, second, after)
                before = after
                spent[name] += perf_counter() - start
                if spent[name] >= seconds and len(pairing.ratios) >= least(pairing):
                    del due[name]
    return turns
