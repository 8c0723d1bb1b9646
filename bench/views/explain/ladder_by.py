"""One kernel's ladder on several interpreters, side by side: what each makes of the same rungs."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.ladder import Side, side_by_side
from bench.saved.runs import Run
from bench.views import units
from bench.views.explain.ladder import idea
from bench.views.tables import Table, View


def view(saved: Sequence[Run], kernel: str | None = None, size: str | None = None) -> View:
    """Of one kernel or all, the largest size that the runs share or that. Raises BadRun."""
    found = side_by_side(saved, kernel, size)
    return View([_table(sides) for sides in found], [_as_object(sides) for sides in found])


def _table(sides: Sequence[Side]) -> Table:
    """A line for each rung that any of them has: its factor, and how far that has come."""
    by_rung: dict[str, dict[int, list[str]]] = {}
    ideas: dict[str, str] = {}
    for number, (_, found) in enumerate(sides):
        for measured in found.rungs:
            factor = "" if measured.factor is None else units.factor(measured.factor)
            if measured.uncertainty is not None:
                factor += f" +-{units.percent(100 * measured.uncertainty)}"
            shown = [factor, units.factor(measured.cumulative)]
            by_rung.setdefault(measured.rung.variant, {})[number] = shown
            ideas[measured.rung.variant] = idea(measured)
    order = [rung.rung.variant for rung in max((f.rungs for _, f in sides), key=len)]
    names = list(dict.fromkeys([*order, *by_rung]))
    header = ["rung", "changes"]
    for label, _ in sides:
        header += [f"{label}: factor", "so far"]
    lines = []
    for name in names:
        columns = [by_rung[name].get(number, ["", ""]) for number in range(len(sides))]
        lines.append([name, ideas[name], *(cell for column in columns for cell in column)])
    found = sides[0][1]
    return Table(header, lines, title=f"{found.kernel}, {found.size}")


def _as_object(sides: Sequence[Side]) -> dict[str, object]:
    return {
        "kernel": sides[0][1].kernel,
        "size": sides[0][1].size,
        "interpreters": {
            label: [
                {"variant": r.rung.variant, "factor": r.factor, "cumulative": r.cumulative,
                 "min_seconds": r.result.minimum, "uncertainty": r.uncertainty}
                for r in one.rungs
            ]
            for label, one in sides
        },
    }  # fmt: skip
