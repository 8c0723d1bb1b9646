"""The HTML report: one offline page and its charts, from saved runs alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.saved.runs import Run
from bench.saved.writing import make_folder, naming
from bench.views.report import charts, drawing, page


def write_report(runs: Sequence[Run], directory: Path) -> list[Path]:
    """Write the report of `runs`, oldest first, and return the files: index.html, then its charts.

    Everything is drawn before anything is written, and written beside its place before it is moved
    there: a failure leaves no file half-written. Raises OSError where `directory` cannot be used,
    ValueError without a run.
    """
    if not runs:
        raise ValueError("a report needs at least one run, got none")
    figures = page.figures(runs)
    files = {"index.html": page.html(runs, figures)}
    files.update({f"{figure.name}.svg": figure.svg for figure in figures})
    make_folder(directory)
    # Inside the directory: moving within one file system is one step, across two it is a copy.
    with TemporaryDirectory(prefix=".report-", dir=directory) as temporary:
        for name, text in files.items():
            with naming(directory / name):
                Path(temporary, name).write_text(text, encoding="utf-8", newline="\n")
        for name in reversed(files):  # the page last: it never speaks of charts not there yet
            with naming(directory / name):
                os.replace(Path(temporary, name), directory / name)
    return [directory / name for name in files]


def scaling_chart(run: Run, kernel: str) -> str | None:
    """One kernel's time against size as an SVG document, the same bytes for the same run; None for
    fewer than two sizes."""
    chart = charts.time_against_size(run, kernel)
    (name,) = page.unique_names([f"scaling-{kernel}"])
    return None if chart is None else drawing.as_svg(chart, name)
