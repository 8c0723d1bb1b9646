"""Across runs: how each benchmark moved, where its level changed, and two runs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.analysis.changes import Change, changes
from bench.analysis.history import Archive, History, Moment
from bench.analysis.trends import Trend, trends
from bench.saved.comparable import other_machine
from bench.saved.runs import Run
from bench.views import units
from bench.views.report.parts import Section, plural
from bench.views.report.sections.trends import figures
from bench.views.tables import Table


def section(archive: Archive, run: Run) -> Section | None:
    own = (h for h in archive.histories if any(m.source == run.source for m in h.moments))
    history = next(own, archive.histories[0])
    newest = (archive.before, archive.latest[0])
    before, now = archive.compared or (newest if history is archive.histories[0] else (None, run))
    lines = trends(history)
    if before is None and not lines:
        return None
    words: list[str] = []
    tables: list[Table] = []
    content: dict[str, object] = {"runs": len(history.moments)}
    if lines:
        changed = [line for line in lines.values() if line.changes]
        enough = sum(line.enough for line in lines.values())
        words.append(
            f"{plural(len(history.moments), 'run')} {_days(history.moments)} on this machine: "
            + (
                f"the level of {len(changed)} of {plural(enough, 'benchmark')} changed."
                if enough
                else "too few to tell whether the level of a benchmark changed."
            )
        )
        content["changes_of_level"] = _as_objects(changed, history)
        if changed:
            tables.append(_changes_of_level(changed, history))
    if before:
        scatters = {n: line.scatter for n, line in lines.items() if line.scatter is not None}
        compared = changes(before, now, scatters)
        words += _about(before, now, compared)
        tables.append(_side_by_side(compared, before, now))
        content["compared"] = _compared(compared, before, now)
    drawn = figures(run, history, list(lines.values())) if lines else []
    return Section("history", "Across runs", words, drawn, tables, content=content)


def _days(moments: Sequence[Moment]) -> str:
    first, last = _day(moments[0]), _day(moments[-1])
    return f"from {first} to {last}" if first != last else f"of {first}"


def _day(moment: Moment) -> str:
    return moment.when.strftime("%Y-%m-%d") if moment.when else "no date"


# --- Changes of level ----------------------------------------------------------------------------


def _as_objects(changed: Sequence[Trend], history: History) -> list[dict[str, object]]:
    return [
        {
            "benchmark": line.track.fullname,
            "from_run": history.moments[point.index].source,
            "commit": history.moments[point.index].commit,
            "ratio": point.ratio,
            "interval": [point.low, point.high],
        }
        for line in changed
        for point in line.changes
    ]


def _changes_of_level(changed: Sequence[Trend], history: History) -> Table:
    found = [(line.track.fullname, point) for line in changed for point in line.changes]
    found.sort(key=lambda pair: -abs(math.log(pair[1].ratio)))
    rows = [
        [
            name,
            history.moments[point.index].label,
            units.factor(point.ratio),
            f"{point.low:.3f} to {point.high:.3f}",
            "slower" if point.ratio > 1 else "faster",
        ]
        for name, point in found
    ]
    header = ["benchmark", "from run", "time x", "interval", ""]
    return Table(header, rows, title="Changes of level", words=2)


# --- Two runs ------------------------------------------------------------------------------------


def _about(before: Run, now: Run, compared: Sequence[Change]) -> list[str]:
    verdicts = [change.verdict for change in compared]
    counts = {verdict: verdicts.count(verdict) for verdict in ("slower", "faster", "new", "gone")}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    words = [f"{now.label} against {before.label}: {said or 'nothing beyond the noise'}."]
    if any(c.verdict in ("slower", "faster") and not c.repeated for c in compared):
        words.append(
            "Too few runs tell how minima differ from run to run, so these verdicts rest on the "
            "spread within each run: identical code can get them, too."
        )
    difference = other_machine(now, before)
    return [*words, f"These times do not compare. {difference}."] if difference else words


def _compared(compared: Sequence[Change], before: Run, now: Run) -> dict[str, object]:
    rows = [
        {"benchmark": c.fullname, "ratio": c.ratio, "interval": c.interval, "verdict": c.verdict}
        for c in compared
    ]
    return {"before": before.source, "now": now.source, "benchmarks": rows}


def _side_by_side(compared: Sequence[Change], before: Run, now: Run) -> Table:
    """What changed first, the largest ratios of it first."""
    order = {"slower": 0, "faster": 1}
    ranked = sorted(
        compared, key=lambda c: (order.get(c.verdict, 2), -abs(math.log(c.ratio or 1.0)))
    )
    rows = [
        [
            change.fullname,
            units.seconds(change.before.minimum) if change.before else "",
            units.seconds(change.now.minimum) if change.now else "",
            "" if change.ratio is None else units.factor(change.ratio),
            "" if change.interval is None else "{:.3f} to {:.3f}".format(*change.interval),
            change.verdict,
        ]
        for change in ranked
    ]
    notes = [
        "Ratio: minimum now over minimum before, below 1x is faster. Interval: by the scatter "
        "between runs where enough of them tell it, 95 % for all rows together; else the two "
        "spreads (interquartile range over the median). Within noise: it holds 1.",
    ]
    title = f"Two runs: {before.label} ({before.source}) and {now.label} ({now.source})"
    header = ["benchmark", "before", "now", "ratio", "interval", "verdict"]
    return Table(header, rows, notes, title, words=1)
