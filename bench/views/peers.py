"""The table of a comparison with other libraries: a row for each kernel, size and thread count."""

from __future__ import annotations

from bench.saved.peers import Cell, PeerRun, PeerTime
from bench.views import units
from bench.views.tables import Table, View

BEHIND, INEXACT, SPOILED = "<", "!", "~"


def view(run: PeerRun) -> View:
    """As JSON it is what is saved."""
    libraries = [
        name
        for name in run.versions
        if any(name in {**cell.peers, **cell.wrong, **cell.unavailable} for cell in run.cells)
    ]
    header = ["kernel", "size", "threads", "native", *libraries, "best peer", "x best", "interval"]
    table = Table(header, [_cells(cell, libraries) for cell in run.cells], _notes(run))
    return View([table], run.table.content)


def _cells(cell: Cell, libraries: list[str]) -> list[str]:
    native = units.seconds(cell.seconds) if cell.seconds is not None else ""
    cells = [cell.kernel, cell.size, str(cell.threads), native]
    cells += [_against(cell, name) for name in libraries]
    if cell.best is None:
        return [*cells, "", "", ""]
    name, best = cell.best
    spoiled = SPOILED if cell.spoiled else ""
    return [*cells, name, _ratio(best), f"{best.low:.2f}-{best.high:.2f}{spoiled}"]


def _against(cell: Cell, name: str) -> str:
    if name in cell.peers:
        return _ratio(cell.peers[name])
    return "wrong" if name in cell.wrong else ""


def _ratio(peer: PeerTime) -> str:
    """ "1.20", "0.83<" where the library is faster, "1.41!" where its result is out of bounds."""
    inexact = INEXACT if peer.inexact is not None else ""
    # 0.996 would read 1.00<: what is marked must be seen to be below.
    shown = f"{peer.ratio:.2f}" if not 0.995 <= peer.ratio < 1 else f"{peer.ratio:.4f}"
    return shown + inexact + (BEHIND if peer.ratio < 1 else "")


def summary(run: PeerRun) -> str:
    """How many cells are at or above 1.0, which is the lowest, and how many were spoiled."""
    compared = [(cell, *cell.best) for cell in run.cells if cell.best is not None]
    if not compared:
        return "No cell could be compared."
    ahead = sum(best.ratio >= 1 for _, _, best in compared)
    cell, name, lowest = min(compared, key=lambda found: found[2].ratio)
    threads = f"{cell.threads} thread{'s' if cell.threads > 1 else ''}"
    line = (
        f"{ahead} of {len(compared)} cells at or above 1.0; lowest: {_ratio(lowest)} "
        f"({cell.kernel} {cell.size} on {threads}, {name})"
    )
    known = [cell.spoiled for cell, _, _ in compared if cell.spoiled is not None]
    if not known:
        return line
    spoiled = sum(known)
    sign = f" ({SPOILED})" if spoiled else ""
    return f"{line}; {spoiled or 'none'} of {len(known)} spoiled by a busy machine{sign}"


def _notes(run: PeerRun) -> list[str]:
    """The summary, how to read the table, and what is missing or inexact and why."""
    tiers = dict.fromkeys((cell.tier, cell.threads) for cell in run.cells)
    native = ", ".join(f"{tier} on {threads}" for tier, threads in tiers)
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    lines = [
        summary(run),
        f"Columns are the library's time over the native time, the median of alternating rounds; "
        f"{BEHIND} below 1.0: the library is faster. interval: 95 %, of x best.",
        f"native: {native}. {versions}. {run.table.origin}",
    ]
    if any(cell.spoiled for cell in run.cells):
        lines.append(
            f"{SPOILED} others used more than 5 % of the cores meanwhile, or half of the native "
            "rounds took over 1.3 times as long as the shortest."
        )
    # Of each kernel and library the last, which is the largest size.
    inexact = {
        (cell.kernel, name): peer.inexact
        for cell in run.cells
        for name, peer in cell.peers.items()
        if peer.inexact is not None
    }
    if inexact:
        lines.append(
            f"{INEXACT} timed, though outside the error bound of our portable loops: "
            f"{'; '.join(inexact.values())}"
        )
    refused = [r for c in run.cells for r in (*c.wrong.values(), *c.unavailable.values())]
    lines += [f"not timed: {reason}" for reason in dict.fromkeys(refused)]
    lines += [f"skipped: {reason}" for reason in run.missing.values()]
    return [*lines, *(f"warning: {line}" for line in run.table.warnings)]
