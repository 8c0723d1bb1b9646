"""One run for each interpreter, side by side; analysis/interpreters.py says what that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis.interpreters import (
    ALIKE,
    CONTROL,
    Row,
    build,
    differences,
    means,
    of_each,
    rows,
    sound,
)
from bench.analysis.rows import Pair
from bench.saved.runs import Run, interpreter_label
from bench.views import matrix, units
from bench.views.tables import Table, View

_OTHER_MACHINE = "!"


def view(saved: Sequence[Run]) -> View:
    """Factors are against the first interpreter."""
    each = of_each(saved)
    names, all_rows = headings(each), rows(each)
    warnings = [
        f"{name} and {names[0]}: {difference}"
        for name, run in zip(names[1:], each[1:], strict=True)
        for difference in differences(run, each[0])
    ]
    notes = _notes(each, names)
    if len(saved) > len(each):
        left_out = len(saved) - len(each)
        notes.append(f"Of an interpreter with several runs the newest counts: {left_out} left out.")
    notes += [f"warning: {warning}" for warning in warnings]
    content = {**_as_object(each, names, all_rows), "warnings": warnings}
    return View([_table(names, all_rows, notes)], content)


def _table(names: Sequence[str], all_rows: Sequence[Row], notes: Sequence[str]) -> Table:
    header = ["kernel", "size"]
    header += [f"{name} {what}" for name in names for what in ("loop", "fastest", "control")]
    header += [f"{name} x{what}" for name in names[1:] for what in ("", " control")]
    cells = [_cells(row) for row in all_rows]
    if len(names) > 1:
        of = sound(all_rows)
        both = zip(means(of, "loop")[1:], means(of, "control")[1:], strict=True)
        mean = [units.factor(f) for pair in both for f in pair] or [""] * 2 * (len(names) - 1)
        cells.append(["geometric mean", f"of {len(of)}", *[""] * (3 * len(names)), *mean])
    return Table(header, cells, notes)


def headings(each: Sequence[Run]) -> list[str]:
    """3.12.1, 3.14.0t, 3.14.0 JIT; numbered where builds of one version differ."""
    labels = [interpreter_label(run).removeprefix("CPython ") for run in each]
    return [
        f"{label} #{labels[: number + 1].count(label)}" if labels.count(label) > 1 else label
        for number, label in enumerate(labels)
    ]


def _cells(row: Row) -> list[str]:
    cells = [row.kernel, row.size]
    for pairs in zip(row.loop, row.fastest, row.control, strict=True):
        cells += map(matrix.time, pairs)
    return cells + _factors(row)


def _factors(row: Row) -> list[str]:
    """Of every interpreter but the first, which is 1.00x, with what calls them in question."""
    cells = []
    columns = (row.times_as_fast("loop"), row.times_as_fast("control"), row.confirmed, row.alike)
    for factor, machine, confirmed, alike in list(zip(*columns, strict=True))[1:]:
        shown = units.marked(units.factor(factor), confirmed) if factor else ""
        cells.append(shown + _OTHER_MACHINE if shown and not alike else shown)
        cells.append(units.factor(machine) if machine else "")
    return cells


def _notes(each: Sequence[Run], names: Sequence[str]) -> list[str]:
    """How to read the table, and what the interpreters are."""
    lines = [
        "Times are minima. loop: py-loop; fastest: the faster Python variant; control: "
        f"{CONTROL}, native code that is compiled alike for each interpreter.",
    ]
    if len(each) > 1:
        lines += [
            f"x: how many times as fast as {names[0]} the loop is; x control: how many times as "
            "fast the control was, which is the machine and no interpreter. "
            f"{_OTHER_MACHINE} the control differed by more than {ALIKE - 1:.0%}, or is missing.",
            "The geometric mean is over the cases in which no factor is marked; their number "
            "stands beside it.",
        ]
    else:
        lines.append(f"Only {names[0]} was measured: there is nothing to hold it against.")
    if any(not metadata.confirmed for run in each for _, metadata in run.ours):
        lines.append(
            f"{units.NOT_CONFIRMED}; short calls, as of the control, may then have met a quiet "
            "moment all the same."
        )
    return lines + [f"{name}: {build(run)}" for name, run in zip(names, each, strict=True)]


def _as_object(
    each: Sequence[Run], names: Sequence[str], all_rows: Sequence[Row]
) -> dict[str, object]:
    """Times in seconds."""
    of = sound(all_rows)

    def minimum(pair: Pair | None) -> float | None:
        return pair[0].minimum if pair else None

    def per_name(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(names, values, strict=True))

    return {
        "interpreters": per_name([run.machine.get("interpreter") for run in each]),
        "rows": [
            {
                "kernel": row.kernel,
                "size": row.size,
                "loop_seconds": per_name(list(map(minimum, row.loop))),
                "fastest_seconds": per_name(list(map(minimum, row.fastest))),
                "control_seconds": per_name(list(map(minimum, row.control))),
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
    }
