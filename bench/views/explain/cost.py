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
from bench.saved.runs import Run, interpreter_label
from bench.views import units
from bench.views.tables import Table, View

_HEADER = ["kernel", "part", "for each", "ns", "share", "instructions"]
_NOTE_BY_INTERPRETER = (
    "Nanoseconds for one, beyond the dispatch of its bytecodes. Below: each kernel's loop for one "
    "element (products: one multiply-add), what of it the operations leave unexplained, and its "
    "instructions with what they leave unexplained, where valgrind counted them."
)


def view(run: Run, *kernels: str) -> View:
    """Of these kernels, of all without any. Raises BadRun."""
    found = [one for kernel in kernels or (None,) for one in cost_breakdowns(run, kernel)]
    table = Table(_HEADER, _cells(found), _notes(run, found))
    return View([table], _as_object(run, found))


def by_interpreter(saved: Sequence[Run]) -> View:
    """What one operation costs on each interpreter, and how far their sum explains a loop. Raises
    BadRun."""
    content = {interpreter_label(r): _as_object(r, cost_breakdowns(r)) for r in saved}
    return View([_table_by_interpreter(saved)], content)


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
        f"{_share(worst.unexplained)} ({worst.kernel}).",
    ]
    shares = [(one.unexplained_instructions, one.kernel) for one in found]
    counted = [(share, kernel) for share, kernel in shares if share is not None]
    if counted:
        share, kernel = max(counted, key=lambda pair: abs(pair[0]))
        lines.append(
            "In instructions nothing overlaps and nothing waits, and the largest residual is "
            f"{_share(share)} ({kernel})."
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


def _table_by_interpreter(saved: Sequence[Run]) -> Table:
    """A line for each operation and each kernel's loop, a column for each run."""
    costs = [unit_costs(measured(run)) for run in saved]
    names = list(dict.fromkeys(name for of_run in costs for name in of_run))
    lines = [
        ["operation", name, *(f"{c[name].ns:.1f}" if name in c else "" for c in costs)]
        for name in names
    ]
    loops = [{a.kernel: a for a in cost_breakdowns(run)} for run in saved]
    for kernel in dict.fromkeys(kernel for of_run in loops for kernel in of_run):
        found = [of_run.get(kernel) for of_run in loops]
        lines.append(["loop", kernel, *(f"{a.whole.ns:.1f}" if a else "" for a in found)])
        lines.append(["residual", kernel, *(_share(a.unexplained) if a else "" for a in found)])
        if any(a.whole.instructions for a in found if a):
            lines.append(["instructions", kernel, *map(_instructions, found)])
    return Table(["", "ns", *map(interpreter_label, saved)], lines, [_NOTE_BY_INTERPRETER])


def _instructions(found: CostBreakdown | None) -> str:
    """ "415 (-3%)": of an element, and their residual."""
    if found is None or not found.whole.instructions:
        return ""
    counted, share = f"{found.whole.instructions:.0f}", found.unexplained_instructions
    return counted if share is None else f"{counted} ({_share(share)})"


def _share(value: float) -> str:
    return f"{100 * value:+.0f}%"


def _as_object(run: Run, found: Sequence[CostBreakdown]) -> dict[str, object]:
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
