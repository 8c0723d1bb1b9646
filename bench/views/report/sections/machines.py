"""Across machines and interpreters: each one's newest run, side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from bench.analysis.history import Archive
from bench.analysis.machine import cpu
from bench.analysis.machine import section as section_of
from bench.analysis.rows import Row, rows
from bench.saved.runs import Run, interpreter_label
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_ROWS, Figure, Section, first
from bench.views.tables import Table

_MOST = 12  # machines in a chart


def section(archive: Archive, run: Run) -> Section | None:
    having = [one for one in archive.latest if any(not m.program for _, m in one.ours)][:_MOST]
    if len(having) < 2:
        return None
    names = _names(having)
    cases = [{(row.kernel, row.size): row for row in rows(one)} for one in having]
    shown = _sizes(cases)
    if not shown:
        return None
    found = {k: [table.get((k, size)) for table in cases] for k, size in shown.items()}
    words = [
        f"The newest run of each of {len(having)} machines or interpreters: what the fastest "
        "Python takes there, and a native tier that most of them have. Different machines differ "
        "in more than their CPU.",
    ]
    figures = [
        _figure("machines-python", "The fastest Python", found, shown, names, _fastest_python),
        _figure("machines-native", "The same native tier", found, shown, names, _same_native),
    ]
    kept = [figure for figure in figures if figure is not None]
    return Section("machines", "Across machines and interpreters", words, kept)


def _sizes(cases: Sequence[Mapping[tuple[str, str], Row]]) -> dict[str, str]:
    """Of each kernel the largest size that most of them have; none that only one has."""
    counts = Counter(
        case for table in cases for case, row in table.items() if row.fastest("python")
    )
    work = {case: row.work for table in cases for case, row in table.items()}
    found: dict[str, tuple[str, str]] = {}
    for case, number in counts.items():
        best = found.get(case[0])
        if number > 1 and (best is None or (number, work[case]) > (counts[best], work[best])):
            found[case[0]] = case
    return {kernel: size for kernel, (_, size) in found.items()}


def _fastest_python(each: Sequence[Row | None]) -> tuple[str, list[float | None]]:
    pairs = [row.fastest("python") if row else None for row in each]
    return "the fastest Python", [pair[0].minimum if pair else None for pair in pairs]


def _same_native(each: Sequence[Row | None]) -> tuple[str, list[float | None]]:
    """Of the variants that most machines have measured the one that is the fastest there."""
    times: dict[str, list[float | None]] = {}
    for variant in dict.fromkeys(v for row in each if row for v in row.results):
        pairs = [row.results.get(variant) if row else None for row in each]
        if any(pair and pair[1].side == "native" and not pair[1].relaxed for pair in pairs):
            times[variant] = [pair[0].minimum if pair else None for pair in pairs]
    if not times:
        return "", [None] * len(each)

    def place(variant: str) -> tuple[int, float]:
        known = [value for value in times[variant] if value is not None]
        return -len(known), min(known)

    chosen = min(times, key=place)
    return chosen, times[chosen]


def _names(having: Sequence[Run]) -> list[str]:
    """By what differs: the interpreter, the CPU's name, its model; numbered where nothing does."""
    said = [
        (
            interpreter_label(run),
            cpu(run),
            "family {family} model {model}".format_map(defaultdict(str, section_of(run, "cpu"))),
        )
        for run in having
    ]
    differing = [n for n in range(3) if len({parts[n] for parts in said}) > 1] or [0]
    plain = [", ".join(parts[n] for n in differing) for parts in said]
    return [
        f"{name} #{plain[: n + 1].count(name)}" if plain.count(name) > 1 else name
        for n, name in enumerate(plain)
    ]


def _figure(
    name: str,
    title: str,
    found: Mapping[str, Sequence[Row | None]],
    shown: Mapping[str, str],
    names: Sequence[str],
    chosen: Callable[[Sequence[Row | None]], tuple[str, list[float | None]]],
) -> Figure | None:
    every = {kernel: chosen(each) for kernel, each in found.items()}
    times = {
        k: values for k, (_, values) in every.items() if sum(v is not None for v in values) > 1
    }
    if not times:
        return None
    kernels = list(times)[:MOST_ROWS]
    best = {k: min(v for v in times[k] if v is not None) for k in kernels}
    tones = palette.tones(names)
    series = []
    for m, machine in enumerate(names):
        points = [
            Point(
                value / best[k],
                -n,
                f"{k} {shown[k]}, {every[k][0]}, {machine}: {units.seconds(value)}",
            )
            for n, k in enumerate(kernels)
            if (value := times[k][m]) is not None
        ]
        if points:
            series.append(Series(machine, tones[machine], points, dots=4.5))
    values = [point.x for one in series for point in one.points]
    x = axes.log_axis("times the fastest's time", [1.0, *values], axes.times)
    drawn = drawing.chart(title, x, axes.row_axis(kernels), series, 24 * len(kernels))
    rows_shown = [
        [k, shown[k], every[k][0], *("" if v is None else units.seconds(v) for v in times[k])]
        for k in kernels
    ]
    variants = dict.fromkeys(every[k][0] for k in kernels)
    words = f"To the right is slower. Shown: {first(list(variants))}."
    return Figure(
        name, drawn, words, Table(["kernel", "size", "variant", *names], rows_shown, words=3)
    )
