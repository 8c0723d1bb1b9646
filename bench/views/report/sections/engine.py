"""Whole models: tokens a second by variant, and where a token's time goes, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from bench.analysis.history import Archive
from bench.analysis.machine import cpu
from bench.analysis.rows import Row, rows
from bench.analysis.split import Split, splits
from bench.saved.runs import BadRun, Run, extra_info
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_CHARTS, MOST_ROWS, MOST_VARIANTS, Figure, Section
from bench.views.tables import Table

_SLOWEST = 1e-9  # tokens a second that can be believed


def section(archive: Archive, run: Run) -> Section | None:
    having = [one for one in (run, *archive.latest) if any(m.program for _, m in one.ours)]
    if not having:
        return None
    # Of several machines the one that tells most of its models.
    of = max(having, key=lambda one: (one is run, sum(m.program for _, m in one.ours)))
    found = [row for k in of.by_kernel if (row := _row(of, k)) and _tokens(of, row)]
    words = [
        "Tokens a second: read at once (prefill), made one by one (decode); of a file its bytes "
        "(identify)."
    ]
    if of is not run:
        words.append(f"Measured on {cpu(of)} ({of.source}).")
    figures = [_rates(of, found)] if found else []
    with suppress(BadRun):  # no time by layer in it
        found_splits = splits(of)[:MOST_CHARTS]
        tones = palette.tones(kernel for one in found_splits for kernel in one.kernels)
        figures += [_layers(one, tones) for one in found_splits]
    if not figures:
        return None
    rates = [
        {"program": r.kernel, "size": r.size, "tokens_per_second": _tokens(of, r)} for r in found
    ]
    return Section("engine", "The inference engine", words, figures, content=rates)


def _row(run: Run, kernel: str) -> Row | None:
    programs = [row for row in rows(run, kernel) if any(m.program for _, m in row.results.values())]
    return max(programs, key=lambda row: len(row.results), default=None) if programs else None


def _name(row: Row) -> str:
    return f"{row.kernel} {row.size}"


def _tokens(run: Run, row: Row) -> dict[str, float]:
    """A second, by variant; of those that say so."""
    found = {}
    for variant, (result, _) in row.results.items():
        with suppress(BadRun):
            found[variant] = extra_info(run, result).number("tokens_per_second", _SLOWEST)
    return found


def _rates(run: Run, found: list[Row]) -> Figure:
    found = found[:MOST_ROWS]
    rates = [_tokens(run, row) for row in found]
    variants = list(dict.fromkeys(variant for of_row in rates for variant in of_row))
    variants = variants[:MOST_VARIANTS]
    tones = palette.tones(variants)
    series = [
        Series(
            variant,
            tones[variant],
            [
                Point(r[variant], -n, f"{_name(found[n])}, {variant}: {r[variant]:,.0f} a second",
                      f"{r[variant]:,.0f}" if r[variant] == max(r.values()) else "")
                for n, r in enumerate(rates)
                if variant in r
            ],
            dots=4.5,
        )
        for variant in variants
    ]  # fmt: skip
    every = [value for r in rates for value in r.values()]
    drawn = drawing.chart(
        "Tokens a second",
        axes.log_axis("tokens a second", every, units.si, 0.22),
        axes.row_axis(list(map(_name, found))),
        series,
        26 * len(found),
    )
    cells = [
        [row.kernel, row.size, *(f"{r[v]:,.0f}" if v in r else "" for v in variants)]
        for row, r in zip(found, rates, strict=True)
    ]
    best = [f"{row.kernel} {max(r.values()):,.0f}" for row, r in zip(found, rates, strict=True)]
    return Figure(
        "engine-tokens",
        drawn,
        f"At most: {'; '.join(best)}.",
        Table(["program", "size", *variants], cells),
        True,
    )


def _layers(found: Split, tones: Mapping[str, str]) -> Figure:
    """tones: of each kernel, the same in all charts."""
    kernels, layers = list(found.kernels), [*found.layers, None]
    names = ["outside" if layer is None else f"layer {layer}" for layer in layers]
    scale, unit = (1e6, "us") if found.whole < 1e-2 else (1e3, "ms")

    def part(layer: int | None, kernel: str) -> float:
        return found.parts.get((layer, kernel), 0.0)

    series = []
    for kernel in kernels:
        points = []
        for name, layer in zip(names, layers, strict=True):
            seconds = part(layer, kernel)
            said = f"{name}, {kernel}: {units.seconds(seconds)}"
            points.append(Point(scale * seconds, 0, said))
        series.append(Series(kernel, tones[kernel], points))
    totals = [sum(part(layer, kernel) for kernel in kernels) for layer in layers]
    ends = [Point(0.0, 0, label=units.seconds(total)) for total in totals]
    axis = axes.axis(f"{unit} of a token", 0.0, scale * max(totals), room=0.22)
    title = f"{found.kernel}, {found.size}, {found.variant}: time by layer"
    drawn = drawing.stacks(title, axis, names, [*series, Series("", "mark", ends)], 26)
    rows = [
        [kernel, *(units.seconds(part(layer, kernel)) for layer in layers)] for kernel in kernels
    ]
    most = max(kernels, key=lambda kernel: found.kernels[kernel])
    words = f"{most} takes {found.kernels[most] / found.whole:.0%} of {units.seconds(found.whole)}."
    table = Table(["kernel", *names], rows, words=1)
    return Figure(f"layers-{found.kernel}", drawn, words, table)
