"""What saved gates have found, the newest first."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.history import Archive
from bench.saved.gates import Gate, as_json
from bench.saved.runs import Run
from bench.views import gate as gate_view
from bench.views import units
from bench.views.report.parts import Folded, Section, plural
from bench.views.tables import Table

_MOST = 20  # that open


def section(archive: Archive, run: Run | None) -> Section | None:
    if not archive.gates:
        return None
    counts: dict[str, int] = {}
    for _, gate in archive.gates:
        counts[gate.verdict] = counts.get(gate.verdict, 0) + 1
    said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    words = [f"{plural(len(archive.gates), 'gate')}: {said}."]
    folded = [
        Folded(gate_view.headline(gate), tables=gate_view.view(gate, True).tables)
        for _, gate in archive.gates[:_MOST]
    ]
    content = [{"file": name, **as_json(gate)} for name, gate in archive.gates]
    return Section("gates", "Regression gates", words, (), [_table(archive.gates)], folded, content)


def _table(found: Sequence[tuple[str, Gate]]) -> Table:
    rows = []
    for name, gate in found:
        day = gate.when.strftime("%Y-%m-%d") if gate.when else ""
        most = units.change(max((judged.change for judged in gate.judged), default=0.0))
        judged = str(len(gate.judged))
        rows.append([gate.verdict, gate.head, gate.base, gate.kind, day, judged, most, name])
    header = ["verdict", "head", "base", "kind", "date", "judged", "largest change", "file"]
    return Table(header, rows, words=5, sentences=["file"])
