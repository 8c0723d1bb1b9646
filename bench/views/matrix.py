"""The competency matrix: every kernel and size in a row, every variant in a column."""

from __future__ import annotations

from bench.analysis.machine import compilers, cpu, section, unavailable
from bench.analysis.rows import Pair, Row, rows
from bench.saved.runs import Metadata, Result, Run, interpreter_label
from bench.views import units
from bench.views.tables import Table, View

MOST_VARIANTS = 40  # columns of one table


def view(run: Run) -> View:
    return View([table(run)], [_row_as_object(row) for row in rows(run)])


def table(run: Run) -> Table:
    variants = _variants(run)[:MOST_VARIANTS]
    header = ["kernel", "size", "fastest Python", "py-loop"]
    header += [variant.removeprefix("c-") for variant in variants]
    header += ["speedup", "rate", "limit", "worst error", "x best peer"]
    cells = [_cells(row, variants) for row in rows(run)]
    found = Table(header, cells, _notes(run)).without_empty("limit")
    return found if _has_peers(run) else found.without_empty("x best peer")


def _notes(run: Run) -> list[str]:
    """What has to be said below the table: how to read it, and what is missing and why."""
    lines = [
        "Times are minima. speedup: the fastest native tier (fastmath, which gives up IEEE rules, "
        "left out) against the fastest Python variant; rate and worst error are of that tier.",
        "Errors are in ULP of the true value; for products in ULP of |a| |b|; quantize and int8 "
        "products count integer steps.",
    ]
    if any(metadata.error_unit == "ULP of the terms" for _, metadata in run.ours):
        lines.append(
            "Errors of layer normalisation, linear layers and attention are in ULP of the terms: "
            "of the magnitudes, summed up, of what each result is the sum of."
        )
    if any(metadata.program for _, metadata in run.ours):
        lines.append(
            "Whole models (prefill, decode, identify): a size is the tokens read, those before the "
            "one that is made, bytes of a file; errors are absolute, in a logit or a score."
        )
    losses = [metadata.loss for _, metadata in run.ours if metadata.loss is not None]
    if losses:
        lines.append(
            f"Going through int8 loses up to {100 * max(losses):.2f} % of the float32 product "
            "(relative Frobenius error); worst error counts only what comes on top of that."
        )
    if any(metadata.percent_of_limit is not None for _, metadata in run.ours):
        lines.append(
            "limit: how much of what this machine can do that tier reaches, and what stops it: "
            "arithmetic (compute) or the bandwidth of the memory level that holds the data, each "
            "measured in the same run."
        )
        lines += beyond_limit(run)
    if any(not metadata.confirmed for _, metadata in run.ours):
        lines.append(f"{units.NOT_CONFIRMED}.")
    beyond = len(_variants(run)) - MOST_VARIANTS
    if beyond > 0:
        lines.append(f"left out: {beyond} more variants; --format json has them.")
    lines += [f"skipped: {tier}: {why}" for tier, why in unavailable(run, "tiers").items()]
    return [*lines, *(_peer_notes(run) if _has_peers(run) else ())]


def beyond_limit(run: Run) -> list[str]:
    """Why a share of a limit can be above 100 %, where one is."""
    shares = [metadata.percent_of_limit or 0.0 for _, metadata in run.ours]
    if max(shares, default=0.0) <= 100:
        return []
    return [
        "Above 100 %: a call finds part of its data where the call before left them, nearer than "
        "the level that holds all of them; or the ceiling met fewer quiet moments. "
        "docs/measuring.md has the measurements."
    ]


def _has_peers(run: Run) -> bool:
    return any(metadata.side == "peer" for _, metadata in run.ours)


def _peer_notes(run: Run) -> list[str]:
    """How to read the peers' column, and which libraries are not in it and why."""
    return [
        "x best peer: the fastest library's time over that of the fastest native tier on as many "
        "threads; above 1x the native kernel is ahead. python -m bench peers measures it closer.",
        *(f"skipped: {why}" for why in unavailable(run, "peers").values()),
        *(f"not timed: {why}" for why in section(run, "refused_peers").values()),
    ]


def machine_line(run: Run) -> str:
    """What the figures were measured on: CPU, interpreter, compiler."""
    parts = [
        cpu(run),
        f"{run.machine.get('usable_cores') or section(run, 'cpu').get('count') or '?'} cores",
        interpreter_label(run),
        *sorted(compilers(run)),
    ]
    if run.when:
        parts.append(run.when.strftime("%Y-%m-%d"))
    return ", ".join(parts)


def named(run: Run) -> str:
    """Which run a view is of: "run: FILE, 2026-01-02 03:04, commit 0123456+, CPU, Python"."""
    moment = run.when.strftime("%Y-%m-%d %H:%M") if run.when else "no date"
    commit = f"commit {run.commit[:7]}{'+' * run.dirty}" if run.commit else "no commit"
    return f"run: {', '.join([run.source, moment, commit, cpu(run), interpreter_label(run)])}"


def _variants(run: Run) -> list[str]:
    """Every variant that is not Python, in the order in which the run first met it."""
    shown = (f for _, f in run.ours if f.side != "python" and not f.auxiliary)
    return list(dict.fromkeys(f.variant for f in shown))


def _cells(row: Row, variants: list[str]) -> list[str]:
    python, native = row.fastest("python"), row.fastest("native")
    cells = [row.kernel, row.size, time(python), time(row.results.get("py-loop"))]
    cells += [time(row.results.get(variant)) for variant in variants]
    cells.append(units.factor(row.speedup) if row.speedup else "")
    if native is None:
        return [*cells, "", "", "", ""]
    _, metadata = native
    cells += [rate(metadata), limit(metadata), units.error(metadata.max_error_ulp)]
    return [*cells, units.factor(row.times_best_peer) if row.times_best_peer else ""]


def time(pair: Pair | None) -> str:
    """A minimum, marked where it is not confirmed; "" where there is none."""
    if pair is None:
        return ""
    result, metadata = pair
    return units.marked(units.seconds(result.minimum), metadata.confirmed)


def rate(metadata: Metadata) -> str:
    value = metadata.gbps if metadata.rate == "GB/s" else metadata.gflops
    return f"{units.three_digits(value)} {metadata.rate}"


def limit(metadata: Metadata) -> str:
    if metadata.percent_of_limit is None:
        return ""
    return f"{units.percent(metadata.percent_of_limit)} {metadata.bound or ''}".strip()


def _row_as_object(row: Row) -> dict[str, object]:
    """Times in seconds."""
    return {
        "kernel": row.kernel,
        "size": row.size,
        "speedup": row.speedup,
        "times_best_peer": row.times_best_peer,
        "variants": {
            variant: as_object(result, metadata)
            for variant, (result, metadata) in row.results.items()
        },
    }


def as_object(result: Result, metadata: Metadata) -> dict[str, object]:
    """What was measured of a variant, in every view's JSON."""
    return {
        "side": metadata.side,
        "threads": metadata.threads,
        "min_seconds": result.minimum,
        "median_seconds": result.median,
        "spread": result.spread,
        "confirmed": metadata.confirmed,
        "gflops": metadata.gflops,
        "gbps": metadata.gbps,
        "bytes": metadata.bytes,
        "bound": metadata.bound,
        "percent_of_limit": metadata.percent_of_limit,
        "speedup": metadata.speedup,
        "max_error_ulp": metadata.max_error_ulp,
        "error_unit": metadata.error_unit,
        "relative_frobenius_error": metadata.loss,
    }
