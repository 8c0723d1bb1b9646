"""What an element costs in Python: a stack of its parts for each kernel and interpreter."""

from __future__ import annotations

from bench.analysis.cost import CostBreakdown, cost_breakdowns
from bench.analysis.history import Archive
from bench.saved.runs import BadRun, Run, interpreter_label
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_ROWS, Figure, Section
from bench.views.tables import Table

_REST = "not explained"


def section(archive: Archive, run: Run) -> Section | None:
    found: dict[tuple[str, str], CostBreakdown] = {}
    for one in (run, *archive.latest):
        try:
            of_run = cost_breakdowns(one)
        except BadRun:  # it has not measured the operations of Python
            continue
        label = interpreter_label(one).removeprefix("CPython ")
        for breakdown in of_run:
            found.setdefault((breakdown.kernel, label), breakdown)
    if not found:
        return None
    kernels = list(dict.fromkeys(kernel for kernel, _ in found))
    labels = sorted({label for _, label in found}, key=_version)
    cases = [(k, label) for k in kernels for label in labels if (k, label) in found]
    words = [
        "Each operation of Python was measured by itself, and how often a loop does it was "
        "counted; what the parts do not explain is the rest of the whole loop's time, which stands "
        "beside its bar. A bar that is longer than that has parts which overlap in the loop.",
    ]
    charts = [cases[n : n + MOST_ROWS] for n in range(0, len(cases), MOST_ROWS)]
    figures = [_figure(found, part, len(labels) > 1, n) for n, part in enumerate(charts)]
    content = [
        {"kernel": kernel, "interpreter": label, "per": found[kernel, label].per,
         "ns": found[kernel, label].whole.ns,
         "parts": {part.what: part.cost.ns for part in found[kernel, label].parts}}
        for kernel, label in cases
    ]  # fmt: skip
    return Section("cost", "What an element costs in Python", words, figures, content=content)


def _version(label: str) -> list[int]:
    digits = "".join(c if c.isdecimal() else " " for c in label).split()
    return [int(part[:9]) for part in digits]


def _figure(
    found: dict[tuple[str, str], CostBreakdown],
    cases: list[tuple[str, str]],
    several: bool,
    number: int,
) -> Figure:
    names = list(dict.fromkeys(part.what for case in cases for part in found[case].parts))
    costs = [{part.what: part.cost.ns for part in found[case].parts} for case in cases]
    for case, parts in zip(cases, costs, strict=True):
        parts[_REST] = found[case].residual.ns
    names.append(_REST)
    # The largest parts have colours of their own, the rest one together.
    together = {name: sum(max(0.0, parts.get(name, 0.0)) for parts in costs) for name in names}
    largest = sorted((n for n in names if n != _REST), key=lambda n: -together[n])[:8]
    shown = [name for name in names if name in largest]
    rest = [name for name in names if name not in largest and name != _REST]
    parts_shown = [
        *((name, [name]) for name in shown),
        *([("all other parts", rest)] if rest else []),
        (_REST, [_REST]),
    ]
    tones = palette.tones(name for name, _ in parts_shown)
    series = []
    for label, those in parts_shown:
        points = []
        for case, parts in zip(cases, costs, strict=True):
            ns = max(0.0, sum(parts.get(name, 0.0) for name in those))
            points.append(Point(ns, 0, f"{' '.join(case)}: {label} {units.three_digits(ns)} ns"))
        series.append(Series(label, "mark" if label == _REST else tones[label], points))
    totals = [found[case].whole.ns for case in cases]
    ends = [Point(0.0, 0, "", f"{units.three_digits(ns)} ns") for ns in totals]
    highest = max(
        sum(point.x for point in points) for points in zip(*(s.points for s in series), strict=True)
    )
    axis = axes.axis("ns an element (or multiply-add)", 0.0, highest, room=0.22)
    rows = [f"{kernel} {label}" if several else kernel for kernel, label in cases]
    title = "What an element costs in Python's loop"
    drawn = drawing.stacks(title, axis, rows, [*series, Series("", "mark", ends)])
    cells = [
        [
            *case,
            found[case].size,
            f"{units.three_digits(total)}",
            *(
                units.three_digits(p[n])
                if n in p and p[n] >= 0
                else f"-{units.three_digits(-p[n])}"
                if n in p
                else ""
                for n in names
            ),
        ]
        for case, p, total in zip(cases, costs, totals, strict=True)
    ]
    table = Table(["kernel", "interpreter", "size", "ns in all", *names], cells, words=2)
    shares = {name: sum(max(0.0, p.get(name, 0.0)) for p in costs) / sum(totals) for name in names}
    most = max((n for n in names if n != _REST), key=lambda n: shares[n])
    words = f"Over all of these bars the largest part: {most}, {shares[most]:.0%} of the time."
    return Figure(f"cost-{number + 1}" if number else "cost", drawn, words, table, True)
