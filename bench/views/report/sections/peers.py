"""Native code against libraries: from a saved comparison, or else from the run itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.analysis.factors import largest
from bench.analysis.history import Archive
from bench.analysis.rows import rows
from bench.saved.peers import PeerRun
from bench.saved.runs import Metadata, Run
from bench.views import peers
from bench.views.report import axes, drawing, palette
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_ROWS, Figure, Section, plural
from bench.views.tables import Table

_LONGEST = 29  # letters of a row's name


@dataclass(frozen=True)
class _Cell:
    """Of one kernel, size and number of threads: by library how many times as long as native code
    it takes, and the interval of that."""

    kernel: str
    size: str
    threads: int
    ratios: dict[str, tuple[float, float, float]]

    @property
    def name(self) -> str:
        return f"{self.kernel} {self.size}"

    @property
    def best(self) -> float:
        """Of the library that comes nearest."""
        return min(ratio for _, ratio, _ in self.ratios.values())


def section(archive: Archive, run: Run) -> Section | None:
    measured = archive.peers[0] if archive.peers else None
    cells = _compared(measured) if measured else _of_run(run)
    if not cells:
        return None
    lead = peers.summary(measured) if measured else "From the run itself, each side by its minimum."
    words = [
        lead,
        "Each dot is a library's time over the native time: to the right of 1, native code is "
        "faster. Of each kernel the size is shown at which a library comes nearest, or is ahead "
        "most.",
    ]
    figures = []
    for threads in sorted({cell.threads for cell in cells}):
        on_them = [cell for cell in cells if cell.threads == threads]
        hardest: dict[str, _Cell] = {}
        for cell in sorted(on_them, key=lambda cell: cell.best):
            hardest.setdefault(cell.kernel, cell)
        kernels = dict.fromkeys(cell.kernel for cell in on_them)
        ahead = sum(cell.best >= 1 for cell in on_them)
        figures.append(
            _figure(
                [hardest[kernel] for kernel in kernels][:MOST_ROWS], threads, ahead, len(on_them)
            )
        )
    table = peers.view(measured).tables if measured else ()
    return Section(
        "peers",
        "Against libraries",
        words,
        figures,
        table,
        content=measured.table.content if measured else None,
    )


def _compared(measured: PeerRun) -> list[_Cell]:
    return [
        _Cell(cell.kernel, cell.size, cell.threads,
              {f"peer-{name}": (p.low, p.ratio, p.high) for name, p in cell.peers.items()})
        for cell in measured.cells
        if cell.peers
    ]  # fmt: skip


def _of_run(run: Run) -> list[_Cell]:
    found = []
    for kernel in run.by_kernel:
        of_kernel = rows(run, kernel)
        row = largest(of_kernel) if of_kernel else None
        peer = row.fastest("peer") if row else None
        if row is None or peer is None:
            continue
        threads = peer[1].threads or 1
        native = row.fastest("native", _on(threads))
        if native is None:
            continue
        ratios = {
            variant: (result.minimum / native[0].minimum,) * 3
            for variant, (result, metadata) in row.results.items()
            if metadata.side == "peer"
        }
        found.append(_Cell(kernel, row.size, threads, ratios))
    return found


def _on(threads: int) -> Callable[[Metadata], bool]:
    return lambda metadata: (metadata.threads or 1) == threads


def _figure(cells: list[_Cell], threads: int, ahead: int, of: int) -> Figure:
    libraries = list(dict.fromkeys(name for cell in cells for name in cell.ratios))
    tones = palette.tones(libraries)
    shown = {name: name.removeprefix("peer-") for name in libraries}
    lines, dots = [], []
    for library in libraries:
        points = []
        for n, cell in enumerate(cells):
            if library in cell.ratios:
                low, ratio, high = cell.ratios[library]
                said = f"{cell.name}: {shown[library]} takes {ratio:.2f}x ({low:.2f} to {high:.2f})"
                points.append(Point(ratio, -n, said))
                line = [Point(low, -n), Point(high, -n)]
                lines.append(Series("", tones[library], line, "thin"))
        dots.append(Series(shown[library], tones[library], points, dots=4))
    every = [value for cell in cells for triple in cell.ratios.values() for value in triple]
    x = axes.log_axis("library / native time", [*every, 0.8, 1.3], axes.times)
    y = axes.row_axis([cell.name for cell in cells], _LONGEST)
    level = Series("", "ink", [Point(1.0, y.low), Point(1.0, y.high)], "thin")
    on = plural(threads, "thread")
    title = f"Libraries against native code, {on}"
    drawn = drawing.chart(title, x, y, [level, *lines, *dots], 20 * len(cells))
    rows_shown = [
        [c.kernel, c.size, *(f"{c.ratios[n][1]:.2f}" if n in c.ratios else "" for n in libraries)]
        for c in cells
    ]
    table = Table(["kernel", "size", *shown.values()], rows_shown)
    words = f"Native code is ahead of every library in {ahead} of {plural(of, 'cell')} on {on}."
    return Figure(f"peers-{threads}", drawn, words, table)
