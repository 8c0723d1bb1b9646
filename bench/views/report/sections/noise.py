"""How noisy each benchmark was: boxes of its rounds, and those that pyperf would warn of."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis import noise
from bench.analysis.factors import largest
from bench.analysis.history import Archive
from bench.analysis.rows import rows
from bench.saved.runs import Result, Run
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import (
    MOST_CHARTS,
    MOST_VARIANTS,
    Figure,
    Folded,
    Section,
    plural,
)
from bench.views.tables import Table

_MOST_BOXES = 20
_WIDEST = 3.0  # times the minimum; what is beyond stands at the edge
_LONGEST = 29  # letters of a row's name
_WARNED = " !"


def section(archive: Archive, run: Run) -> Section | None:
    several = [result for result in run.results if _has_box(result)]
    if not several:
        return None
    marked = {r.fullname: signs for r in run.results if (signs := noise.signs(r))}
    counts = {c: sum(c in signs for signs in marked.values()) for c in noise.CRITERIA}
    warned = plural(len(marked), "benchmark")
    words = [
        f"{warned} of {len(run.results):,} would make pyperf warn: {counts[noise.STDEV]} by a "
        f"standard deviation of 10 % of the mean or more, {counts[noise.FAR]} by a round 50 % or "
        f"more from the mean, {counts[noise.SHORT]} by rounds too short for the clock (less than "
        f"{units.seconds(noise.SHORTEST_ROUND)}). Minima, which this report compares, repeat "
        "better: other programs can only add time.",
    ]
    widest = sorted(several, key=lambda r: r.spread, reverse=True)[:_MOST_BOXES]
    figures = [_boxes("noise", "The widest boxes of the run", list(map(_name, widest)), widest)]
    each = [_of_kernel(run, kernel) for kernel in list(run.by_kernel)[:MOST_CHARTS]]
    kept = [figure for figure in each if figure is not None]
    folded = [Folded("Kernel by kernel", kept)] if kept else []
    if marked:
        folded.append(Folded(f"The {warned} that pyperf would warn of", tables=[_table(marked)]))
    return Section("noise", "Noise", words, figures, (), folded, marked)


def _has_box(result: Result) -> bool:
    return result.rounds > 1 and result.q1 is not None and result.q3 is not None


def _name(result: Result) -> str:
    metadata = result.metadata
    if metadata is None:
        return result.fullname.rpartition("::")[2]
    return f"{metadata.kernel} {metadata.variant.removeprefix('c-')} {metadata.size}"


def _of_kernel(run: Run, kernel: str) -> Figure | None:
    of_kernel = rows(run, kernel)
    if not of_kernel:
        return None
    row = largest(of_kernel)
    found = {v: r for v, (r, _) in row.results.items() if _has_box(r)}
    if not found:
        return None
    names, results = list(found)[:MOST_VARIANTS], list(found.values())[:MOST_VARIANTS]
    return _boxes(f"noise-{kernel}", f"{kernel}, {row.size}: rounds", names, results)


def _boxes(name: str, title: str, names: Sequence[str], results: Sequence[Result]) -> Figure:
    """Over the minimum: a line from end to end, a box from quartile to quartile, the median."""
    variants = [r.metadata.variant if r.metadata else "other" for r in results]
    tones = palette.tones(variants)
    series = []
    for n, (result, variant) in enumerate(zip(results, variants, strict=True)):
        *_, low, middle, high, top = (seconds / result.minimum for seconds in _five(result))
        said = f"{names[n]}: median {middle:.2f}, longest {top:.2f} times the minimum"
        line, box = [Point(1.0, -n), Point(top, -n)], [Point(low, -n), Point(high, -n)]
        series.append(Series("", tones[variant], line, "thin"))
        series.append(Series("", tones[variant], box, "wide"))
        series.append(Series("", tones[variant], [Point(middle, -n, said)], "hollow", dots=3.5))
    end = min(_WIDEST, max([1.1, *(r.maximum / r.minimum for r in results)]))
    edge = 0.02 * (end - 1)
    x = axes.axis("times the minimum", 1 - edge, end + edge)
    shown = [n + _WARNED * bool(noise.signs(r)) for n, r in zip(names, results, strict=True)]
    y = axes.row_axis(shown, _LONGEST)
    drawn = drawing.chart(title, x, y, series, 20 * len(names))
    cells = [
        [name, *map(units.seconds, _five(r)), f"{r.rounds:,}"]
        for name, r in zip(shown, results, strict=True)
    ]
    header = ["minimum", "lower quartile", "median", "upper quartile", "longest", "rounds"]
    words = "Line: all rounds; box: the middle half of them; dot: the median; !: pyperf would warn."
    beyond = sum(r.maximum / r.minimum > _WIDEST for r in results)
    if beyond:
        words += f" At the edge: {plural(beyond, 'longest round')} beyond {_WIDEST:g}x."
    return Figure(
        name, drawn, words, Table(["benchmark", *header], cells, words=1), name == "noise"
    )


def _five(result: Result) -> list[float]:
    """Minimum, quartiles and maximum, in this order whatever a file says."""
    middle = result.median
    quartiles = min(result.q1 or middle, middle), middle, max(result.q3 or middle, middle)
    return [result.minimum, *(min(q, result.maximum) for q in quartiles), result.maximum]


def _table(marked: dict[str, dict[str, str]]) -> Table:
    cells = [[name, *(s.get(c, "") for c in noise.CRITERIA)] for name, s in marked.items()]
    return Table(["benchmark", "deviation", "extremes", "resolution"], cells, words=4)
