"""The cost of an element in Python, part by part, as a table; analysis/cost.py computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bench.analysis.cost import (
    Cost,
    CostBreakdown,
    cost_breakdowns,
    measured,
    seconds_of_one,
    unit_costs,
)
from bench.saved.runs import Run
from bench.views import units
from bench.views.tables import Table, View

_HEADER = ["kernel", "part", "for each", "ns", "share", "instructions"]


def view(run: Run, kernels: Sequence[str] = ()) -> View:
    """Of these kernels, of all without any. Raises BadRun."""
    found = [one for kernel in kernels or (None,) for one in cost_breakdowns(run, kernel)]
    table = Table(_HEADER, _cells(found), _notes(run, found))
    return View([table], as_object(run, found))


def _cells(found: Sequence[CostBreakdown]) -> list[list[str]]:
    lines = []
    for one in found:
        name = f"{one.kernel} {one.size}"
        for part in one.parts:
            count = f"{part.count:.3g}"
            lines.append([name, part.what, count, *_figures(part.cost, one.whole)])
        sums = {
            "sum of the parts": one.explained,
            "residual": one.residual,
            f"the loop, for one {one.per}": one.whole,
        }
        for what, cost in sums.items():
            lines.append([name, what, "", *_figures(cost, one.whole)])
    return lines


def _figures(cost: Cost, whole: Cost) -> list[str]:
    counted = "" if cost.instructions is None else f"{cost.instructions:.0f}"
    return [f"{cost.ns:.1f}", f"{100 * cost.ns / whole.ns:.0f}%", counted]


def _notes(run: Run, found: Sequence[CostBreakdown]) -> list[str]:
    operations = measured(run)
    each = unit_costs(operations).items()
    shown = ", ".join(f"{name} {cost.ns:.1f}" for name, cost in each if cost.ns >= 0.05)
    worst = max(found, key=lambda one: abs(one.unexplained))
    lines = [
        f"One of each, in ns: {shown}.",
        "The residual is what a loop takes beyond the sum of operations measured by themselves: "
        "overlap, mispredicted branches, data beyond the first-level cache. Largest here: "
        f"{100 * worst.unexplained:+.0f}% ({worst.kernel}).",
    ]
    shares = [(one.unexplained_instructions, one.kernel) for one in found]
    counted = [(share, kernel) for share, kernel in shares if share is not None]
    if counted:
        share, kernel = max(counted, key=lambda pair: abs(pair[0]))
        lines.append(
            "In instructions nothing overlaps and nothing waits, and the largest residual is "
            f"{100 * share:+.0f}% ({kernel})."
        )
    call = seconds_of_one(operations, "call_python")
    if call is not None:
        lines.append(
            f"Calling a Python function that returns its argument takes {units.seconds(call)}."
        )
    of_array, of_list = (seconds_of_one(operations, name) for name in ("read_array", "read"))
    if of_array is not None and of_list is not None:
        lines.append(
            f"Reading an array instead of a list takes {units.factor(of_array / of_list)} as long "
            f"({1e9 * of_array:.1f} against {1e9 * of_list:.1f} ns): it makes a float object."
        )
    return lines


def as_object(run: Run, found: Sequence[CostBreakdown]) -> dict[str, object]:
    return {
        "units": {name: asdict(cost) for name, cost in unit_costs(measured(run)).items()},
        "kernels": [
            {
                **asdict(one),
                "parts": [{"what": p.what, "count": p.count, **asdict(p.cost)} for p in one.parts],
                "explained": asdict(one.explained),
                "residual": asdict(one.residual),
            }
            for one in found
        ],
    }
