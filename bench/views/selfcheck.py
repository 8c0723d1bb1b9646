"""What the ledger of self-checks says of the gate: how often it errs, and what it catches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from bench import gate_ledger
from bench.gate_ledger import KINDS, Entry, Rate
from bench.gate_runs import INCONCLUSIVE, REGRESSED


def as_text(entries: Sequence[Entry]) -> str:
    """For a terminal; of the gates of one machine and one design."""
    lines = [f"{len(entries)} gates on {entries[0].cpu}", f"({entries[0].design})", ""]
    for kind in KINDS:
        rate = gate_ledger.false_alarms(entries, kind)
        if rate.total:
            lines.append(f"false alarms, {kind}: {_said(rate, 'gates')}")
    innocent = gate_ledger.innocent(entries)
    unsure = sum(o.verdict == INCONCLUSIVE for e in entries for o in e.outcomes if not o.planted)
    lines.append(f"benchmarks blamed for nothing: {_said(innocent, 'verdicts')}")
    lines.append(f"inconclusive where nothing changed: {unsure} of {innocent.total}")
    power = gate_ledger.power(entries)
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
    return "\n".join(lines)


def _said(rate: Rate, what: str) -> str:
    """0 of 60 gates, so at most 4.9 % (95 % confidence)."""
    return (
        f"{rate.count} of {rate.total} {what}, so at most "
        f"{100 * rate.bounds.high:.1f} % (95 % confidence)"
    )


def _missed(entries: Sequence[Entry]) -> list[str]:
    """The benchmarks whose slowdowns above the smallest were missed, the worst first."""
    missed = Counter(
        (o.name, o.planted)
        for e in entries
        for o in e.outcomes
        if o.planted > 0.01 and o.verdict != REGRESSED
    )
    if not missed:
        return ["no slowdown above 1 % was missed"]
    return ["", "missed:"] + [
        f"  {name}, {100 * planted:g} %: {count} of {_times(entries, name, planted)}"
        for (name, planted), count in missed.most_common(20)
    ]


def _times(entries: Sequence[Entry], name: str, planted: float) -> int:
    return sum((o.name, o.planted) == (name, planted) for e in entries for o in e.outcomes)


def as_json(entries: Sequence[Entry]) -> str:
    """The same figures for programs."""

    def rate(value: Rate) -> dict[str, float]:
        bounds = value.bounds
        return {"count": value.count, "of": value.total, "low": bounds.low, "high": bounds.high}

    content = {
        "cpu": entries[0].cpu,
        "design": entries[0].design,
        "gates": len(entries),
        "false_alarms": {k: rate(gate_ledger.false_alarms(entries, k)) for k in KINDS},
        "innocent_blamed": rate(gate_ledger.innocent(entries)),
        "power": {f"{p:g}": rate(r) for p, r in gate_ledger.power(entries).items()},
    }
    return json.dumps(content, indent=1)


FORMATS = {"text": as_text, "json": as_json}
