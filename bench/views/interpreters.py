"""One run for each interpreter, side by side: what another CPython changes, and what it does not.

The control is native code that is compiled alike for all of them: by how much its time differs
between two runs, the machine differed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.saved import runs
from bench.saved.runs import BadRun, Metadata, Result, Run, interpreter_label, one_line
from bench.views import matrix, units

LOOP, CONTROL = "py-loop", "c-scalar"
# By how much the control may differ before a factor is called in question. Minima repeat within a
# few percent on a machine that is left alone.
_LIKE, _OTHER_MACHINE = 1.1, "!"
Pair = tuple[Result, Metadata]


@dataclass(frozen=True)
class Column:
    """What one interpreter measured of a kernel at one size; None: not measured."""

    loop: Pair | None
    fastest: Pair | None
    control: Pair | None


@dataclass(frozen=True)
class Row:
    """One kernel at one size, a column for each interpreter; the first is what others are held
    against."""

    kernel: str
    size: str
    columns: tuple[Column, ...]

    def times_as_fast(self, which: str) -> list[float | None]:
        """For each interpreter the first one's minimum over its own; `which` of a column's."""
        times = [getattr(column, which) for column in self.columns]
        first = times[0]
        return [first[0].minimum / t[0].minimum if first and t else None for t in times]

    @property
    def confirmed(self) -> list[bool]:
        """For each interpreter whether the loops that its factor is of both are."""
        loops = [column.loop for column in self.columns]
        confirmed = [loop is not None and loop[1].confirmed for loop in loops]
        return [confirmed[0] and own for own in confirmed]

    @property
    def alike(self) -> list[bool]:
        """For each interpreter whether its control says that the machine was the first one's."""
        controls = self.times_as_fast("control")
        return [c is not None and 1 / _LIKE <= c <= _LIKE for c in controls]


def load(path: Path) -> list[Run]:
    """The runs of a folder, or of a pattern such as results/interpreters/*.json, or one. Raises
    BadRun."""
    if path.is_dir():
        path = path / "*.json"
    found = [path] if path.is_file() else sorted(path.parent.glob(path.name))
    if not found:
        raise BadRun(f"{one_line(path)}: no saved run; make some with: make interpreters")
    return [runs.load(one) for one in found]


def of_each(saved: Sequence[Run]) -> list[Run]:
    """The newest run of each interpreter, the oldest version first. Builds of one version that
    differ are different interpreters. Raises BadRun for a run that has no place in the table."""
    newest: dict[tuple[str, str], Run] = {}
    for run in saved:
        if not any(metadata.side == "python" for _, metadata in run.ours):
            raise BadRun(f"{run.source}: holds no Python variant, which interpreters differ by")
        key = (interpreter_label(run), _build(run))
        known = newest.get(key)
        if known is None or _moment(known) <= _moment(run):
            newest[key] = run
    return sorted(newest.values(), key=lambda run: (_version(run), interpreter_label(run)))


def rows(each: Sequence[Run]) -> list[Row]:
    """In the order in which the runs met them."""
    tables = [{(row.kernel, row.size): row for row in matrix.rows(run)} for run in each]
    cases = dict.fromkeys(case for table in tables for case in table)
    return [Row(*case, tuple(_column(table.get(case)) for table in tables)) for case in cases]


def _column(row: matrix.Row | None) -> Column:
    if row is None:
        return Column(None, None, None)
    get = row.results.get
    return Column(get(LOOP), row.fastest("python"), get(CONTROL))


def sound(all_rows: Sequence[Row]) -> list[Row]:
    """Those in which no factor is called in question: what a mean may be taken of."""
    return [row for row in all_rows if all(row.confirmed) and all(row.alike)]


def means(sound_rows: Sequence[Row], which: str) -> list[float]:
    """For each interpreter the geometric mean of times_as_fast; none without rows."""
    factors = [[f for f in row.times_as_fast(which) if f is not None] for row in sound_rows]
    return [
        math.exp(sum(map(math.log, column)) / len(column)) for column in zip(*factors, strict=True)
    ]


def table(saved: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Header and cells, as text."""
    each = of_each(saved)
    names, all_rows = headings(each), rows(each)
    header = ["kernel", "size"]
    header += [f"{name} {what}" for name in names for what in ("loop", "fastest", "control")]
    header += [f"{name} x{what}" for name in names[1:] for what in ("", " control")]
    cells = [_cells(row) for row in all_rows]
    if len(each) > 1:
        of = sound(all_rows)
        both = zip(means(of, "loop")[1:], means(of, "control")[1:], strict=True)
        mean = [units.factor(f) for pair in both for f in pair] or [""] * 2 * (len(each) - 1)
        cells.append(["geometric mean", f"of {len(of)}", *[""] * (3 * len(each)), *mean])
    return header, cells


def headings(each: Sequence[Run]) -> list[str]:
    """3.12.1, 3.14.0t, 3.14.0 JIT; numbered where builds of one version differ."""
    labels = [interpreter_label(run).removeprefix("CPython ") for run in each]
    return [
        f"{label} #{labels[: number + 1].count(label)}" if labels.count(label) > 1 else label
        for number, label in enumerate(labels)
    ]


def _cells(row: Row) -> list[str]:
    cells = [row.kernel, row.size]
    for column in row.columns:
        cells += [matrix.time(pair) for pair in (column.loop, column.fastest, column.control)]
    return cells + _factors(row)


def _factors(row: Row) -> list[str]:
    """Of every interpreter but the first, which is 1.00x, with what calls them in question."""
    cells = []
    metadata = (row.times_as_fast("loop"), row.times_as_fast("control"), row.confirmed, row.alike)
    for factor, machine, confirmed, alike in list(zip(*metadata, strict=True))[1:]:
        before = "" if confirmed else matrix.UNCONFIRMED
        after = "" if alike else _OTHER_MACHINE
        cells.append(f"{before}{units.factor(factor)}{after}" if factor else "")
        cells.append(units.factor(machine) if machine else "")
    return cells


def notes(saved: Sequence[Run]) -> list[str]:
    """How to read the table, what the interpreters are, and what besides them differs."""
    each = of_each(saved)
    names = headings(each)
    lines = [
        "Times are minima. loop: py-loop; fastest: the faster Python variant; control: "
        f"{CONTROL}, native code that is compiled alike for each interpreter.",
    ]
    if len(each) > 1:
        lines += [
            f"x: how many times as fast as {names[0]} the loop is; x control: how many times as "
            "fast the control was, which is the machine and no interpreter. "
            f"{_OTHER_MACHINE} the control differed by more than {_LIKE - 1:.0%}, or is missing.",
            "The geometric mean is over the cases in which no factor is marked; their number "
            "stands beside it.",
        ]
    else:
        lines.append(f"Only {names[0]} was measured: there is nothing to hold it against.")
    if any(not metadata.confirmed for run in each for _, metadata in run.ours):
        lines.append(
            f"{matrix.UNCONFIRMED} not confirmed: a single call took too long to repeat, or the "
            "machine was never quiet for long enough; short calls, as of the control, may then "
            "have met a quiet moment all the same."
        )
    lines += [f"{name}: {_build(run)}" for name, run in zip(names, each, strict=True)]
    left_out = len(saved) - len(each)
    if left_out:
        lines.append(f"Of an interpreter with several runs the newest counts: {left_out} left out.")
    for name, run in zip(names[1:], each[1:], strict=True):
        lines += [f"warning: {name} and {names[0]}: {d}" for d in _differences(run, each[0])]
    return lines


def _differences(run: Run, first: Run) -> list[str]:
    """What besides the interpreter could make times differ."""
    of_interpreter = ("interpreter: ", "python_compiler: ")
    here, there = ({**r.machine, "tiers": _control(r)} for r in (run, first))
    lines = [
        line.replace(" before, ", " there, ").replace(" now", " here")
        for line in runs.machine_differences(here, there)
        if not line.startswith(of_interpreter)
    ]
    if (run.commit, run.dirty) != (first.commit, first.dirty):
        lines.append("measured at different commits")
    return lines


def _control(run: Run) -> dict[str, Any]:
    """How the control was built. Its key is left out: it holds the Python ABI, which may differ."""
    tiers = run.machine.get("tiers")
    info = tiers.get(CONTROL.removeprefix("c-")) if isinstance(tiers, dict) else None
    info = info if isinstance(info, dict) else {}
    return {"the control": [info.get("compiler"), info.get("flags")]}


def _build(run: Run) -> str:
    """ "CPython 3.12.1, GCC 12.2.0, --enable-optimizations"."""
    said = run.machine.get("interpreter")
    said = said if isinstance(said, dict) else {}
    options = said.get("configured")
    compiler = said.get("compiler") or run.machine.get("python_compiler")
    parts = [compiler, *(options if isinstance(options, list) else ())]
    return ", ".join([interpreter_label(run), *(one_line(p) for p in parts if p)])


def _moment(run: Run) -> float:
    return run.when.timestamp() if run.when else math.inf


def _version(run: Run) -> tuple[int, ...]:
    """3.9 comes before 3.10."""
    digits = "".join(c if c.isdecimal() else " " for c in interpreter_label(run))
    return tuple(int(part) for part in digits.split()[:3] if len(part) < 10)


def as_text(saved: Sequence[Run]) -> str:
    return matrix.text_table(*table(saved), notes(saved))


def as_markdown(saved: Sequence[Run]) -> str:
    return matrix.markdown_table(*table(saved), notes(saved))


def as_json(saved: Sequence[Run]) -> str:
    """The same figures as numbers, times in seconds, factors against the first interpreter."""
    each = of_each(saved)
    all_rows, names = rows(each), headings(each)
    of = sound(all_rows)

    def minimum(pair: Pair | None) -> float | None:
        return pair[0].minimum if pair else None

    def per_name(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(names, values, strict=True))

    return json.dumps(
        {
            "interpreters": per_name([run.machine.get("interpreter") for run in each]),
            "rows": [
                {
                    "kernel": row.kernel,
                    "size": row.size,
                    "loop_seconds": per_name([minimum(c.loop) for c in row.columns]),
                    "fastest_seconds": per_name([minimum(c.fastest) for c in row.columns]),
                    "control_seconds": per_name([minimum(c.control) for c in row.columns]),
                    "loop_times_as_fast": per_name(row.times_as_fast("loop")),
                    "control_times_as_fast": per_name(row.times_as_fast("control")),
                    "confirmed": per_name(row.confirmed),
                    "control_alike": per_name(row.alike),
                }
                for row in all_rows
            ],
            "geometric_mean": {
                "cases": len(of),
                "loop": per_name(means(of, "loop")) if of else None,
                "control": per_name(means(of, "control")) if of else None,
            },
            "warnings": [n.removeprefix("warning: ") for n in notes(saved) if "warning: " in n],
        },
        indent=2,
    )


FORMATS: dict[str, Callable[[Sequence[Run]], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}
