"""How each benchmark moved across the runs of a machine: charts for the history's section."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import median

from bench.analysis.history import History, Moment
from bench.analysis.rows import rows
from bench.analysis.trends import Trend
from bench.saved.runs import Run
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.axes import Axis
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_CHARTS, MOST_OTHERS, MOST_VARIANTS, Figure
from bench.views.tables import Table

_MOST_POINTS, _MOST_DOTS = 120, 24  # of a line
_MOST_COLUMNS = 20  # runs in a chart's table
_NEARLY_ALL = 0.8  # of the runs
_FLAT = 0.1  # noise of a percent must not fill a chart
_TOO_FAR = 20  # times: from there on a logarithmic axis


def figures(run: Run, history: History, lines: Sequence[Trend]) -> list[Figure]:
    """A chart for each kernel, at the largest size that nearly all runs have; and of benchmarks
    that are not of this suite as many as their lines need, those that changed first."""
    kernels: dict[str, list[Trend]] = {}
    for line in lines:
        if line.track.kernel is not None:
            kernels.setdefault(line.track.kernel, []).append(line)
    work = {(row.kernel, row.size): row.work for row in rows(run)}
    found = []
    for kernel, those in islice(kernels.items(), MOST_CHARTS):
        size = _size(kernel, those, work)
        shown = {one.track.variant or "": one for one in those if one.track.size == size}
        title = f"{kernel} {size}: time across runs"
        found.append(_figure(f"trend-{kernel}", title, history, shown))
    others = [line for line in lines if line.track.kernel is None]
    others.sort(key=lambda line: (not line.changes, -line.moved))
    for start in range(0, min(len(others), MOST_OTHERS * MOST_CHARTS), MOST_OTHERS):
        part = others[start : start + MOST_OTHERS]
        title = "Other benchmarks: time across runs"
        if len(others) > MOST_OTHERS:
            title += f" ({start + 1} to {start + len(part)} of {len(others)})"
        shown = {line.track.fullname: line for line in part}
        found.append(_figure("trend-other", title, history, shown))
    return found


def _size(kernel: str, lines: Sequence[Trend], work: Mapping[tuple[str, str], int]) -> str:
    counts: Counter[str] = Counter()
    for line in lines:
        counts[line.track.size or ""] += len(line.known)
    often = [size for size in counts if counts[size] >= _NEARLY_ALL * max(counts.values())]
    return max(often, key=lambda size: work.get((kernel, size), 0))


def _figure(name: str, title: str, history: History, lines: Mapping[str, Trend]) -> Figure:
    """Time over that of the first run that has it; a ring where the level changed."""
    shown = dict(islice(lines.items(), MOST_VARIANTS))
    tones, moments = palette.tones(shown), history.moments
    relative = {label: line.relative for label, line in shown.items()}
    series, rings, changed = [], [], []
    for label, line in shown.items():
        points = _points(label, relative[label], moments)
        look = "dashed" if label.startswith("py-") else "solid"
        dots = 2.5 if len(points) <= _MOST_DOTS else 0.0
        series.append(Series(label, tones[label], points, look, dots))
        for point in line.changes:
            change, at = units.change(point.ratio - 1), moments[point.index].label
            said = f"{label}: {change} from {at} on"
            rings.append(Point(point.index, relative[label][point.index], said, change))
            changed.append(f"{label} {change}")
    last = len(moments) - 1
    ticks = [(n, _tick(moments[n])) for n in sorted({round(last * n / 3) for n in range(4)})]
    x = Axis("run", -0.02 * last, 1.04 * last, ticks)
    y = _upright([p.y for one in series for p in one.points] + [ring.y for ring in rings])
    drawn = drawing.chart(title, x, y, [*series, Series("", "ink", rings, "hollow", 5)], 220)
    newest = moments[-_MOST_COLUMNS:]
    cells = [
        [label, *("" if math.isnan(v) else f"{v:.3f}" for v in values[-_MOST_COLUMNS:])]
        for label, values in relative.items()
    ]
    notes = [f"The last {_MOST_COLUMNS} runs."] if len(moments) > _MOST_COLUMNS else []
    table = Table(["benchmark", *(one.label for one in newest)], cells, notes, words=1)
    words = "No change of level."
    if changed:
        words = f"Changes of level: {', '.join(changed[:8])}."
    elif not any(line.enough for line in shown.values()):
        words = "Too few runs to tell a change of level."
    return Figure(name, drawn, words, table)


def _points(label: str, values: Sequence[float], moments: Sequence[Moment]) -> list[Point]:
    """Of many runs the median of each few."""
    every = -(-len(values) // _MOST_POINTS)
    points = []
    for start in range(0, len(values), every):
        block = [value for value in values[start : start + every] if math.isfinite(value)]
        if block:
            value = median(block)
            said = f"{label}, {moments[start].label}: {value:.3f}"
            points.append(Point(start + (every - 1) / 2, value, said))
    return points


def _upright(values: Sequence[float]) -> Axis:
    title = "time, first run = 1"
    low, high = min(1 - _FLAT, *values), max(1 + _FLAT, *values)
    if high > _TOO_FAR * low:
        return axes.log_axis(title, [low, high], lambda value: f"{value:g}")
    edge = 0.04 * (high - low)
    return axes.axis(title, low - edge, high + edge)


def _tick(moment: Moment) -> str:
    return moment.commit[:7] or (moment.when.strftime("%m-%d") if moment.when else "?")
