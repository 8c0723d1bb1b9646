"""The newest run against the one before: what got faster, slower, came, went."""

from __future__ import annotations

from dataclasses import dataclass

from bench.runs import Result, Run


@dataclass(frozen=True)
class Change:
    """One benchmark in two runs; at least one of the two has it."""

    fullname: str
    before: Result | None
    now: Result | None

    @property
    def ratio(self) -> float | None:
        """Minimum now over minimum before: below 1 is faster."""
        return self.now.minimum / self.before.minimum if self.now and self.before else None

    @property
    def verdict(self) -> str:
        """new, gone, faster, slower, "within spread" or "not judged".

        A difference counts when it is larger than the two spreads together. One round has no
        spread, so nothing can be said about it.
        """
        if self.before is None or self.now is None or self.ratio is None:
            return "new" if self.before is None else "gone"
        spreads = spread(self.before), spread(self.now)
        if spreads[0] is None or spreads[1] is None:
            return "not judged"
        if abs(self.ratio - 1) <= spreads[0] + spreads[1]:
            return "within spread"
        return "faster" if self.ratio < 1 else "slower"


def changes(before: Run, now: Run) -> list[Change]:
    """Every benchmark of either run: in the order of the newer one, then those that are gone."""
    old, new = before.by_fullname(), now.by_fullname()
    return [Change(name, old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old])]


def spread(result: Result) -> float | None:
    """Interquartile range over the median; None where a single round was measured."""
    return result.spread if result.rounds > 1 else None
