"""The page: gathers what index.html shows and lets the template write it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from bench.analysis.changes import Change, alike, changes, spread
from bench.analysis.machine import compilers, section
from bench.saved.comparable import other_machine
from bench.saved.runs import Result, Run, interpreter_label, one_line
from bench.views import matrix, units
from bench.views.report import charts, drawing
from bench.views.report.drawing import Chart


class Figure(NamedTuple):
    """A chart, drawn. The page embeds it (it follows the page's colours, can be searched and
    zoomed, and its marks can be pointed at); it is a file of its own as well."""

    section: str
    name: str
    svg: Markup  # made by drawing.as_svg, which escapes; not a string from a run


def figures(runs: Sequence[Run]) -> list[Figure]:
    """Every chart that has something to show, in page order."""
    newest = runs[-1]
    runs = [alike(run, newest) for run in runs]
    kernels = charts.kernels(newest)
    wanted: list[tuple[str, str, Chart | None]] = [
        ("Speedup", "speedups", charts.speedups(newest)),
        *(("Time and size", f"time-{k}", charts.time_against_size(newest, k)) for k in kernels),
        *(("Across runs", f"trend-{k}", charts.trend(runs, k)) for k in kernels),
        *(("Across runs", "trend-other", chart) for chart in charts.other_trends(runs)),
    ]
    drawn = [(section, name, chart) for section, name, chart in wanted if chart is not None]
    names = unique_names(name for _, name, _ in drawn)
    return [
        Figure(section, name, Markup(drawing.as_svg(chart, name)))
        for name, (section, _, chart) in zip(names, drawn, strict=True)
    ]


def unique_names(wanted: Iterable[str]) -> list[str]:
    """Names fit for a file and for an id in CSS, whatever a kernel is called."""
    names: list[str] = []
    taken: set[str] = set()  # some file systems know no case
    for text in wanted:
        base = re.sub("[^A-Za-z0-9_]+", "-", text)[:60].strip("-")
        name, number = base, 1
        while name.lower() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def template(name: str) -> Template:
    """One of templates/. What it is given is text: on one line, and no markup."""
    environment = Environment(
        loader=FileSystemLoader(drawing.TEMPLATES),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def html(runs: Sequence[Run], drawn: Sequence[Figure]) -> str:
    newest = runs[-1]
    before = runs[-2] if len(runs) > 1 else None
    return template("report.html.j2").render(
        label=newest.label,
        metadata=measured_on(newest),
        matrix=matrix.table(newest),
        sections={name: list(those) for name, those in groupby(drawn, attrgetter("section"))},
        left_out=charts.left_out(runs),
        other=[_other_cells(result) for result in newest.results if result.metadata is None],
        before=f"{before.label} ({before.source})" if before else None,
        difference=other_machine(newest, before) if before else None,
        unused=unused(runs),
        changes=[_change_cells(c) for c in changes(before, newest)] if before else [],
    )


def unused(runs: Sequence[Run]) -> list[str]:
    """What is not on the page, and why, in lines."""
    strange = (other_machine(run, runs[-1]) for run in runs[:-1])
    return [line for run in runs for line in run.left_out] + [line for line in strange if line]


def measured_on(run: Run) -> list[tuple[str, str]]:
    """(what, value) of the machine and the moment; what a run does not say is left out."""
    cpu = section(run, "cpu")
    metadata = [
        ("Run", run.source),
        ("CPU", cpu.get("brand_raw")),
        ("Cores used", run.machine.get("usable_cores") or cpu.get("count")),
        ("Python", interpreter_label(run)),
        ("Compiler", ", ".join(compilers(run))),
        ("Date", run.when.strftime("%Y-%m-%d %H:%M") if run.when else None),
        ("Commit", run.commit + (" with uncommitted changes" if run.dirty else "")),
        ("Benchmarks", len(run.results)),
    ]
    return [(what, str(value)) for what, value in metadata if value]


def _other_cells(result: Result) -> list[str]:
    times = [units.seconds(result.minimum), units.seconds(result.median)]
    return [result.fullname, *times, _percent(spread(result)), str(result.rounds)]


def _change_cells(change: Change) -> dict[str, Any]:
    """The cells of one line, and the verdict, which also decides its colour."""
    sides = (change.before, change.now)
    times = [units.seconds(side.minimum) if side else "" for side in sides]
    spreads = [_percent(spread(side)) if side else "" for side in sides]
    ratio = "" if change.ratio is None else units.factor(change.ratio)
    return {
        "name": change.fullname,
        "cells": [*times, ratio, *spreads],
        "verdict": change.verdict,
        "style": change.verdict if change.verdict in ("faster", "slower", "new", "gone") else "",
    }


def _percent(value: float | None) -> str:
    return "one round" if value is None else f"{value:.1%}"
