"""Time against size, with the caches' borders and the size from which native code is ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice, pairwise
from xml.etree.ElementTree import Element

from bench.analysis import scaling
from bench.analysis.break_even import BreakEven, break_evens
from bench.analysis.history import Archive
from bench.analysis.levels import cache_sizes
from bench.analysis.scaling import Scaling
from bench.saved.runs import BadRun, Run
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.axes import Axis
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_CHARTS, MOST_VARIANTS, Figure, Section, first
from bench.views.tables import Table

_TIER = "c-avx2"  # whose calls are measured in several ways
# What it is given, by the suffix of the variant.
_CALLED = {"": "pointers", "_checked": "checked buffers", "_lists": "lists in and out"}
_LOOKS = {"py-": "dashed", "pee": "dotted"}
_MOST_POINTS = 200  # of one line


def section(archive: Archive, run: Run) -> Section | None:
    try:
        ahead = break_evens(run)
    except BadRun:
        ahead = []
    found = (_figure(run, of_kernel, ahead) for of_kernel in _several_sizes(run))
    figures = list(islice(found, MOST_CHARTS))
    if not figures:
        return None
    words = [
        "A straight line is a power of the size; c- is native code. Upright marks: where the "
        "operands fill a cache, and (=) from which size on c-avx2 beats the fastest Python.",
    ]
    return Section("sizes", "Time against size", words, figures)


def drawn(run: Run, kernel: str) -> Element | None:
    """The chart alone; None for a single size: all x equal, and no line to draw."""
    found = next(iter(_several_sizes(run, kernel)), None)
    return _figure(run, found, []).drawn if found else None


def _several_sizes(run: Run, *kernels: str) -> list[list[Scaling]]:
    """Of each kernel the variants of the main ladder, where they have two sizes or more."""
    auxiliary = {(m.kernel, m.variant) for _, m in run.ours if m.auxiliary}
    by_kernel: dict[str, list[Scaling]] = {}
    for one in scaling.scalings(run, kernels):
        if (one.kernel, one.variant) not in auxiliary:
            by_kernel.setdefault(one.kernel, []).append(one)
    return [
        those
        for those in by_kernel.values()
        if len({point.work for one in those for point in one.points}) > 1
    ]


def _figure(run: Run, found: list[Scaling], ahead: Sequence[BreakEven]) -> Figure:
    kernel, found = found[0].kernel, found[:MOST_VARIANTS]
    own = [one for one in ahead if one.kernel == kernel]
    points = [point for one in found for point in one.points]
    tones = palette.tones(one.variant for one in found)
    x = axes.log_axis(f"{found[0].per}s", [point.work for point in points], _power_of_ten)
    y = axes.log_axis("time of a call", [point.seconds for point in points], units.seconds)
    marks = [*_cache_marks(run, kernel), *_break_even_marks(own)]
    lines = [_mark(label, at, y, n) for n, (label, at) in enumerate(marks) if x.low < at < x.high]
    series = [_line(one, tones[one.variant]) for one in found]
    drawn = drawing.chart(f"{kernel}: time against size", x, y, [*lines, *series], 240)
    sizes = sorted({(point.work, point.size) for point in points})
    by_size = [
        {p.size: units.marked(units.seconds(p.seconds), p.confirmed) for p in one.points}
        for one in found
    ]
    rows = [[size, *(times.get(size, "") for times in by_size)] for _, size in sizes]
    rows.append(["grows as size^", *(f"{s.fit.exponent:.2f}" if s.fit else "" for s in found)])
    table = Table(["size", *(one.variant for one in found)], rows, words=1)
    return Figure(f"time-{kernel}", drawn, _in_words(found, own), table)


def _line(one: Scaling, tone: str) -> Series:
    every = -(-len(one.points) // _MOST_POINTS)
    points = [
        Point(p.work, p.seconds, f"{one.variant}, {p.size}: {units.seconds(p.seconds)}")
        for p in one.points[::-every][::-1]
    ]
    return Series(one.variant, tone, points, _LOOKS.get(one.variant[:3], "solid"), dots=2.5)


def _mark(label: str, at: float, y: Axis, number: int) -> Series:
    """Upright, its label at one of three heights, so that neighbours' do not meet."""
    height = y.low * (y.high / y.low) ** (0.04 + 0.07 * (number % 3))
    points = [Point(at, y.low), Point(at, height, label, label), Point(at, y.high)]
    return Series("", "mark", points, "dotted", dots=0.1)


def _in_words(found: Sequence[Scaling], own: Sequence[BreakEven]) -> str:
    exponents = [one.fit.exponent for one in found if one.fit]
    parts = []
    if exponents:
        low, high = min(exponents), max(exponents)
        parts.append(f"Time grows with size to the power of {low:.2f} to {high:.2f}.")
    by_variant = {one.variant: one for one in own}
    called = {how: by_variant.get(f"{_TIER}{path}") for path, how in _CALLED.items()}
    sizes = [
        f"{'a side of ' * (one.counts == 'side')}{one.size:,} ({how})"
        if one.size
        else f"none ({how})"
        for how, one in called.items()
        if one
    ]
    if sizes:
        parts.append(f"{_TIER} is ahead of the fastest Python from {first(sizes)} on.")
    return " ".join(parts)


def _break_even_marks(own: Sequence[BreakEven]) -> list[tuple[str, float]]:
    """Where c-avx2, called with pointers, begins to be ahead, if it is not at the smallest size."""
    return [
        (f"= {one.size:,}", float(one.size ** (3 if one.counts == "side" else 1)))
        for one in own
        if one.variant == _TIER and one.size and one.size > one.smallest
    ]


def _cache_marks(run: Run, kernel: str) -> list[tuple[str, float]]:
    """(label, work) where the buffers of one core fill a cache, as far as sizes were measured on
    both sides of it; between two sizes along the straight line on a logarithmic scale."""
    measured = [metadata for _, metadata in run.by_kernel[kernel]]
    nbytes = {scaling.work(f): f.bytes for f in measured if scaling.has_work(f) and f.bytes}
    marks = []
    for level, size in cache_sizes(run).items():
        for (work, low), (more_work, high) in pairwise(sorted(nbytes.items())):
            if low <= size < high:
                part = math.log(size / low) / math.log(high / low)
                marks.append((level, work * (more_work / work) ** part))
                break
    return marks


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power_of_ten(value: float) -> str:
    exponent = round(math.log10(value))
    if math.isclose(value, 10.0**exponent):
        return "10" + str(exponent).translate(_SUPERSCRIPT)
    return f"{value:.3g}"
