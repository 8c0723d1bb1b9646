"""The table of what kernels lose off a cache line: a row for each kernel and size."""

from __future__ import annotations

from bench.saved.alignment import CONTROL, Alignment, Cell
from bench.views import units
from bench.views.tables import Table, View

LOST = ">"
_MOST = 1.05  # times as long, that is no loss


def view(run: Alignment) -> View:
    """As JSON it is what is saved."""
    offsets = list(dict.fromkeys(name for cell in run.cells for name in cell.ratios))
    header = ["kernel", "size", "level", "on a line", *offsets]
    rows = [_row(cell, offsets) for cell in run.cells]
    table = Table(header, rows, _notes(run), title=summary(run), words=3)
    return View([table], run.table.content)


def _row(cell: Cell, offsets: list[str]) -> list[str]:
    ratios = [_shown(cell, name) if name in cell.ratios else "" for name in offsets]
    return [cell.kernel, cell.size, cell.level, units.seconds(cell.seconds), *ratios]


def _shown(cell: Cell, name: str) -> str:
    """ "1.02", "1.12>" where more is lost than we want."""
    ratio = cell.ratios[name].ratio
    # 1.054 would read 1.05>: what is marked must be seen to be above.
    return f"{ratio:.2f}" if ratio <= _MOST else f"{ratio:.3f}{LOST}"


def summary(run: Alignment) -> str:
    """How many cells lose no more than we want, the worst one, and the control."""
    found = [(cell, name) for cell in run.cells for name in cell.ratios]
    judged = [each for each in found if each[1] != CONTROL]
    control = sorted(cell.ratios[name].ratio for cell, name in found if name == CONTROL)
    if not judged:
        return "No offset was measured."
    within = sum(cell.ratios[name].ratio <= _MOST for cell, name in judged)
    cell, name = max(judged, key=lambda each: each[0].ratios[each[1]].ratio)
    worst = f"{_shown(cell, name)} ({cell.kernel} {cell.size} in {cell.level}, {name})"
    said = f"{within} of {len(judged)} cells within 5 %; worst: {worst}"
    return f"{said}; control: {control[0]:.2f} to {control[-1]:.2f}" if control else said


def _notes(run: Alignment) -> list[str]:
    tiers = ", ".join(dict.fromkeys(cell.tier for cell in run.cells))
    return [
        f"Columns are the time with operands, result or both so many bytes off a cache line over "
        f"the time on one, the median of alternating rounds on the same memory; {LOST} above "
        f"{_MOST}.",
        f"{CONTROL} is on a line again: what it is off by, the others may be off by, too.",
        f"native: {tiers}. {run.table.origin}",
        *(f"warning: {line}" for line in run.table.warnings),
    ]
