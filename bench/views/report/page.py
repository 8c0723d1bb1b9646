"""The page: its sections, in order, written by a template; and the same as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from markupsafe import Markup

from bench.analysis.history import Archive
from bench.saved.runs import Run
from bench.views import matrix, summary
from bench.views.report import svg
from bench.views.report.axes import clipped
from bench.views.report.parts import Figure, Section, unique_names
from bench.views.report.sections import (
    cost,
    doctor,
    engine,
    factors,
    finding,
    gates,
    history,
    ladders,
    machines,
    noise,
    peers,
    provenance,
    roofline,
    sizes,
)
from bench.views.report.sections import matrix as matrix_section
from bench.views.tables import Table, View, render
from bench.views.units import escaped

# A kernel, a tier or an interpreter that is new in a run is new in all of these: none knows a name.
SECTIONS = (
    finding, factors, matrix_section, ladders, roofline, cost, sizes, peers, engine, noise, history,
    machines, gates, doctor, provenance,
)  # fmt: skip
Progress = Callable[[int, int], None]
FORMAT, VERSION = "baremetal-ml report", 1
_MOST_LINES, _MOST_ROWS = 100, 1000  # of what could not be used, of a table
_SCRIPT = Markup((svg.TEMPLATES / "tables.js").read_text(encoding="utf-8"))


def silent(done: int, total: int) -> None:
    """Nobody waits."""


def sections(archive: Archive, run: Run, progress: Progress = silent) -> list[Section]:
    """Those that have something to show; the names of their figures are those of files."""
    found = []
    for number, module in enumerate(SECTIONS):
        one = module.section(archive, run)
        progress(number + 1, len(SECTIONS))
        if one is not None:
            found.append(one)
    names = iter(unique_names(f.name for one in found for f in one.every_figure))

    def renamed(figures: Sequence[Figure]) -> list[Figure]:
        return [replace(figure, name=next(names)) for figure in figures]

    return [
        replace(
            one,
            figures=renamed(one.figures),
            tables=[_short(table) for table in one.tables],
            folded=[
                replace(fold, figures=renamed(fold.figures), tables=list(map(_short, fold.tables)))
                for fold in one.folded
            ],
        )
        for one in found
    ]


def _short(table: Table) -> Table:
    more = len(table.rows) - _MOST_ROWS
    if more <= 0:
        return table
    notes = [*table.notes, f"{more:,} more rows are not shown; report.json has all of them."]
    return replace(table, rows=table.rows[:_MOST_ROWS], notes=notes)


def html(archive: Archive, run: Run, found: list[Section]) -> str:
    return svg.template("report.html.j2").render(
        run=run,
        runs=archive.runs,
        sections=found,
        unused=_limited(archive.problems),
        remarks=_limited(archive.remarks),
        inline=svg.inline,
        stylesheet=svg.stylesheet(":root"),
        script=_SCRIPT,
    )


def _limited(lines: tuple[str, ...]) -> list[str]:
    return [
        *lines[:_MOST_LINES],
        *([f"{len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []),
    ]


def markdown(run: Run) -> str:
    """The matrix, for the summary of a job."""
    title = clipped(f"BareMetal-ML: {matrix.machine_line(run)}")
    if not run.ours:
        return f"### {escaped(title)}\n\nNo kernel of this suite was measured.\n"
    full = matrix.table(run)
    shown = [*summary.view(run).tables, replace(full, folded="The whole matrix", notes=())]
    tables = [replace(t, rows=[list(map(clipped, row)) for row in t.rows]) for t in shown]
    notes = list(map(clipped, full.notes))
    return render(View(tables, title=title, notes=notes), "md") + "\n"


def as_json(archive: Archive, run: Run, found: list[Section]) -> str:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "run": {"source": run.source, "label": run.label, "commit": run.commit},
        "runs": archive.runs,
        "sections": {one.name: {"words": list(one.words), "content": one.content} for one in found},
        "problems": list(archive.problems),
        "remarks": list(archive.remarks),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"
