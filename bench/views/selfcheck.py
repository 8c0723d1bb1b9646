"""What the ledger of self-checks says of the gate: how often it errs, and what it catches."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.analysis.ledger import Rate, false_alarms, innocent, power
from bench.saved.gates import IMPROVED, INCONCLUSIVE, REGRESSED
from bench.saved.ledger import KINDS, SLOWED, Entry
from bench.views.tables import Table, View

_LEAST = 0.01  # an injected slowdown of the threshold is found half of the time
_MOST_LINES = 20
# What may be said of a benchmark that did not change, other than that it passes.
_ERRORS = {"called slower": REGRESSED, "called faster": IMPROVED, "inconclusive": INCONCLUSIVE}


def view(entries: Sequence[Entry]) -> View:
    """Of the gates of one machine and one design."""
    first = entries[0]
    tables = [_errors(entries, f"{len(entries)} gates on {first.cpu} ({first.design})")]
    if caught := power(entries):
        tables.append(_power(entries, caught))
    benchmarks = sum(len(e.outcomes) for e in entries) / len(entries)
    note = f"{benchmarks:.0f} benchmarks a gate"
    if seconds := [e.seconds for e in entries if e.kind != SLOWED]:
        note += f"; without slowdowns a gate took {median(seconds):.0f} s (median), "
        note += f"{min(seconds):.0f} to {max(seconds):.0f}"
    return View(tables, _content(entries), [f"{note}."])


def _errors(entries: Sequence[Entry], title: str) -> Table:
    """How often the gate was wrong, by what it was wrong about."""
    rates = {f"gates with an alarm, {kind}": false_alarms(entries, kind) for kind in KINDS}
    for what, verdict in _ERRORS.items():
        rates[f"unchanged benchmarks {what}"] = innocent(entries, verdict)
    rows = [
        [what, f"{rate.count} of {rate.total}", _percent(rate.bounds.high)]
        for what, rate in rates.items()
        if rate.total
    ]
    header = ("", "wrong", "so at most (95 % confidence)")
    return Table(header, rows, title=title, words=1, narrow=False)


def _power(entries: Sequence[Entry], caught: dict[float, Rate]) -> Table:
    """How many of the injected slowdowns were found, and as how large they were measured."""
    rows = []
    for injected, rate in caught.items():
        measured = median(o.change for e in entries for o in e.outcomes if o.injected == injected)
        found = f"{rate.count} of {rate.total}"
        change = f"{100 * measured:+.2f} %"
        share = f"{100 * rate.bounds.low:.1f} to {_percent(rate.bounds.high)}"
        rows.append([f"{100 * injected:g} %", found, change, share])
    header = ("injected", "found", "measured, median", "of all (95 % confidence)")
    return Table(header, rows, _missed(entries), words=0, narrow=False)


def _missed(entries: Sequence[Entry]) -> list[str]:
    """The benchmarks whose slowdowns above the smallest were missed, and what was measured."""
    missed = [
        f"missed: {o.name}, {100 * o.injected:g} %: measured {100 * o.change:+.2f} %, {o.verdict}"
        for e in entries
        for o in e.outcomes
        if o.injected > _LEAST and o.verdict != REGRESSED
    ]
    if not missed:
        return [f"no slowdown above {100 * _LEAST:g} % was missed"]
    return [*missed[:_MOST_LINES], *(["..."] if len(missed) > _MOST_LINES else [])]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _content(entries: Sequence[Entry]) -> dict[str, object]:
    """The same figures for programs."""

    def rate(value: Rate) -> dict[str, float]:
        bounds = value.bounds
        return {"count": value.count, "of": value.total, "low": bounds.low, "high": bounds.high}

    return {
        "cpu": entries[0].cpu,
        "design": entries[0].design,
        "gates": len(entries),
        "false_alarms": {kind: rate(false_alarms(entries, kind)) for kind in KINDS},
        "unchanged": {verdict: rate(innocent(entries, verdict)) for verdict in _ERRORS.values()},
        "power": {f"{injected:g}": rate(caught) for injected, caught in power(entries).items()},
    }
