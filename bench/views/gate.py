"""What a gate found, for a terminal, for a pull request's summary, and as JSON.

The verdict comes first, in a sentence; then what is not a plain pass, what was not judged, and what
the verdict means and cannot show.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bench.saved.gates import (
    CONTROL,
    INCONCLUSIVE,
    INSTRUCTIONS,
    PASS,
    REGRESSED,
    SAVED,
    TIMING,
    UNCOMPARABLE,
    WHYS,
    Gate,
    Judged,
    as_json,
)
from bench.views import units
from bench.views.tables import Table, View

WIDTH = 110  # of a terminal
MANY_PASSES = 30  # from there on they are summed up
_NAMED = 3  # benchmarks in the headline


def view(gate: Gate, everything: bool = False) -> View:
    """Many plain passes are one line, unless `everything` is asked for. JSON is as it is saved."""
    rows, plain = _notable(gate), _passes(gate)
    if len(plain) <= MANY_PASSES or everything:
        rows, plain = rows + plain, []
    noted = sum(bool(j.note) for j in plain)
    with_notes = f", {noted} with a note" if noted else ""
    tables = [_table(gate, rows)] if rows else []
    if plain:
        summed_up = f"pass: {len(plain)} more, {_range(plain)}{with_notes} (--all lists them)"
        tables.append(replace(_table(gate, plain), folded=summed_up))
    notes = [
        *(f"{u.why}: {u.name}" + (f" ({u.note})" if u.note else "") for u in gate.unjudged),
        controls(gate),
        *([f"Note: {gate.note}."] if gate.note else []),
        meaning(gate),
        circumstances(gate),
    ]
    return View(tables, as_json(gate), notes, headline(gate), WIDTH)


def with_short_names(gate: Gate) -> Gate:
    """A test's file says little beside the test, and would take half of a terminal's line."""
    rows: tuple[Any, ...] = (*gate.judged, *gate.controls, *gate.unjudged)
    tests = {row.name.removeprefix(CONTROL) for row in rows}
    tails = Counter(test.partition("::")[2] for test in tests)

    def short(row: Any) -> Any:
        tail = row.name.partition("::")[2]
        if not tail or tails[tail] > 1:
            return row
        return replace(row, name=CONTROL + tail if row.name.startswith(CONTROL) else tail)

    return replace(
        gate,
        judged=tuple(map(short, gate.judged)),
        controls=tuple(map(short, gate.controls)),
        unjudged=tuple(map(short, gate.unjudged)),
    )


# --- In words ------------------------------------------------------------------------------------


def headline(gate: Gate) -> str:
    """The verdict in a sentence: "REGRESSED: 2 of 60 benchmarks take longer than main: ..."."""
    base, total = gate.base, _count(len(gate.judged))
    slower = _by_change(gate, REGRESSED)
    if gate.verdict == REGRESSED:
        return (
            f"REGRESSED: {len(slower)} of {total} {_needs_more(gate, len(slower))} than {base}: "
            f"{_named(slower)}"
        )
    if gate.verdict == PASS:
        more = "more instructions" if gate.kind == INSTRUCTIONS else "slowdown"
        return f"PASS: no {more} seen in {total} against {base}"
    reasons = []
    if gate.moved_controls:
        reasons.append(f"what cannot have changed did: {_named(gate.moved_controls)}")
    if slower:
        seem = "seems to" if len(slower) == 1 else "seem to"
        reasons.append(
            f"{len(slower)} of {total} {seem} {_needs_more(gate, 2)} than {base}: {_named(slower)}"
        )
    unclear = _by_change(gate, INCONCLUSIVE)
    if unclear:
        reasons.append(f"{len(unclear)} of {total} not clear: {_named(unclear)}")
    apart = sum(u.why == UNCOMPARABLE for u in gate.unjudged)
    if apart:
        reasons.append(f"{_count(apart)} not comparable with {base}")
    if not gate.judged:
        reasons.append(f"no benchmark was compared with {base}")
    return f"INCONCLUSIVE: {'; '.join(reasons)}"


def meaning(gate: Gate) -> str:
    """What the verdict says, and what was not seen."""
    says = {
        PASS: "A pass says that nothing grew by as much as could be seen, not that nothing grew.",
        REGRESSED: "A regression is growth beyond what counts and beyond what chance explains.",
        INCONCLUSIVE: "Inconclusive is not a pass: nothing was shown, one way or the other.",
    }
    lines = [says[gate.verdict]]
    unclear = sum(j.verdict == INCONCLUSIVE for j in gate.judged)
    if unclear and gate.verdict == REGRESSED:
        lines.append(f"Not clear, and so no pass: {_count(unclear)}.")
    if gate.kind == SAVED and gate.verdict != PASS:
        lines.append("The sides are of different moments; a gate run --base REF decides.")
    known = [m for j in gate.judged if (m := j.minimum_detectable_slowdown) is not None]
    if known:
        least, most = (units.change(edge).lstrip("+") for edge in (min(known), max(known)))
        span = least if least == most else f"{least} to {most}, by benchmark"
        lines.append(f"Growth below the minimum detectable slowdown ({span}) goes unseen.")
    if len(known) < len(gate.judged):
        unknown = len(gate.judged) - len(known)
        lines.append(f"How little would have been seen is not known for {_count(unknown)}.")
    if gate.kind == INSTRUCTIONS:
        lines.append("Counts see neither latency, nor caches, nor how wide an instruction is.")
    better = sum(j.improved for j in gate.judged)
    if better:
        lines.append(f"Improved: {_count(better)}.")
    whys = Counter(u.why for u in gate.unjudged)
    if whys:
        counts = ", ".join(f"{whys[why]} {why}" for why in WHYS if why in whys)
        lines.append(f"Not judged: {counts}.")
    return " ".join(lines)


def controls(gate: Gate) -> str:
    """What those benchmarks did that the change cannot touch."""
    if not gate.controls:
        blind = "" if gate.kind == INSTRUCTIONS else ": nothing shows whether the machine changed"
        return f"Controls: none{blind}."
    if gate.moved_controls:
        return f"Controls: moved: {_named(gate.moved_controls)}, of {len(gate.controls)}."
    return f"Controls: none of {len(gate.controls)} moved ({_range(gate.controls)})."


def circumstances(gate: Gate) -> str:
    """What it took, with which seed, where: what one needs to repeat it."""
    cpu = gate.machine.get("cpu")
    name = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    parts = [
        f"head: {gate.head}",
        f"least change that counts: {units.change(gate.threshold).lstrip('+')}",
        f"took {units.seconds(gate.seconds)}" if gate.seconds else "",
        f"seed {gate.seed}" if gate.seed is not None else "",
        str(name or ""),
    ]
    return ", ".join(part for part in parts if part) + "."


def _count(number: int) -> str:
    return f"{number} benchmark" + ("" if number == 1 else "s")


def _needs_more(gate: Gate, number: int) -> str:
    if gate.kind == INSTRUCTIONS:
        return ("executes" if number == 1 else "execute") + " more instructions"
    return ("takes" if number == 1 else "take") + " longer"


def _named(judged: Sequence[Judged]) -> str:
    shown = [f"{j.name} {units.change(j.change)}" for j in judged[:_NAMED]]
    more = len(judged) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _range(judged: Sequence[Judged]) -> str:
    changes = [j.change for j in judged]
    return f"{units.change(min(changes))} to {units.change(max(changes))}"


# --- As rows -------------------------------------------------------------------------------------


def _by_change(gate: Gate, verdict: str) -> list[Judged]:
    """The largest first."""
    found = [j for j in gate.judged if j.verdict == verdict]
    return sorted(found, key=lambda j: -j.change)


def _notable(gate: Gate) -> list[Judged]:
    """What is not a plain pass: regressed, inconclusive, improved."""
    improved = [j for j in gate.judged if j.verdict == PASS and j.improved]
    return [
        *_by_change(gate, REGRESSED),
        *_by_change(gate, INCONCLUSIVE),
        *sorted(improved, key=lambda j: j.change),
    ]


def _passes(gate: Gate) -> list[Judged]:
    """Plain passes, in the order in which they were judged."""
    return [j for j in gate.judged if j.verdict == PASS and not j.improved]


def _table(gate: Gate, rows: Sequence[Judged]) -> Table:
    """Without intervals where the kind has none, and without the notes if there are none."""
    columns: dict[str, Callable[[Judged], str]] = {
        "benchmark": lambda j: j.name,
        "base": lambda j: _base(gate, j),
        "change": lambda j: units.change(j.change),
        "interval": _interval,
        "min. detectable": _detectable,
        "verdict": lambda j: "improved" if j.improved and j.verdict == PASS else j.verdict,
        "note": lambda j: j.note,
    }
    if gate.kind != TIMING and all(j.low is None and j.high is None for j in rows):
        del columns["interval"]
    if not any(j.note for j in rows):
        del columns["note"]
    cells = [[cell(j) for cell in columns.values()] for j in rows]
    return Table(list(columns), cells, words=1, sentences=("verdict", "note"))


def _base(gate: Gate, judged: Judged) -> str:
    counts = gate.kind == INSTRUCTIONS
    return f"{judged.base:,.0f}" if counts else units.seconds(judged.base)


def _interval(judged: Judged) -> str:
    if judged.low is None or judged.high is None:
        return ""
    return f"{units.change(judged.low)} to {units.change(judged.high)}"


def _detectable(judged: Judged) -> str:
    least = judged.minimum_detectable_slowdown
    return "" if least is None else units.change(least).lstrip("+")
