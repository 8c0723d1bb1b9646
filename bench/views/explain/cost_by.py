"""What one operation of Python costs on each interpreter, and how far their sum explains a loop."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.cost import CostBreakdown, cost_breakdowns, measured, unit_costs
from bench.saved.runs import Run, interpreter_label
from bench.views.explain import cost
from bench.views.tables import Table, View

_NOTE = (
    "Nanoseconds for one, beyond the dispatch of its bytecodes. Below: each kernel's loop for one "
    "element (products: one multiply-add), what of it the operations leave unexplained, and its "
    "instructions with what they leave unexplained, where valgrind counted them."
)


def view(saved: Sequence[Run]) -> View:
    content = {interpreter_label(r): cost.as_object(r, cost_breakdowns(r)) for r in saved}
    return View([_table(saved)], content)


def _table(saved: Sequence[Run]) -> Table:
    """A line for each operation and each kernel's loop, a column for each run. Raises BadRun."""
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
    return Table(["", "ns", *map(interpreter_label, saved)], lines, [_NOTE])


def _instructions(found: CostBreakdown | None) -> str:
    """ "415 (-3%)": of an element, and their residual."""
    if found is None or not found.whole.instructions:
        return ""
    counted, share = f"{found.whole.instructions:.0f}", found.unexplained_instructions
    return counted if share is None else f"{counted} ({_share(share)})"


def _share(value: float) -> str:
    return f"{100 * value:+.0f}%"
