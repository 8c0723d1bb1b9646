"""The charts: each a pure function of saved runs. None means: nothing here worth drawing.

Add one here and one line in page.figures. Colours belong to variants, not to places in a chart, so
that a tier looks the same in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import pairwise
from operator import attrgetter

from bench.analysis import scaling
from bench.analysis.levels import cache_sizes
from bench.analysis.rows import Row, rows
from bench.analysis.scaling import Scaling
from bench.saved.runs import Result, Run, one_line
from bench.views import units
from bench.views.report import drawing
from bench.views.report.drawing import Chart

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# More lines than this in one chart cannot be told apart.
_MOST_LINES = 10
_MOST_LABELS = 12
_MOST_POINTS = 200  # of one line
# Kernels, variants, and charts of other benchmarks: what a page has room for. Tables have the rest.
MOST = 24


def kernels(run: Run) -> list[str]:
    """In the order of measurement, as many as there are charts of."""
    return list(run.by_kernel)[:MOST]


# --- Speedups ------------------------------------------------------------------------------------


def speedups(run: Run) -> Chart | None:
    """How many times faster than the fastest Python variant: one group of bars per kernel.

    The fastest Python variant itself is left out, being 1x by definition; a slower one is shown.
    """
    largest = (_largest_compared(rows(run, kernel)) for kernel in kernels(run))
    chosen = [row for row in largest if row is not None]
    chosen.reverse()  # pygal draws the first group at the bottom
    by_variant = {v: [_speedup(row, v) for row in chosen] for v in _variants([run])}
    by_variant = {v: values for v, values in by_variant.items() if any(values)}
    if not by_variant:
        return None
    measured = [value for values in by_variant.values() for value in values if value]
    lowest = min(measured) / 10  # where bars begin: on a log axis the smallest would have no length
    highest = max(*measured, 1.0)
    chart = drawing.bars(
        list(by_variant),
        len(chosen),
        title="Speedup over the fastest pure Python, largest size of each kernel",
        logarithmic=True,
        zero=lowest,
        # A tenth of the axis is room for the longest value.
        range=(lowest, highest * (highest / lowest) ** 0.1),
        y_labels=[
            {"value": tick, "label": f"{tick:,.0f}x" if tick >= 1 else f"{tick:g}x"}
            for tick in drawing.decades(lowest, highest)
            if lowest <= tick <= highest
        ],
        y_labels_major=[1.0],
        x_labels=[one_line(f"{row.kernel} {row.size}") for row in chosen],
        value_formatter=units.factor,
    )
    colors = drawing.colors_of(_variants([run]))
    for variant, values in by_variant.items():
        drawing.add(chart, variant, values, colors[variant])
    return chart


def _largest_compared(of_kernel: list[Row]) -> Row | None:
    """The largest size that has both sides."""
    compared = [row for row in of_kernel if row.fastest("python") and row.fastest("native")]
    return max(compared, key=attrgetter("work"), default=None)


def _speedup(row: Row, variant: str) -> float | None:
    yardstick = row.fastest("python")
    if variant not in row.results or (yardstick and yardstick[1].variant == variant):
        return None
    return row.results[variant][1].speedup or None


# --- Time against size ---------------------------------------------------------------------------


def time_against_size(run: Run, kernel: str) -> Chart | None:
    """Seconds a call over elements (products: multiply-adds), both logarithmic: a straight line is
    a power, whose exponent is in the legend, and upright marks say which memory holds native data.

    None for a single size: all x equal, and no line to draw.
    """
    colors = drawing.colors_of(_variants([run]))
    of_kernel = {g.variant: g for g in scaling.scalings(run, [kernel])}
    found = [of_kernel[variant] for variant in colors if variant in of_kernel]
    work = {point.work for one in found for point in one.points}
    if len(work) < 2:
        return None
    x_ticks = drawing.decades(min(work), max(work))
    times = [point.seconds for one in found for point in one.points]
    y_ticks = drawing.decades(min(times), max(times))
    legend = {one.variant: _with_exponent(one) for one in found}
    marks = _level_marks(run, kernel)
    chart = drawing.scatter(
        list(legend.values()),
        marks=len(marks),
        title=f"{kernel}: time against size",
        x_title=f"{found[0].per}s",
        y_title="seconds a call",
        logarithmic=True,
        # pygal drops a label at the very top.
        range=(y_ticks[0], y_ticks[-1] * 1.05),
        xrange=(x_ticks[0], x_ticks[-1]),
        x_labels=x_ticks,
        y_labels=y_ticks,
        x_value_formatter=_power_of_ten,
        value_formatter=units.seconds,
    )
    for label, place in marks:
        drawing.mark(chart, label, place, y_ticks[0], y_ticks[-1])
    for one in found:
        variant, every = one.variant, -(-len(one.points) // _MOST_POINTS)
        points = [(p.work, p.seconds) for p in one.points[::-every][::-1]]
        drawing.add(chart, legend[variant], points, colors[variant], variant.startswith("py-"))
    return chart


def _with_exponent(one: Scaling) -> str:
    return f"{one.variant}, size^{one.fit.exponent:.2f}" if one.fit else one.variant


def _level_marks(run: Run, kernel: str) -> list[tuple[str, float]]:
    """(label, work) where the buffers of one core fill a cache, as far as sizes were measured on
    both sides of it; between two sizes along the straight line on a logarithmic scale."""
    measured = [metadata for _, metadata in run.by_kernel[kernel]]
    nbytes = {scaling.work(f): f.bytes for f in measured if scaling.has_work(f) and f.bytes}
    marks = []
    for level, size in cache_sizes(run).items():
        for (work, low), (more_work, high) in pairwise(sorted(nbytes.items())):
            if low <= size < high:
                part = math.log(size / low) / math.log(high / low)
                label = f"{level} {units.nbytes(size)}"
                marks.append((label, work * (more_work / work) ** part))
                break
    return marks


def _power_of_ten(value: float) -> str:
    """10⁶ for a power of ten, as on the axis; 2.5e+08 otherwise."""
    exponent = round(math.log10(value))
    if math.isclose(value, 10.0**exponent):
        return "10" + str(exponent).translate(_SUPERSCRIPT)
    return f"{value:.3g}"


# --- Across runs ---------------------------------------------------------------------------------


def trend(runs: Sequence[Run], kernel: str) -> Chart | None:
    """How each variant's minimum moved across the runs, at the largest size that the newest run
    shares with an earlier one (a --quick run stops at smaller sizes)."""
    cases = [{row.size: row for row in rows(run, kernel)} for run in runs]
    earlier = {size for case in cases[:-1] for size in case}
    shared = [row for size, row in cases[-1].items() if size in earlier]
    if not shared:
        return None
    size = max(shared, key=attrgetter("work")).size
    found = [case[size].results if size in case else {} for case in cases]
    times = {
        v: [results[v][0].minimum if v in results else None for results in found]
        for v in _variants(runs)
    }
    return _trend(runs, f"{kernel} {size}: time across runs", times)


def other_trends(runs: Sequence[Run]) -> list[Chart]:
    """The same for benchmarks that are not of this suite, in as many charts as their lines need."""
    found = [{r.fullname: r for r in run.results if r.metadata is None} for run in runs]
    earlier = {name for results in found[:-1] for name in results}
    names = [name for name in found[-1] if name in earlier]
    total, room = len(names), MOST * _MOST_LINES
    if total > room:
        names = nlargest(
            room, names, key=lambda name: _moved([r[name] for r in found if name in r])
        )
    charts = []
    for start in range(0, len(names), _MOST_LINES):
        part = names[start : start + _MOST_LINES]
        times = {n: [r[n].minimum if n in r else None for r in found] for n in part}
        numbers = f" ({start + 1} to {start + len(part)} of {total})"
        title = "Other benchmarks: time across runs" + numbers * (total > _MOST_LINES)
        charts.append(_trend(runs, title, times))
    return [chart for chart in charts if chart is not None]


def _moved(results: Sequence[Result]) -> float:
    """By how much the last one's minimum differs from the first one's, faster or slower."""
    return abs(math.log(results[-1].minimum / results[0].minimum))


def _trend(runs: Sequence[Run], title: str, times: dict[str, list[float | None]]) -> Chart | None:
    """Lines of time relative to the first run that has it; a run without it breaks the line."""
    relative = {name: _relative(values) for name, values in times.items() if any(values)}
    values = [value for line in relative.values() for value in line if value is not None]
    if not values:
        return None
    chart = drawing.lines(
        list(relative),
        title=title,
        y_title="time, first run = 1",
        # Noise of a percent must not fill the chart.
        range=(min(0.9, *values), max(1.1, *values)),
        x_labels=[one_line(run.label) for run in runs],
        x_label_rotation=35 if len(runs) > 3 else 0,
        margin_right=90,  # half of the last label, which stands below the last point
        x_labels_major_every=math.ceil(len(runs) / _MOST_LABELS),
        show_minor_x_labels=len(runs) <= _MOST_LABELS,
        value_formatter=units.three_digits,
    )
    colors = drawing.colors_of(times)
    for name, line in relative.items():
        drawing.add(chart, name, line, colors[name], dashed=name.startswith("py-"))
    return chart


def _relative(values: list[float | None]) -> list[float | None]:
    first = next(value for value in values if value is not None)
    return [None if value is None else value / first for value in values]


# --- What they share -----------------------------------------------------------------------------


def _variants(runs: Iterable[Run]) -> list[str]:
    """As many as a chart has room for."""
    return _every_variant(runs)[:MOST]


def _every_variant(runs: Iterable[Run]) -> list[str]:
    """Those of the newest run first: its order decides the colours. Not those that are beside the
    main ladder: there are more of them than a chart has room for."""
    newest_first = reversed(list(runs))
    shown = (f for run in newest_first for _, f in run.ours if not f.auxiliary)
    return list(dict.fromkeys(metadata.variant for metadata in shown))


def left_out(runs: Sequence[Run]) -> str:
    """Which charts there are not, for their number, in a sentence; "" where all are there."""
    newest = runs[-1]
    counts = {
        "kernels": (len(newest.by_kernel), MOST),
        "variants": (len(_every_variant(runs)), MOST),
        "other benchmarks, those that moved most": (
            len(newest.results) - len(newest.ours) if len(runs) > 1 else 0,
            MOST * _MOST_LINES,
        ),
    }
    parts = [f"{most} of {n} {what}" for what, (n, most) in counts.items() if n > most]
    return f"Charts show {', '.join(parts)}; the tables have the rest." if parts else ""
