"""What the ledger of self-checks says of the gate: how often it errs, and what it catches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import median

from bench.analysis.ledger import Rate, false_alarms, innocent, power
from bench.saved.gates import IMPROVED, INCONCLUSIVE, REGRESSED
from bench.saved.ledger import KINDS, SLOWED, Entry
from bench.saved.runs import one_line
from bench.views.units import escaped

_LEAST = 0.01  # an injected slowdown of the threshold is found half of the time
_MOST_LINES = 20
# What may be said of a benchmark that did not change, other than that it passes.
_ERRORS = {"called slower": REGRESSED, "called faster": IMPROVED, "inconclusive": INCONCLUSIVE}


def _errors(entries: Sequence[Entry]) -> dict[str, Rate]:
    """How often the gate was wrong, by what it was wrong about."""
    rates = {f"gates with an alarm, {kind}": false_alarms(entries, kind) for kind in KINDS}
    for what, verdict in _ERRORS.items():
        rates[f"unchanged benchmarks {what}"] = innocent(entries, verdict)
    return {what: rate for what, rate in rates.items() if rate.total}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def as_text(entries: Sequence[Entry]) -> str:
    """For a terminal; of the gates of one machine and one design."""
    lines = [f"{len(entries)} gates on {entries[0].cpu}", f"({entries[0].design})", ""]
    for what, rate in _errors(entries).items():
        high = _percent(rate.bounds.high)
        lines.append(f"{what}: {rate.count} of {rate.total}, so at most {high} (95 % confidence)")
    if caught := power(entries):
        lines += ["", "injected slowdown  caught          of all, with 95 % confidence"]
        for injected, rate in caught.items():
            share = _percent(rate.count / rate.total)
            lines.append(
                f"{100 * injected:14g} %   {rate.count:>4} of {rate.total:<5}  {share:>7}   "
                f"{100 * rate.bounds.low:.1f} to {_percent(rate.bounds.high)}"
            )
        lines += _missed(entries)
    benchmarks = sum(len(e.outcomes) for e in entries) / len(entries)
    seconds = sum(e.seconds for e in entries) / len(entries)
    lines += ["", f"{benchmarks:.0f} benchmarks and {seconds:.0f} s a gate"]
    return "\n".join(map(one_line, lines))


def _missed(entries: Sequence[Entry]) -> list[str]:
    """The benchmarks whose slowdowns above the smallest were missed, and what was measured."""
    missed = [
        f"  {o.name}, {100 * o.injected:g} %: measured {100 * o.change:+.2f} %, {o.verdict}"
        for e in entries
        for o in e.outcomes
        if o.injected > _LEAST and o.verdict != REGRESSED
    ]
    if not missed:
        return [f"no slowdown above {100 * _LEAST:g} % was missed"]
    return ["", "missed:", *missed[:_MOST_LINES], *(["  ..."] if len(missed) > _MOST_LINES else [])]


def as_markdown(entries: Sequence[Entry]) -> str:
    """For a document."""
    first = entries[0]
    lines = [f"{len(entries)} gates on {escaped(first.cpu)} ({escaped(first.design)}):", ""]
    lines += ["| | wrong | so at most (95 % confidence) |", "| --- | ---: | ---: |"]
    for what, rate in _errors(entries).items():
        lines.append(f"| {what} | {rate.count} of {rate.total} | {_percent(rate.bounds.high)} |")
    lines += ["", "| injected | found | measured, median | found at least (95 % confidence) |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    for injected, rate in power(entries).items():
        measured = median(o.change for e in entries for o in e.outcomes if o.injected == injected)
        lines.append(
            f"| {100 * injected:g} % | {rate.count} of {rate.total} | {100 * measured:+.2f} % "
            f"| {_percent(rate.bounds.low)} |"
        )
    benchmarks = sum(len(e.outcomes) for e in entries) / len(entries)
    unchanged = [e.seconds for e in entries if e.kind != SLOWED] or [0.0]
    lines += [
        "",
        f"{benchmarks:.0f} benchmarks a gate; without slowdowns a gate took "
        f"{median(unchanged):.0f} s (median), {min(unchanged):.0f} to {max(unchanged):.0f}.",
    ]
    return "\n".join(lines)


def as_json(entries: Sequence[Entry]) -> str:
    """The same figures for programs."""

    def rate(value: Rate) -> dict[str, float]:
        bounds = value.bounds
        return {"count": value.count, "of": value.total, "low": bounds.low, "high": bounds.high}

    content = {
        "cpu": entries[0].cpu,
        "design": entries[0].design,
        "gates": len(entries),
        "false_alarms": {kind: rate(false_alarms(entries, kind)) for kind in KINDS},
        "unchanged": {verdict: rate(innocent(entries, verdict)) for verdict in _ERRORS.values()},
        "power": {f"{injected:g}": rate(caught) for injected, caught in power(entries).items()},
    }
    return json.dumps(content, indent=1)


FORMATS = {"text": as_text, "md": as_markdown, "json": as_json}
