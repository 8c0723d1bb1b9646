"""What a call into native code costs, and from which size on it is faster than the fastest Python.
analysis/break_even.py says how the latter is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bench.analysis.break_even import CALL_PATHS, NEAR, TIERS, BreakEven, break_evens
from bench.saved.overhead import CallOverhead, call_overheads
from bench.saved.runs import BadRun, Run
from bench.views import units
from bench.views.tables import Table, View

_CALL_NOTES = (
    "Times are minima of a call, the loop around it included: that of a Python function which "
    "does nothing is what the others are to be compared with. cffi API: a compiled module; "
    "cffi ABI and ctypes: the same library, opened at run time.",
    "per element: of lists, which are copied; a buffer is only looked at.",
)


def view(run: Run) -> View:
    """Both tables, or the one that the run has something for. Raises BadRun for neither."""
    rows, found = call_overheads(run), break_evens(run)
    if not rows and not found:
        raise BadRun(
            f"{run.source}: has no call overhead, and no kernel in Python and C++ at the same size"
        )
    tables = ([_calls_table(rows)] if rows else []) + ([_break_even_table(found)] if found else [])
    content = {
        "call_overhead": [
            {**asdict(row), "seconds_per_element": row.seconds_per_element} for row in rows
        ],
        "break_even": [asdict(one) for one in found],
    }
    return View(tables, content)


def calls(run: Run) -> View:
    """Raises BadRun where there is none."""
    rows = call_overheads(run)
    if not rows:
        raise BadRun(f"{run.source}: has no call overhead; test_bench_boundary.py measures it")
    return View([_calls_table(rows)])


def break_even(run: Run) -> View:
    """Raises BadRun where there is none."""
    found = break_evens(run)
    if not found:
        raise BadRun(f"{run.source}: holds no kernel in Python and C++ at the same size")
    return View([_break_even_table(found)])


def _calls_table(rows: Sequence[CallOverhead]) -> Table:
    header = ["call", "by", "elements", "time", "per element", "instructions"]
    return Table(header, list(map(_cells, rows)), _CALL_NOTES).without_empty("instructions")


def _cells(row: CallOverhead) -> list[str]:
    each = row.seconds_per_element
    return [
        row.name,
        row.binding,
        f"{row.elements:,} {row.element or ''}".strip() if row.elements else "",
        units.marked(units.seconds(row.minimum), row.confirmed),
        units.seconds(each) if each is not None else "",
        "" if row.instructions is None else f"{row.instructions:,.0f}",
    ]


def _break_even_table(found: Sequence[BreakEven]) -> Table:
    """A row for each kernel, a column for each call path and tier."""
    columns = {
        f"{tier} {label}": f"c-{tier}{path}" for path, label in CALL_PATHS.items() for tier in TIERS
    }
    kernels = dict.fromkeys((one.kernel, one.counts) for one in found)
    by_cell = {(one.kernel, one.variant): shown(one) for one in found}
    cells = [
        [kernel, counts, *(by_cell.get((kernel, variant), "") for variant in columns.values())]
        for kernel, counts in kernels
    ]
    table = Table(["kernel", "size in", *columns], cells, _break_even_notes(found))
    return table.without_empty(*columns)


def shown(one: BreakEven) -> str:
    """ "12 (10-14)", "always", "at most 100", "never up to 512"."""
    if one.size is None:
        text = f"never up to {one.largest}"
    elif one.size == one.smallest:
        text = "always" if one.smallest == 1 else f"at most {one.smallest}"
    else:
        text = str(one.size)
    if one.near_from == one.near_to:
        return text
    ends = f"{one.near_from}-{one.near_to or f'{one.largest}+'}"
    return f"{text} ({ends})"


def _break_even_notes(found: Sequence[BreakEven]) -> list[str]:
    lines = [
        "The smallest size from which on the native kernel is always faster than the fastest "
        "Python variant, by linear interpolation between the sizes of the run. In brackets the "
        f"sizes at which the two are about equal: native times {100 * NEAR:.0f} % shorter or "
        "longer would move it there. at most N: faster at N already, the smallest size that was "
        "measured.",
        "pointers: to buffers, made beforehand; checked: the methods of kernels_c, which check the "
        "buffers; lists: copied to buffers and back in every call.",
    ]
    if not any(one.variant.endswith(tuple(filter(None, CALL_PATHS))) for one in found):
        lines.append("pytest --benchmark-only --explain also measures smaller sizes, and the rest.")
    return lines
