"""Where a kernel's factor comes from: its ladder as a waterfall, each rung from where the last one
ended."""

from __future__ import annotations

import math

from bench.analysis import ladder as of_run
from bench.analysis.history import Archive
from bench.analysis.ladder import Ladder, MeasuredRung
from bench.saved.runs import BadRun, Run
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.axes import Axis
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_CHARTS, Figure, Section
from bench.views.tables import Table


def section(archive: Archive, run: Run) -> Section | None:
    try:
        found = of_run.ladders(run)
    except BadRun:  # none in it
        return None
    words = [
        "A bar is what one change is worth, and begins where the bar above ends: all of them "
        "multiply to the total. A hollow bar leads back: that change made it slower.",
    ]
    figures = [_figure(one) for one in found[:MOST_CHARTS]]
    content = [_as_object(one) for one in found]
    return Section("ladders", "Where the factor comes from", words, figures, content=content)


def _as_object(found: Ladder) -> dict[str, object]:
    rungs = [
        {"variant": r.rung.variant, "idea": r.rung.idea, "factor": r.factor,
         "cumulative": r.cumulative, "uncertainty": r.uncertainty}
        for r in found.rungs
    ]  # fmt: skip
    return {"kernel": found.kernel, "size": found.size, "total": found.total, "rungs": rungs}


def _figure(found: Ladder) -> Figure:
    names = [rung.rung.variant for rung in found.rungs]
    tones = palette.tones(names)
    before = [1.0, *(rung.cumulative for rung in found.rungs[:-1])]
    spans = [sorted((was, rung.cumulative)) for was, rung in zip(before, found.rungs, strict=True)]
    start = math.log10(min(low for low, _ in spans))
    end = max(1.0, *(math.log10(high) for _, high in spans))
    bars: dict[tuple[str, str], list[Point]] = {}  # by tone and look
    for n, (rung, (low, high)) in enumerate(zip(found.rungs, spans, strict=True)):
        look = "hollow" if rung.cumulative < before[n] else ""
        row = bars.setdefault((tones[names[n]], look), [Point(0.0, 0)] * len(names))
        row[n] = Point(math.log10(high / low), 0, _said(rung), _factor(rung))
    ghost = Series("", "mark", [Point(math.log10(low) - start, 0) for low, _ in spans], "ghost")
    parts = [ghost, *(Series("", tone, row, look) for (tone, look), row in bars.items())]
    title = f"{found.kernel}, {found.size}: {units.factor(found.total)}"
    shown = [name.removeprefix("c-") for name in names]
    drawn = drawing.stacks(title, _axis(start, end), shown, parts)
    rows = [
        [
            rung.rung.variant,
            _factor(rung),
            "" if rung.uncertainty is None else f"{rung.uncertainty:.1%}",
            units.factor(rung.cumulative),
            units.marked(units.seconds(rung.result.minimum), rung.metadata.confirmed),
            rung.rung.idea,
        ]
        for rung in found.rungs
    ]
    header = ["variant", "factor", "within", "in all", "time", "what changes"]
    largest = max(found.rungs[1:], key=lambda rung: rung.factor or 0.0)
    words = f"The largest step is {largest.rung.variant}: {_factor(largest)}, {largest.rung.idea}."
    table = Table(header, rows, words=1, sentences=["what changes"])
    return Figure(f"ladder-{found.kernel}", drawn, words, table)


def _axis(start: float, end: float) -> Axis:
    """In powers of ten from `start`, which the first bar begins at; with room for a last label."""
    powers = range(math.ceil(start), math.floor(end) + 1)
    every = -(-len(powers) // 5)
    ticks = [(power - start, axes.times(10.0**power)) for power in powers[::every]]
    return Axis("times as fast (log)", 0.0, 1.16 * (end - start), ticks)


def _factor(rung: MeasuredRung) -> str:
    return units.factor(rung.factor or 1.0)


def _said(rung: MeasuredRung) -> str:
    in_all = units.factor(rung.cumulative)
    return f"{rung.rung.variant}: {_factor(rung)}, {rung.rung.idea}; in all {in_all}"
