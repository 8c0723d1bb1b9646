"""Two runs side by side: what got faster, slower, came and went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from bench.saved.comparable import other_benchmark, other_machine
from bench.saved.runs import Result, Run


@dataclass(frozen=True)
class Change:
    """One benchmark in two runs; at least one of the two has it.

    uncertainty   by what share of itself the ratio may be wrong; None where nothing says
    repeated      whether it is known from runs, and not from the rounds of these two alone
    incomparable  why their times say nothing about the code, if so
    """

    fullname: str
    before: Result | None
    now: Result | None
    uncertainty: float | None = None
    repeated: bool = False
    incomparable: str | None = None

    @property
    def ratio(self) -> float | None:
        """Minimum now over minimum before: below 1 is faster; None where that says nothing."""
        if self.now is None or self.before is None or self.incomparable:
            return None
        return self.now.minimum / self.before.minimum

    @property
    def interval(self) -> tuple[float, float] | None:
        if self.ratio is None or self.uncertainty is None:
            return None
        return self.ratio / (1 + self.uncertainty), self.ratio * (1 + self.uncertainty)

    @property
    def verdict(self) -> str:
        """new, gone, faster, slower, "within noise", "not judged" or "not comparable"."""
        if self.before is None or self.now is None:
            return "new" if self.before is None else "gone"
        if self.ratio is None:
            return "not comparable"
        if self.interval is None:
            return "not judged"
        low, high = self.interval
        if low <= 1 <= high:
            return "within noise"
        return "faster" if self.ratio < 1 else "slower"


def changes(before: Run, now: Run, scatter: Mapping[str, float] | None = None) -> list[Change]:
    """Every benchmark of either run: in the order of the newer one, then those that are gone.

    scatter  by how much a benchmark's minimum differs from run to run (one standard deviation, as
             a share), where enough runs say so: the ratio's interval is then made of it, as wide as
             it takes for all benchmarks together to be right in 95 % of cases (Bonferroni). Else of
             the two spreads together; one round has none, so nothing can be said about it.
    """
    old, new = before.by_fullname(), now.by_fullname()
    machine = other_machine(now, before)
    both = {
        name: machine or other_benchmark(now, new[name], before, old[name])
        for name in new
        if name in old
    }
    far = NormalDist().inv_cdf(1 - 0.025 / max(1, len(both))) * math.sqrt(2)
    found = []
    for name in dict.fromkeys([*new, *old]):
        pair = old.get(name), new.get(name)
        repeated = bool(scatter) and name in (scatter or {}) and name in both
        if scatter and repeated:
            uncertainty: float | None = far * scatter[name]
        else:
            spreads = [spread(side) if side else None for side in pair]
            uncertainty = None if None in spreads else sum(s or 0.0 for s in spreads)
        found.append(Change(name, *pair, uncertainty, repeated, both.get(name)))
    return found


def spread(result: Result) -> float | None:
    """Interquartile range over the median; None where a single round was measured."""
    return result.spread if result.rounds > 1 else None
