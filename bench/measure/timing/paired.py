"""Two calls against each other: alternating rounds, and what their ratios say.

A shared machine changes its speed by the second, so minima of two runs, or of two stretches of one
run, differ by 10-40 % where nothing has changed. Rounds of a tenth of a millisecond in alternation
meet the same machine, and the median of their ratios repeats within 1 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

from bench.measure.timing.rounds import calibrate, garbage_collection_off, rounds_of, tracing_off

# Who has slept is woken on the core of the one who wakes it, and moved within some 20 ms.
_WARM_SECONDS = 30e-3


class Timed:
    """A call, and rounds of it that the clock can see.

    settle: called before each round, which then first runs untimed for 30 ms. On several
    threads the workers of whoever ran before go on spinning on the cores that this call needs; on
    one thread nobody else runs.
    of: a round is the median of so many, as settling is dear
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        settle: Callable[[], None] | None = None,
        of: int = 1,
    ) -> None:
        self.function = function
        self.args = args
        self.settle = settle
        self.of = of
        self._take = rounds_of(function, args)
        self.iterations = calibrate(self._take)

    def round(self) -> float:
        """Seconds a call."""
        if self.settle is not None:
            self.settle()
            warm = perf_counter() + _WARM_SECONDS
            while perf_counter() < warm:
                self.function(*self.args)
        return median(self._take(self.iterations) for _ in range(self.of)) / self.iterations


@dataclass
class Pairing:
    """Rounds in alternation, first second first second ... first, and their ratios.

    ratios      each round of the second over the mean of the two rounds of the first around it, in
                which a steady drift of the machine cancels
    """

    first: Timed
    second: Timed
    ratios: list[float] = field(default_factory=list)
    first_minimum: float = float("inf")
    second_minimum: float = float("inf")

    def take(self, seconds: float) -> float:
        """Pairs of rounds for about so long, at least one. Returns the seconds they took."""
        start = perf_counter()
        with garbage_collection_off(), tracing_off():
            before = self.first.round()
            while True:
                second = self.second.round()
                after = self.first.round()
                self.ratios.append(2 * second / (before + after))
                self.first_minimum = min(self.first_minimum, before, after)
                self.second_minimum = min(self.second_minimum, second)
                before = after
                spent = perf_counter() - start
                if spent >= seconds:
                    return spent


def alternate(pairings: Sequence[Pairing], seconds: float, least: int) -> Iterator[None]:
    """Fill every pairing with at least `least` ratios over about `seconds` each, in turns of a
    tenth of that: a slow stretch of the machine then meets all of them. Yields after each turn."""
    spent = [0.0] * len(pairings)
    while True:
        due = [
            i
            for i, pairing in enumerate(pairings)
            if spent[i] < seconds or len(pairing.ratios) < least
        ]
        if not due:
            return
        for i in due:
            spent[i] += pairings[i].take(seconds / 10)
            yield
