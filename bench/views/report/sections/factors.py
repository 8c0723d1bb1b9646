"""How many times as fast: a row for each kernel, a dot for each tier."""

from __future__ import annotations

from bench.analysis.factors import Factor, factors
from bench.analysis.history import Archive
from bench.saved.runs import Run
from bench.views import units
from bench.views.report import axes, drawing, palette
from bench.views.report.drawing import Point, Series
from bench.views.report.parts import MOST_CHARTS, MOST_VARIANTS, Figure, Section
from bench.views.tables import Table


def section(archive: Archive, run: Run) -> Section | None:
    found = factors(run)
    if not found:
        return None
    found = found[: 2 * MOST_CHARTS]
    charts = [found[n : n + MOST_CHARTS] for n in range(0, len(found), MOST_CHARTS)]
    words = [
        "Every dot is a variant, at the largest size that Python ran, too. The fastest Python is "
        "1x; c- is native code, from not optimised (debug) to written by hand (avx2, avx512; "
        "_omp: on all cores).",
    ]
    figures = [_figure(part, number) for number, part in enumerate(charts)]
    return Section("factors", "How many times as fast", words, figures, content=_content(found))


def _content(found: list[Factor]) -> object:
    return [
        {"kernel": f.kernel, "size": f.row.size, "factor": f.value, "uncertainty": f.uncertainty,
         "confirmed": f.confirmed, "bound": f.bound, "percent_of_limit": f.percent_of_limit}
        for f in found
    ]  # fmt: skip


def _of_variants(found: Factor) -> dict[str, float]:
    """Of every variant; above 1 is faster than the fastest Python."""
    python = found.row.fastest("python")
    assert python is not None
    return {v: python[0].minimum / result.minimum for v, (result, _) in found.row.results.items()}


def _figure(found: list[Factor], number: int) -> Figure:
    values = [_of_variants(one) for one in found]
    best = [one.row.fastest("native") for one in found]
    variants = list(dict.fromkeys(variant for of_kernel in values for variant in of_kernel))
    variants = variants[:MOST_VARIANTS]
    tones = palette.tones(variants)
    ranges = [
        Series("", "guide", [Point(min(v.values()), -n), Point(max(v.values()), -n)], "thin")
        for n, v in enumerate(values)
    ]
    series = [
        Series(
            variant,
            tones[variant],
            [
                Point(
                    v[variant],
                    -n,
                    f"{found[n].kernel} {found[n].row.size}, {variant}: {units.factor(v[variant])}",
                    units.factor(v[variant])
                    if (fastest := best[n]) and fastest[1].variant == variant
                    else "",
                )
                for n, v in enumerate(values)
                if variant in v
            ],
            dots=4.5,
        )
        for variant in variants
    ]
    every = [factor for v in values for factor in v.values()]
    drawn = drawing.chart(
        "How many times as fast as the fastest Python",
        axes.log_axis("times as fast", [*every, 1.0], axes.times, 0.2),
        axes.row_axis([one.kernel for one in found]),
        [*ranges, *series],
        24 * len(found),
    )
    rows = [
        [
            one.kernel,
            one.row.size,
            *(units.factor(v[name]) if name in v else "" for name in variants),
        ]
        for one, v in zip(found, values, strict=True)
    ]
    words = "; ".join(f"{one.kernel} {units.factor(one.value)}" for one in found)
    name = f"factors-{number + 1}" if number else "factors"
    return Figure(
        name,
        drawn,
        f"The fastest native tier: {words}.",
        Table(["kernel", "size", *variants], rows),
        True,
    )
