"""The tables of contention: a row for each kernel, size and condition, and how soon it is over."""

from __future__ import annotations

from bench.saved.contention import Cell, Condition, Contention
from bench.views import units
from bench.views.tables import Table, View

BEHIND = "<"
_MOST_OTHERS = 0.05  # of the cores' time
_LEAST = 0.95  # of one thread's speed: several must not lose more


def view(run: Contention) -> View:
    """As JSON it is what is saved."""
    return View([_conditions(run), _recoveries(run)], run.table.content, _notes(run))


def _conditions(run: Contention) -> Table:
    header = ["kernel", "size", "condition", "several threads", "one / several", "x quiet"]
    header += ["best library", "x best"]
    rows = [
        [cell.kernel, cell.size, name, *_figures(condition)]
        for cell in run.cells
        for name, condition in cell.conditions.items()
    ]
    return Table(header, rows, title=summary(run), words=3)


def _figures(condition: Condition) -> list[str]:
    figures = [
        units.seconds(condition.seconds),
        _marked(condition.speedup, _LEAST),
        f"{condition.over_quiet:.2f}",
    ]
    if condition.best is None:
        return [*figures, "", ""]
    name, ratio = condition.best
    return [*figures, name, _marked(ratio, 1.0)]


def _marked(ratio: float, least: float) -> str:
    """ "1.20", "0.83<" below the least; not 1.00< or 0.95<: that it is below must be seen."""
    if ratio >= least:
        return f"{ratio:.2f}"
    return (f"{ratio:.2f}" if ratio < least - 0.005 else f"{ratio:.4f}") + BEHIND


def _recoveries(run: Contention) -> Table:
    rows = [
        [cell.kernel, cell.size, f"{cell.recovery:.1f}", f"{cell.slowest_recovery:.1f}"]
        for cell in run.cells
    ]
    note = (
        "Milliseconds from the end of a busy neighbour until a call reaches 90 % of the speed "
        "without one: the median and the slowest of several trials."
    )
    return Table(["kernel", "size", "recovery", "slowest"], rows, [note])


def summary(run: Contention) -> str:
    """How often several threads lose against one, and against the best library; the worst ones."""
    found = [(cell, *each) for cell in run.cells for each in cell.conditions.items()]
    if not found:
        return "No condition was measured."
    kept = sum(condition.speedup >= _LEAST for *_, condition in found)
    worst = min(found, key=lambda each: each[2].speedup)
    said = (
        f"Several threads at or above {_LEAST:.2f} of one in {kept} of {len(found)} cells; lowest: "
        f"{_marked(worst[2].speedup, _LEAST)} ({_name(*worst[:2])})"
    )
    against = [(cell, name, *c.best) for cell, name, c in found if c.best is not None]
    if not against:
        return said
    ahead = sum(ratio >= 1 for *_, ratio in against)
    cell, name, library, ratio = min(against, key=lambda each: each[3])
    return (
        f"{said}. At or ahead of the best library in {ahead} of {len(against)}; lowest: "
        f"{_marked(ratio, 1.0)} ({_name(cell, name)}, {library})"
    )


def _name(cell: Cell, condition: str) -> str:
    return f"{cell.kernel} {cell.size}, {condition}"


def _notes(run: Contention) -> list[str]:
    tiers = dict.fromkeys(
        f"{c.tier} on {c.threads} threads against {c.single} on one" for c in run.cells
    )
    spoiled = [
        f"spoiled: other programs had {units.percent(100 * cell.others)} of the cores during "
        f"{cell.kernel} {cell.size}"
        for cell in run.cells
        if cell.others is not None and cell.others > _MOST_OTHERS
    ]
    refused = dict.fromkeys(reason for cell in run.cells for reason in cell.refused.values())
    return [
        f"one / several: time on one thread over that on several, {BEHIND} below {_LEAST}. "
        "x quiet: several threads' time over that with nobody beside. x best: library over ours, "
        f"both under the condition, {BEHIND} below 1.0. Medians over turns.",
        f"native: {', '.join(tiers)}. {run.table.origin}",
        *spoiled,
        *(f"not timed: {reason}" for reason in refused),
        *(f"skipped: {reason}" for reason in run.unavailable),
        *(f"warning: {line}" for line in run.table.warnings),
    ]
