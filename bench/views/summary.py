"""The matrix for a reader with a minute: each kernel at its largest size, in six columns."""

from __future__ import annotations

from operator import attrgetter

from bench.analysis.rows import Row, by_hand, rows
from bench.saved.runs import Run
from bench.views import matrix, units
from bench.views.tables import Table, View

_HEADER = [
    "kernel and size",
    "fastest Python",
    "the compiler's best",
    "by hand",
    "speedup",
    "share of the limit",
]
_NOTES = [
    "Times are minima of a call; all of these keep IEEE rules. By hand: on as many cores as pay. "
    "speedup: by hand against the fastest Python. share of the limit: of what this machine can do "
    "at most, in arithmetic (compute) or in bandwidth of the cache or memory that holds the data.",
    f"{units.UNCONFIRMED} too long to be repeated until it is confirmed.",
]


def view(run: Run) -> View:
    notes = [*_NOTES, *matrix.beyond_limit(run)]
    of_each = filter(None, (rows(run, kernel) for kernel in run.by_kernel))
    cells = [_cells(max(of_kernel, key=attrgetter("work"))) for of_kernel in of_each]
    return View([Table(_HEADER, cells, notes, words=1)], cells)


def _cells(row: Row) -> list[str]:
    python, best = row.fastest("python"), row.fastest("native", by_hand)
    compiled = row.fastest("native", lambda metadata: not by_hand(metadata))
    times = map(matrix.time, (python, compiled, best))
    faster = python and best and units.factor(python[0].minimum / best[0].minimum)
    return [
        f"{row.kernel}, {row.size}",
        *times,
        faster or "",
        matrix.limit(best[1]) if best else "",
    ]
