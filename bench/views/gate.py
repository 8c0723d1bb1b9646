"""What a gate found, for a terminal, for a pull request's summary, and as JSON.

The verdict comes first, in a sentence; then what is not a plain pass, what was not judged, and what
the verdict means and cannot show.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

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
from bench.saved.runs import one_line
from bench.views import units
from bench.views.units import escaped

WIDTH = 110  # of a terminal
MANY_PASSES = 30  # in a terminal they are summed up from there on
_NAMED = 3  # benchmarks in the headline

Name = Callable[[str], str]  # how a benchmark's name, or a side's, is written


# --- In words ------------------------------------------------------------------------------------


def headline(gate: Gate, name: Name = one_line) -> str:
    """The verdict in a sentence: "REGRESSED: 2 of 60 benchmarks take longer than main: ..."."""
    base, total = name(gate.base), _count(len(gate.judged))
    slower = _by_change(gate, REGRESSED)
    moved = gate.moved_controls
    if gate.verdict == REGRESSED:
        return (
            f"REGRESSED: {len(slower)} of {total} {_needs_more(gate, len(slower))} than {base}: "
            f"{_named(slower, name)}"
        )
    if gate.verdict == PASS:
        more = "more instructions" if gate.kind == INSTRUCTIONS else "slowdown"
        return f"PASS: no {more} seen in {total} against {base}"
    reasons = []
    if moved:
        reasons.append(f"what cannot have changed did: {_named(moved, name)}")
    if slower:
        seem = "seems to" if len(slower) == 1 else "seem to"
        reasons.append(
            f"{len(slower)} of {total} {seem} {_needs_more(gate, 2)} than {base}: "
            f"{_named(slower, name)}"
        )
    unclear = _by_change(gate, INCONCLUSIVE)
    if unclear:
        reasons.append(f"{len(unclear)} of {total} not clear: {_named(unclear, name)}")
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


def controls(gate: Gate, name: Name = one_line) -> str:
    """What those benchmarks did that the change cannot touch."""
    if not gate.controls:
        blind = "" if gate.kind == INSTRUCTIONS else ": nothing shows whether the machine changed"
        return f"Controls: none{blind}."
    if gate.moved_controls:
        return f"Controls: moved: {_named(gate.moved_controls, name)}, of {len(gate.controls)}."
    return f"Controls: none of {len(gate.controls)} moved ({_range(gate.controls)})."


def circumstances(gate: Gate) -> str:
    """What it took, with which seed, where: what one needs to repeat it."""
    cpu = gate.machine.get("cpu")
    name = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    parts = [
        f"head: {one_line(gate.head)}",
        f"least change that counts: {units.change(gate.threshold).lstrip('+')}",
        f"took {units.seconds(gate.seconds)}" if gate.seconds else "",
        f"seed {gate.seed}" if gate.seed is not None else "",
        one_line(name) if name else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def _count(number: int) -> str:
    return f"{number} benchmark" + ("" if number == 1 else "s")


def _needs_more(gate: Gate, number: int) -> str:
    if gate.kind == INSTRUCTIONS:
        return ("executes" if number == 1 else "execute") + " more instructions"
    return ("takes" if number == 1 else "take") + " longer"


def _named(judged: Sequence[Judged], name: Name) -> str:
    shown = [f"{name(j.name)} {units.change(j.change)}" for j in judged[:_NAMED]]
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


def notable(gate: Gate) -> list[Judged]:
    """What is not a plain pass: regressed, inconclusive, improved."""
    improved = [j for j in gate.judged if j.verdict == PASS and j.improved]
    return [
        *_by_change(gate, REGRESSED),
        *_by_change(gate, INCONCLUSIVE),
        *sorted(improved, key=lambda j: j.change),
    ]


def passes(gate: Gate) -> list[Judged]:
    """Plain passes, in the order in which they were judged."""
    return [j for j in gate.judged if j.verdict == PASS and not j.improved]


def table(gate: Gate, rows: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Header and cells, as text; the first column is the name, the last one the note. Without
    intervals where the kind has none, and without the notes if there are none."""
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
    return list(columns), [[cell(j) for cell in columns.values()] for j in rows]


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


# --- The three formats ---------------------------------------------------------------------------


def as_text(gate: Gate, everything: bool = False) -> str:
    """For a terminal. Many plain passes are one line, unless `everything` is asked for."""
    name = _short_names(gate)
    rows, plain = notable(gate), passes(gate)
    summed_up = len(plain) > MANY_PASSES and not everything
    if not summed_up:
        rows, plain = rows + plain, []
    noted = sum(bool(j.note) for j in plain)
    with_notes = f", {noted} with a note" if noted else ""
    lines = [
        f"pass: {len(plain)} more, {_range(plain)}{with_notes} (--all lists them)" if plain else "",
        *(_line(u.why, name(u.name), one_line(u.note)) for u in gate.unjudged),
        controls(gate, name),
        f"Note: {one_line(gate.note)}." if gate.note else "",
        meaning(gate),
        circumstances(gate),
    ]
    above, below = _wrapped([headline(gate, name)]), _wrapped(lines)
    return "\n".join([*above, *(_drawn(*table(gate, rows), name) if rows else ()), *below])


def _line(why: str, name: str, note: str) -> str:
    return f"{why}: {name}" + (f" ({note})" if note else "")


def _short_names(gate: Gate) -> Name:
    """A test's file says little beside the test, and would take half of the table."""
    names = {j.name for j in (*gate.judged, *gate.controls)} | {u.name for u in gate.unjudged}
    tests = {name.removeprefix(CONTROL) for name in names}
    tails = Counter(name.partition("::")[2] for name in tests)

    def short(name: str) -> str:
        tail = name.partition("::")[2]
        if not tail or tails[tail] > 1:
            return one_line(name)
        return one_line(CONTROL + tail if name.startswith(CONTROL) else tail)

    return short


def _wrapped(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]


def _drawn(header: list[str], cells: list[list[str]], name: Name) -> list[str]:
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for heading in header:
        words = heading in ("benchmark", "note")
        left = words or heading == "verdict"
        drawn.add_column(
            heading, justify="left" if left else "right", no_wrap=not words, overflow="fold"
        )
    for first, *others in cells:
        drawn.add_row(Text(name(first)), *(Text(one_line(cell)) for cell in others))
    out = StringIO()
    Console(file=out, width=WIDTH, color_system=None, legacy_windows=False).print(drawn)
    # The rule in ASCII: a terminal that cannot show the line character would show none of it.
    lines = [line.rstrip().replace("\u2500", "-") for line in out.getvalue().splitlines()]
    return [line for line in lines if line]


def as_markdown(gate: Gate, everything: bool = False) -> str:
    """For a pull request's summary; plain passes are folded, unless `everything` is asked for."""
    rows, plain = notable(gate), passes(gate)
    parts = [f"### {headline(gate, _code)}", meaning(gate)]
    if rows:
        parts.append(_markdown_table(*table(gate, rows)))
    if plain:
        opened = " open" if everything else ""
        summary = f"{_count(len(plain))} passed, {_range(plain)}"
        parts.append(f"<details{opened}><summary>{summary}</summary>")
        parts += [_markdown_table(*table(gate, plain)), "</details>"]
    if gate.unjudged:
        listed = (_line(u.why, _code(u.name), escaped(u.note)) for u in gate.unjudged)
        parts.append("\n".join(f"- {line}" for line in listed))
    parts.append(controls(gate, _code))
    if gate.note:
        parts.append(f"Note: {escaped(gate.note)}.")
    parts.append(escaped(circumstances(gate)))
    return "\n\n".join(parts)


def _markdown_table(header: list[str], cells: list[list[str]]) -> str:
    rules = ["---" if name in ("benchmark", "verdict", "note") else "---:" for name in header]
    rows = [[_code(first), *map(escaped, others)] for first, *others in cells]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rules, *rows])


def _code(name: str) -> str:
    """A name as code: nothing in it is markup, mentions anybody, or ends a table's cell."""
    name = one_line(name)
    if any(character in name for character in "`|\\") or name != name.strip():
        # What ends a code span or a cell cannot stand in one; as numbers it can. Bare addresses
        # are links in HTML's code: see units.escaped.
        shown = "".join(c if c.isalnum() or c in " /-" else f"&#{ord(c)};" for c in name)
        return f"<code>{shown.replace('&#64;', '&#64;&#8203;')}</code>"
    return f"`{name}`"


def as_json_text(gate: Gate, everything: bool = False) -> str:
    """As it is saved: always everything."""
    return json.dumps(as_json(gate), indent=2, allow_nan=False)


# The second argument: whether plain passes are listed even where there are many of them.
FORMATS: dict[str, Callable[[Gate, bool], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json_text,
}
