"""The roofline: how near each variant comes to what the machine can do at most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.analysis.history import Archive
from bench.analysis.roofline import COUNTED, Case, Roofline, operations_a_second, rooflines
from bench.saved.runs import Run
from bench.views import matrix, units
from bench.views.report import axes, drawing, palette
from bench.views.report.axes import Axis
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_CHARTS, MOST_VARIANTS, Figure, Folded, Section
from bench.views.tables import Table

_HEIGHT, _LINE = 260, 12  # of a plot, and of a line of text, in its pixels
_ABOVE = 8  # a line's name stands so much higher
_TITLES = {"FLOP": "Kernels in floating point", "OP": "Kernels in int8"}


def section(archive: Archive, run: Run) -> Section | None:
    found = rooflines(run)
    if not found:
        return None
    words = [
        "The lines are ceilings that this run measured: a slope is the bandwidth of a level of "
        "memory on one core, a flat line the peak of arithmetic, of each width of registers. Each "
        "dot is a variant of a kernel at its largest size; kernels with the same operations for a "
        "byte stand above each other. What lifts a dot above its slope: several cores (_omp), or "
        "data that stay in a nearer cache from call to call.",
    ]
    overview = [
        _figure(f"roofline-{one.unit}", _TITLES[one.unit], one, one.cases[:MOST_CHARTS])
        for one in found
    ]
    each = [
        _figure(f"roofline-{case.row.kernel}", f"{case.row.kernel}, {case.row.size}", one, [case])
        for one in found
        for case in one.cases[:MOST_CHARTS]
    ]
    folded = [Folded("Kernel by kernel", each)] if len(each) > 1 else []
    return Section("roofline", "How near the machine's limits", words, overview, (), folded)


def _figure(name: str, title: str, found: Roofline, cases: Sequence[Case]) -> Figure:
    unit = found.unit
    variants = list(dict.fromkeys(v for case in cases for v in case.row.results))[:MOST_VARIANTS]
    tones = palette.tones(variants)
    points: dict[str, list[Point]] = {variant: [] for variant in variants}
    cells = []
    for case in cases:
        kernel, size = case.row.kernel, case.row.size
        for variant in (v for v in variants if v in case.row.results):
            result, metadata = case.row.results[variant]
            if not metadata.flops:  # damaged
                continue
            rate = operations_a_second(result, metadata)
            giga = units.three_digits(rate / 1e9)
            said = f"{kernel} {size}, {variant}: {giga} G{unit}/s"
            points[variant].append(Point(case.intensity, rate, said))
            intensity = units.three_digits(case.intensity)
            cells.append([kernel, size, variant, intensity, giga, matrix.limit(metadata)])
    peak = max(found.flats.values())
    ridges = [peak / slope for slope in found.slopes.values()]
    around = [*(case.intensity for case in cases), *ridges, *(0.1 * ridge for ridge in ridges)]
    x = axes.log_axis(f"{unit} for a byte", [min(around) / 3, max(around) * 3], lambda v: f"{v:g}")
    lowest = min(point.y for those in points.values() for point in those)
    starts = [x.low * slope for slope in found.slopes.values()]
    y = axes.log_axis(f"{unit}/s", [lowest / 2, *starts, peak * 2], units.si)
    dots = [Series(variant, tones[variant], points[variant], dots=4) for variant in variants]
    drawn = drawing.chart(title, x, y, [*_roofs(found, x, y), *dots], _HEIGHT)
    table = Table(
        ["kernel", "size", "variant", f"{unit} for a byte", f"G{unit}/s", "share of its limit"],
        cells,
        words=3,
    )
    return Figure(name, drawn, f"{_ceilings(found)} {_nearest(cases)}".strip(), table)


def _ceilings(found: Roofline) -> str:
    parts = [f"{name} {rate / 1e9:.3g} GB/s" for name, rate in found.slopes.items()]
    parts += [f"{name} {rate / 1e9:.4g} G{found.unit}/s" for name, rate in found.flats.items()]
    return f"{COUNTED[found.unit].capitalize()}; ceilings: {', '.join(parts)}."


def _nearest(cases: Sequence[Case]) -> str:
    native = [pair[1] for case in cases if (pair := case.row.fastest("native"))]
    known = [metadata for metadata in native if metadata.percent_of_limit is not None]
    best = max(known, key=lambda metadata: metadata.percent_of_limit or 0.0, default=None)
    if best is None:
        return ""
    share = units.percent(best.percent_of_limit or 0.0)
    return f"Of each kernel's fastest tier the nearest: {best.kernel}, {best.variant}, {share}."


def _roofs(found: Roofline, x: Axis, y: Axis) -> list[Series]:
    """Lines, each named at an end; of those too near to each other the names stand together."""
    steepest, top = max(found.slopes.values(), default=0.0), max(found.flats.values())
    above = 10 ** (_ABOVE * (y.ends[1] - y.ends[0]) / _HEIGHT)
    lines, names = [], []
    for name, slope in _named_together(found.slopes, y):
        end = min(x.high, top / slope)
        lines.append([Point(x.low, x.low * slope), Point(end, end * slope)])
        names.append(Point(x.low, x.low * slope, name, name))
    for name, flat in _named_together(found.flats, y):
        start = max(x.low, flat / steepest) if steepest else x.low
        lines.append([Point(start, flat), Point(x.high, flat)])
        names.append(Point(x.high, flat * above, name, name))
    drawn = [Series("", "mark", points, "thin") for points in lines]
    return [*drawn, Series("", "mark", [name for name in names if name.label], dots=0.1)]


def _named_together(rates: Mapping[str, float], y: Axis) -> list[tuple[str, float]]:
    """From the highest down; a name that would stand on the one above joins it."""
    pixels = _HEIGHT / (y.ends[1] - y.ends[0])
    named: list[tuple[str, float]] = []
    above = -1  # the last that has a name
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
        if named and pixels * math.log10(named[above][1] / rate) < _LINE:
            named[above] = f"{named[above][0]}, {name}", named[above][1]
            named.append(("", rate))
        else:
            named.append((name, rate))
            above = len(named) - 1
    return named
