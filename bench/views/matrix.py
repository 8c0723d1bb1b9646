"""The competency matrix: every kernel and size in a row, every variant in a column.

Built once as cells of text; terminal, Markdown and HTML only differ in how they draw them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len

from bench.saved.runs import Metadata, Result, Run, interpreter_label, one_line
from bench.views import units

UNCONFIRMED = "~"
MOST_VARIANTS = 40  # columns of one table
_WIDEST = 200  # characters


@dataclass(frozen=True)
class Row:
    """One kernel at one size: the result of each variant that was measured."""

    kernel: str
    size: str
    results: dict[str, tuple[Result, Metadata]]

    def fastest(self, side: str) -> tuple[Result, Metadata] | None:
        """The fastest variant of a side ("python", "native", "peer"), by minimum; of those that
        keep IEEE rules: fastmath is shown, but not what the others are measured by."""
        of_side = [p for p in self.results.values() if p[1].side == side and not p[1].relaxed]
        return min(of_side, key=lambda pair: pair[0].minimum, default=None)

    @property
    def times_best_peer(self) -> float | None:
        """The fastest library's time over that of the fastest native tier on as many threads:
        above 1 the tier is ahead. None where one of them is missing."""
        peer = self.fastest("peer")
        if peer is None:
            return None
        times = [
            result.minimum
            for result, metadata in self.results.values()
            if metadata.side == "native"
            and not metadata.relaxed
            and metadata.threads == peer[1].threads
        ]
        return peer[0].minimum / min(times) if times else None

    @property
    def speedup(self) -> float | None:
        """Fastest native tier against fastest Python; None where one of them is missing."""
        native = self.fastest("native")
        return native[1].speedup if native else None


def rows(run: Run, kernel: str | None = None) -> list[Row]:
    """In the order of measurement; of one kernel, or of all."""
    by_case: dict[tuple[str, str], Row] = {}
    for result, metadata in run.ours if kernel is None else run.by_kernel.get(kernel, ()):
        if metadata.auxiliary:
            continue
        case = (metadata.kernel, metadata.size)
        row = by_case.setdefault(case, Row(*case, results={}))
        row.results[metadata.variant] = (result, metadata)
    return list(by_case.values())


def table(run: Run) -> tuple[list[str], list[list[str]]]:
    """Header and cells, as text."""
    all_rows = rows(run)
    variants = _variants(run)[:MOST_VARIANTS]
    header = ["kernel", "size", "fastest Python", "py-loop", *(_heading(v) for v in variants)]
    limited = _has_limits(run)
    header += ["speedup", "rate", *(["limit"] if limited else []), "worst error"]
    cells = [_cells(row, variants, limited) for row in all_rows]
    if _has_peers(run):
        header.append("x best peer")
        for line, row in zip(cells, all_rows, strict=True):
            line.append(units.factor(row.times_best_peer) if row.times_best_peer else "")
    return header, cells


def notes(run: Run) -> list[str]:
    """What has to be said below the table: how to read it, and what is missing and why."""
    lines = [
        "Times are minima. speedup: the fastest native tier (fastmath, which gives up IEEE rules, "
        "left out) against the fastest Python variant; rate and worst error are of that tier.",
        "Errors are in ULP of the true value; for products in ULP of |a| |b|; quantize and int8 "
        "products count integer steps.",
    ]
    losses = [metadata.loss for _, metadata in run.ours if metadata.loss is not None]
    if losses:
        lines.append(
            f"Going through int8 loses up to {100 * max(losses):.2f} % of the float32 product "
            "(relative Frobenius error); worst error counts only what comes on top of that."
        )
    if _has_limits(run):
        lines.append(
            "limit: how much of what this machine can do that tier reaches, and what stops it: "
            "arithmetic (compute) or the bandwidth of the memory level that holds the data, each "
            "measured in the same run."
        )
    if any(not metadata.confirmed for _, metadata in run.ours):
        lines.append(
            f"{UNCONFIRMED} not confirmed: a single call took too long to repeat, or the machine "
            "was never quiet for long enough."
        )
    beyond = len(_variants(run)) - MOST_VARIANTS
    if beyond > 0:
        lines.append(f"left out: {beyond} more variants; --format json has them.")
    tiers = run.machine.get("tiers")
    for name, info in tiers.items() if isinstance(tiers, dict) else ():
        if isinstance(info, dict) and "unavailable" in info:
            lines.append(f"skipped: {name}: {info['unavailable']}")
    return [*lines, *(_peer_notes(run) if _has_peers(run) else ())]


def _has_peers(run: Run) -> bool:
    return any(metadata.side == "peer" for _, metadata in run.ours)


def _peer_notes(run: Run) -> list[str]:
    """How to read the peers' column, and which libraries are not in it and why."""
    lines = [
        "x best peer: the fastest library's time over that of the fastest native tier on as many "
        "threads; above 1x the native kernel is ahead. python -m bench peers measures it closer."
    ]
    peers, refused = run.machine.get("peers"), run.machine.get("refused_peers")
    infos = peers.values() if isinstance(peers, dict) else ()
    missing = [i["unavailable"] for i in infos if isinstance(i, dict) and "unavailable" in i]
    reasons = refused.values() if isinstance(refused, dict) else ()
    return [*lines, *(f"skipped: {r}" for r in missing), *(f"not timed: {r}" for r in reasons)]


def machine_line(run: Run) -> str:
    """What the figures were measured on: CPU, interpreter, compiler."""
    tiers = run.machine.get("tiers")
    compilers = {
        str(info["compiler"])
        for info in (tiers.values() if isinstance(tiers, dict) else ())
        if isinstance(info, dict) and "compiler" in info
    }
    parts = [
        _cpu(run),
        f"{run.machine.get('usable_cores') or '?'} cores",
        interpreter_label(run),
        *sorted(compilers),
    ]
    if run.when:
        parts.append(run.when.strftime("%Y-%m-%d"))
    return ", ".join(parts)


def named(run: Run) -> str:
    """Which run a view is of: "run: FILE, 2026-01-02 03:04, commit 0123456+, CPU, Python"."""
    moment = run.when.strftime("%Y-%m-%d %H:%M") if run.when else "no date"
    commit = f"commit {run.commit[:7]}{'+' * run.dirty}" if run.commit else "no commit"
    return f"run: {', '.join([run.source, moment, commit, _cpu(run), interpreter_label(run)])}"


def _cpu(run: Run) -> str:
    cpu = run.machine.get("cpu")
    return str(cpu.get("brand_raw") or "unknown CPU") if isinstance(cpu, dict) else "unknown CPU"


def _variants(run: Run) -> list[str]:
    """Every variant that is not Python, in the order in which the run first met it."""
    shown = (f for _, f in run.ours if f.side != "python" and not f.auxiliary)
    return list(dict.fromkeys(f.variant for f in shown))


def _heading(variant: str) -> str:
    return variant.removeprefix("c-")


def _has_limits(run: Run) -> bool:
    return any(metadata.percent_of_limit is not None for _, metadata in run.ours)


def _cells(row: Row, variants: list[str], limited: bool) -> list[str]:
    python, native = row.fastest("python"), row.fastest("native")
    cells = [row.kernel, row.size, time(python), time(row.results.get("py-loop"))]
    cells += [time(row.results.get(variant)) for variant in variants]
    cells.append(units.factor(row.speedup) if row.speedup else "")
    cells.append(_rate(native[1]) if native else "")
    if limited:
        cells.append(limit(native[1]) if native else "")
    cells.append(_error(native[1]) if native else "")
    return cells


def time(pair: tuple[Result, Metadata] | None) -> str:
    """A minimum, marked where it is not confirmed; "" where there is none."""
    if pair is None:
        return ""
    result, metadata = pair
    return ("" if metadata.confirmed else UNCONFIRMED) + units.seconds(result.minimum)


def _rate(metadata: Metadata) -> str:
    value = metadata.gbps if metadata.rate == "GB/s" else metadata.gflops
    return f"{units.three_digits(value)} {metadata.rate}"


def limit(metadata: Metadata) -> str:
    if metadata.percent_of_limit is None:
        return ""
    return f"{units.percent(metadata.percent_of_limit)} {metadata.bound or ''}".strip()


def _error(metadata: Metadata) -> str:
    return units.error(metadata.max_error_ulp)


# --- The three formats ---------------------------------------------------------------------------


def as_text(run: Run) -> str:
    """A terminal table, as wide as it needs to be."""
    return text_table(*table(run), notes(run))


def text_table(
    header: list[str], cells: list[list[str]], below: list[str], narrow: bool = True
) -> str:
    """Lines of `below` under a table; its two first columns are text. A word of a heading a line
    keeps columns narrow."""
    words = [one_line(name).split()[::-1] if narrow else [one_line(name)] for name in header]
    above = list(zip_longest(*words, fillvalue=""))[::-1]
    lines = columns([*above, *([one_line(cell) for cell in line] for line in cells)], texts=2)
    # In ASCII: a terminal that cannot show a line's character would show none of it.
    rule = "-" * max(map(cell_len, lines[: len(above)]))
    drawn = [*lines[: len(above)], rule, *lines[len(above) :]]
    return "\n".join([*map(str.rstrip, drawn), *map(one_line, below)])


def columns(rows: Sequence[Sequence[str]], texts: int) -> list[str]:
    """A line for each row: the first columns are text, to the left, the others figures, to the
    right. A cell beyond the widest sticks out: it must not widen all the others."""
    widths = [min(max(map(cell_len, c)), _WIDEST) for c in zip(*rows, strict=True)]

    def padded(number: int, cell: str) -> str:
        space = " " * (widths[number] - cell_len(cell))
        return cell + space if number < texts else space + cell

    return ["  ".join(padded(*place) for place in enumerate(row)) for row in rows]


def as_markdown(run: Run) -> str:
    return markdown_table(*table(run), notes(run))


def markdown_table(
    header: list[str], cells: list[list[str]], below: list[str], texts: int = 0
) -> str:
    """The first two columns, and the last so many, are text; between them are figures."""
    rule = ["---", "---", *["---:"] * (len(header) - 2 - texts), *["---"] * texts]
    first, *rest = [list(map(units.escaped, line)) for line in (header, *cells)]
    drawn = [f"| {' | '.join(line)} |" for line in (first, rule, *rest)]
    return "\n".join([*drawn, "", *(f"{units.escaped(note)}  " for note in below)]).rstrip()


def as_json(run: Run) -> str:
    """The same figures as numbers: a list of rows, times in seconds."""
    return json.dumps(
        [
            {
                "kernel": row.kernel,
                "size": row.size,
                "speedup": row.speedup,
                "times_best_peer": row.times_best_peer,
                "variants": {
                    variant: {
                        "side": metadata.side,
                        "threads": metadata.threads,
                        "min_seconds": result.minimum,
                        "median_seconds": result.median,
                        "spread": result.spread,
                        "confirmed": metadata.confirmed,
                        "gflops": metadata.gflops,
                        "gbps": metadata.gbps,
                        "bound": metadata.bound,
                        "percent_of_limit": metadata.percent_of_limit,
                        "speedup": metadata.speedup,
                        "max_error_ulp": metadata.max_error_ulp,
                        "error_unit": metadata.error_unit,
                        "relative_frobenius_error": metadata.loss,
                    }
                    for variant, (result, metadata) in row.results.items()
                },
            }
            for row in rows(run)
        ],
        indent=2,
    )


FORMATS: dict[str, Callable[[Run], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}
