"""What the gate is worth on a machine: how often it errs and what it catches, from all the gates
that self-checks have run there. So it tightens with use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.saved.gates import REGRESSED
from bench.saved.ledger import Entry
from bench.stats.binomial import Interval, binomial_bounds


@dataclass(frozen=True)
class Rate:
    """So many of so many, and the 95 % interval of the probability behind it."""

    count: int
    total: int

    @property
    def bounds(self) -> Interval:
        return binomial_bounds(self.count, self.total)


def false_alarms(entries: Iterable[Entry], kind: str) -> Rate:
    """Gates of that kind with an alarm."""
    gates = [e for e in entries if e.kind == kind]
    return Rate(sum(bool(e.alarms) for e in gates), len(gates))


def innocent(entries: Iterable[Entry], verdict: str = REGRESSED) -> Rate:
    """Benchmarks that had not been changed, and got that verdict."""
    verdicts = [o.verdict for e in entries for o in e.outcomes if not o.injected]
    return Rate(verdicts.count(verdict), len(verdicts))


def power(entries: Iterable[Entry]) -> dict[float, Rate]:
    """For each injected slowdown, how many of the benchmarks that had it were caught."""
    caught: dict[float, list[bool]] = {}
    for entry in entries:
        for outcome in entry.outcomes:
            if outcome.injected:
                caught.setdefault(outcome.injected, []).append(outcome.verdict == REGRESSED)
    return {injected: Rate(sum(hits), len(hits)) for injected, hits in sorted(caught.items())}
