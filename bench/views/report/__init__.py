"""The HTML report: one offline page, its charts, its matrix and its data, from saved runs alone."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.analysis import history
from bench.analysis.history import Archive, archive_of
from bench.saved import archive as files
from bench.saved.checks import BadRun, listed
from bench.saved.runs import Run, one_line
from bench.saved.writing import make_folder, naming
from bench.views.report import page, svg
from bench.views.report.sections import sizes


def write_report(
    archive: Archive,
    directory: Path,
    about: Run | None = None,
    progress: page.Progress = page.silent,
) -> list[Path]:
    """Write the report of an archive and return the files: index.html, matrix.md, report.json, then
    the charts. about: the run that the page is of; by default the archive's subject.

    Everything is drawn before anything is written, and written beside its place before it is moved
    there: a failure leaves no file half-written. Raises OSError where `directory` cannot be used.
    """
    run = about or archive.subject
    found = page.sections(archive, run, progress)
    files = {
        "index.html": page.html(archive, run, found),
        "matrix.md": page.markdown(run),
        "report.json": page.as_json(archive, run, found),
    }
    for section in found:
        files.update({f"{f.name}.svg": svg.document(f.drawn) for f in section.every_figure})
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


def write_report_of(path: Path, storage: Path | None, directory: Path) -> list[Path]:
    """The report of one saved run, beside what `storage` has. Raises BadRun, OSError."""
    found = files.find([path, *([storage] if storage and storage.is_dir() else [])])
    archive = history.read(found)
    sources = {run.source: run for run in archive.latest}
    return write_report(archive, directory, about=sources.get(one_line(path)))


def chart(run: Run, name: str, theme: str) -> str:
    """One chart of a run's report as an SVG document, by the name of its file. theme: light, dark
    or auto. Raises BadRun."""
    found = page.sections(archive_of(run), run)
    figures = {figure.name: figure for section in found for figure in section.every_figure}
    if name not in figures:
        raise BadRun(f"{run.source}: has no chart {name!r}, has {listed(figures)}")
    return svg.document(figures[name].drawn, theme)


def scaling_chart(run: Run, kernel: str) -> str | None:
    """One kernel's time against size as an SVG document, the same bytes for the same run; None for
    fewer than two sizes."""
    drawn = sizes.drawn(run, kernel)
    return None if drawn is None else svg.document(drawn)
