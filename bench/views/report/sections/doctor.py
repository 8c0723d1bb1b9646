"""What may have spoiled the run, as python -m bench doctor saw it at its start."""

from __future__ import annotations

from bench.analysis.history import Archive
from bench.saved.runs import Run
from bench.views.report.parts import Section


def section(archive: Archive, run: Run) -> Section | None:
    if run.doctor is None:
        return None
    from bench.views import doctor

    found = doctor.view(run.doctor)
    return Section(
        "doctor", "The machine's state", [found.title], (), found.tables, (), found.content
    )
