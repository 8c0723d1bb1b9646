"""The cost of an element in Python, part by part, as a table; analysis/cost.py computes it."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.cost import Cost, CostBreakdown, measured, unit_costs
from bench.saved.runs import Run
from bench.views import units
from bench.views.tables import Table, View

_HEADER = ["kernel", "part", "for each", "ns", "share", "instructions"]


def view(run: Run, found: Sequence[CostBreakdown]) -> View:
    table = Table(_HEADER, _cells(found), _notes(run, found))
    return View([table], as_object(run, found))


def _cells(found: Sequence[CostBreakdown]) -> list[list[str]]:
    lines = []
    for one in found:
        name = f"{one.kernel} {one.size}"
        for part in one.parts:
            share = part.cost.ns / one.whole.ns
            lines.append([name, part.what, _count(part.count), *_figures(part.cost, share)])
        explained, residual = one.explained, one.residual
        for what, cost in (("sum of the parts", explained), ("residual", residual)):
            lines.append([name, what, "", *_figures(cost, cost.ns / one.whole.ns)])
        lines.append([name, f"the loop, for one {one.per}", "", *_figures(one.whole, 1.0)])
    return lines


def _figures(cost: Cost, share: float) -> list[str]:
    counted = "" if cost.instructions is None else f"{cost.instructions:.0f}"
    return [f"{cost.ns:.1f}", f"{100 * share:.0f}%", counted]


def _count(value: float) -> str:
    return f"{value:.3g}"


def _notes(run: Run, found: Sequence[CostBreakdown]) -> list[str]:
    cost_of = unit_costs(measured(run))
    one = ", ".join(f"{name} {cost.ns:.1f}" for name, cost in cost_of.items() if cost.ns >= 0.05)
    worst = max(found, key=lambda one: abs(one.residual.ns / one.whole.ns))
    lines = [
        f"One of each, in ns: {one}.",
        "The residual is what a loop takes beyond the sum of operations measured by themselves: "
        "overlap, mispredicted branches, data beyond the first-level cache. Largest here: "
        f"{100 * worst.residual.ns / worst.whole.ns:+.0f}% ({worst.kernel}).",
    ]
    shares = {
        one.kernel: (one.residual.instructions or 0.0) / one.whole.instructions
        for one in found
        if one.whole.instructions and one.residual.instructions is not None
    }
    if shares:
        most = max(shares, key=lambda kernel: abs(shares[kernel]))
        lines.append(
            "In instructions nothing overlaps and nothing waits, and the largest residual is "
            f"{100 * shares[most]:+.0f}% ({most})."
        )
    single = measured(run)
    empty = single["step"].seconds
    if "call_python" in single:
        call = single["call_python"]
        lines.append(
            "Calling a Python function that returns its argument takes "
            f"{units.seconds((call.seconds - empty) / call.repeats)}."
        )
    if "read_array" in single:
        reads = [single[name] for name in ("read_array", "read")]
        times = [(read.seconds - empty) / read.repeats for read in reads]
        lines.append(
            f"Reading an array instead of a list takes {units.factor(times[0] / times[1])} as long "
            f"({1e9 * times[0]:.1f} against {1e9 * times[1]:.1f} ns): it makes a float object."
        )
    return lines


def as_object(run: Run, found: Sequence[CostBreakdown]) -> dict[str, object]:
    return {
        "units": {name: vars(cost) for name, cost in unit_costs(measured(run)).items()},
        "kernels": [
            {
                "kernel": one.kernel,
                "size": one.size,
                "per": one.per,
                "parts": [
                    {"what": part.what, "count": part.count, **vars(part.cost)}
                    for part in one.parts
                ],
                "explained": vars(one.explained),
                "residual": vars(one.residual),
                "whole": vars(one.whole),
                "uncertainty": one.uncertainty,
            }
            for one in found
        ],
    }
