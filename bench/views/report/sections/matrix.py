"""The competency matrix: six columns for most readers, all of them behind a fold."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.history import Archive
from bench.saved.runs import Result, Run
from bench.views import matrix, summary, units
from bench.views.report.parts import Folded, Section
from bench.views.tables import Table


def section(archive: Archive, run: Run) -> Section | None:
    if not run.ours:
        return _other(run) if run.results else None
    full = matrix.view(run)
    folded = [Folded("The whole matrix: every size and variant", tables=full.tables)]
    others = [result for result in run.results if result.metadata is None and not result.extra]
    if others:
        folded.append(Folded("Other benchmarks of the run", tables=[_table(others)]))
    (compact,) = summary.view(run).tables
    return Section("matrix", "The matrix", (), (), [compact], folded, full.content)


def _other(run: Run) -> Section:
    content = [
        {"benchmark": r.fullname, "min_seconds": r.minimum, "median_seconds": r.median,
         "spread": r.spread, "rounds": r.rounds}
        for r in run.results
    ]  # fmt: skip
    return Section("matrix", "Benchmarks", (), (), [_table(run.results)], content=content)


def _table(results: Sequence[Result]) -> Table:
    rows = [
        [
            result.fullname,
            units.seconds(result.minimum),
            units.seconds(result.median),
            f"{result.spread:.1%}" if result.rounds > 1 else "",
            f"{result.rounds:,}",
        ]
        for result in results
    ]
    notes = ["Spread: the interquartile range over the median."]
    return Table(["benchmark", "minimum", "median", "spread", "rounds"], rows, notes, words=1)
