"""The newest run against the one before: what got faster, slower, came, went; and what of earlier
runs can be compared with the newest at all."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.saved.comparable import other_benchmark, other_machine
from bench.saved.runs import Result, Run


@dataclass(frozen=True)
class Change:
    """One benchmark in two runs; at least one of the two has it. incomparable: why their times say
    nothing about the code, if so."""

    fullname: str
    before: Result | None
    now: Result | None
    incomparable: str | None = None

    @property
    def ratio(self) -> float | None:
        """Minimum now over minimum before: below 1 is faster; None where that says nothing."""
        if self.now is None or self.before is None or self.incomparable:
            return None
        return self.now.minimum / self.before.minimum

    @property
    def verdict(self) -> str:
        """new, gone, faster, slower, "within spread", "not judged" or "not comparable".

        A difference counts when it is larger than the two spreads together. One round has no
        spread, so nothing can be said about it.
        """
        if self.before is None or self.now is None:
            return "new" if self.before is None else "gone"
        if self.ratio is None:
            return "not comparable"
        spreads = spread(self.before), spread(self.now)
        if spreads[0] is None or spreads[1] is None:
            return "not judged"
        if abs(self.ratio - 1) <= spreads[0] + spreads[1]:
            return "within spread"
        return "faster" if self.ratio < 1 else "slower"


def changes(before: Run, now: Run) -> list[Change]:
    """Every benchmark of either run: in the order of the newer one, then those that are gone."""
    old, new = before.by_fullname(), now.by_fullname()
    machine = other_machine(now, before)
    both = {
        name: machine or other_benchmark(now, new[name], before, old[name])
        for name in new
        if name in old
    }
    names = dict.fromkeys([*new, *old])
    return [Change(name, old.get(name), new.get(name), both.get(name)) for name in names]


def alike(run: Run, newest: Run) -> Run:
    """The run with only those of its benchmarks whose times can be compared with the newest's."""
    if run is newest:
        return run
    new = newest.by_fullname()
    strange = other_machine(run, newest)
    return replace(
        run,
        results=tuple(
            result
            for result in (() if strange else run.results)
            if result.fullname not in new
            or other_benchmark(run, result, newest, new[result.fullname]) is None
        ),
    )


def spread(result: Result) -> float | None:
    """Interquartile range over the median; None where a single round was measured."""
    return result.spread if result.rounds > 1 else None
