"""What the ledger of self-checks says of the gate: how often it errs, and what it catches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import median

from bench.saved import ledger
from bench.saved.gates import IMPROVED, INCONCLUSIVE, REGRESSED
from bench.saved.ledger import KINDS, PLANTED, Entry, Rate
from bench.saved.runs import one_line
from bench.views.units import escaped

_LEAST = 0.01  # a planted slowdown of the threshold is found half of the time
_MOST_LINES = 20
# What may be said of a benchmark that did not change, other than that it passes.
_ERRORS = {"called slower": REGRESSED, "called faster": IMPROVED, "inconclusive": INCONCLUSIVE}


def as_text(entries: Sequence[Entry]) -> str:
    """For a terminal; of the gates of one machine and one design."""
    lines = [f"{len(entries)} gates on {entries[0].cpu}", f"({entries[0].design})", ""]
    for kind in KINDS:
        rate = ledger.false_alarms(entries, kind)
        if rate.total:
            lines.append(f"false alarms, {kind}: {_said(rate, 'gates')}")
    for what, verdict in _ERRORS.items():
        rate = ledger.innocent(entries, verdict)
        if rate.total:
            lines.append(f"{what} where nothing changed: {_said(rate, 'verdicts')}")
    power = ledger.power(entries)
    if power:
        lines += ["", "planted slowdown   caught          of all, with 95 % confidence"]
        for planted, rate in power.items():
            share, low, high = (
                100 * v for v in (rate.count / rate.total, rate.bounds.low, rate.bounds.high)
            )
            caught = f"{rate.count:>4} of {rate.total:<5}  {share:5.1f} %"
            lines.append(f"{100 * planted:14g} %   {caught}   {low:.1f} to {high:.1f} %")
        lines += _missed(entries)
    benchmarks = sum(len(e.outcomes) for e in entries) / len(entries)
    seconds = sum(e.seconds for e in entries) / len(entries)
    lines += ["", f"{benchmarks:.0f} benchmarks and {seconds:.0f} s a gate"]
    return "\n".join(map(one_line, lines))


def _said(rate: Rate, what: str) -> str:
    """0 of 60 gates, so at most 4.9 % (95 % confidence)."""
    return (
        f"{rate.count} of {rate.total} {what}, so at most "
        f"{100 * rate.bounds.high:.1f} % (95 % confidence)"
    )


def _missed(entries: Sequence[Entry]) -> list[str]:
    """The benchmarks whose slowdowns above the smallest were missed, and what was measured."""
    missed = [
        f"  {o.name}, {100 * o.planted:g} %: measured {100 * o.change:+.2f} %, {o.verdict}"
        for e in entries
        for o in e.outcomes
        if o.planted > _LEAST and o.verdict != REGRESSED
    ]
    if not missed:
        return [f"no slowdown above {100 * _LEAST:g} % was missed"]
    return ["", "missed:", *missed[:_MOST_LINES], *(["  ..."] if len(missed) > _MOST_LINES else [])]


def as_markdown(entries: Sequence[Entry]) -> str:
    """For a document."""
    first = entries[0]
    lines = [f"{len(entries)} gates on {escaped(first.cpu)} ({escaped(first.design)}):", ""]
    lines += ["| | wrong | so at most (95 % confidence) |", "| --- | ---: | ---: |"]
    rates = {f"gates with an alarm, {kind}": ledger.false_alarms(entries, kind) for kind in KINDS}
    for what, verdict in _ERRORS.items():
        rates[f"unchanged benchmarks {what}"] = ledger.innocent(entries, verdict)
    for what, rate in rates.items():
        if rate.total:
            high = f"{100 * rate.bounds.high:.1f} %"
            lines.append(f"| {what} | {rate.count} of {rate.total} | {high} |")
    lines += ["", "| planted | found | measured, median | found at least (95 % confidence) |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    for planted, rate in ledger.power(entries).items():
        measured = median(o.change for e in entries for o in e.outcomes if o.planted == planted)
        lines.append(
            f"| {100 * planted:g} % | {rate.count} of {rate.total} | {100 * measured:+.2f} % "
            f"| {100 * rate.bounds.low:.1f} % |"
        )
    benchmarks = sum(len(e.outcomes) for e in entries) / len(entries)
    unchanged = [e.seconds for e in entries if e.kind != PLANTED] or [0.0]
    lines += ["", f"{benchmarks:.0f} benchmarks a gate; without slowdowns a gate took"]
    lines[-1] += (
        f" {median(unchanged):.0f} s (median), {min(unchanged):.0f} to {max(unchanged):.0f}."
    )
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
        "false_alarms": {k: rate(ledger.false_alarms(entries, k)) for k in KINDS},
        "unchanged": {
            verdict: rate(ledger.innocent(entries, verdict)) for verdict in _ERRORS.values()
        },
        "power": {f"{p:g}": rate(r) for p, r in ledger.power(entries).items()},
    }
    return json.dumps(content, indent=1)


FORMATS = {"text": as_text, "md": as_markdown, "json": as_json}
