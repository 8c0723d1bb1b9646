"""The finding, in three sentences computed from the run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import median

from bench.analysis import noise
from bench.analysis.factors import Factor, factors
from bench.analysis.history import Archive
from bench.analysis.machine import cpu
from bench.saved.runs import Run, interpreter_label
from bench.views import units
from bench.views.report.parts import MOST_CHARTS, MOST_VARIANTS, Section, first, plural


def section(archive: Archive, run: Run) -> Section:
    found = factors(run)
    words = _of_factors(run, found) if found else _of_times(run)
    return Section(
        "finding", "What was found", [*words, *_left_out(run)], content={"sentences": words}
    )


def _left_out(run: Run) -> list[str]:
    """What is in no chart, for there is too much of it."""
    shown = {m.variant for _, m in run.ours if not m.auxiliary}
    counts = {"kernels": (len(run.by_kernel), MOST_CHARTS), "variants": (len(shown), MOST_VARIANTS)}
    parts = [f"{most} of {n} {what}" for what, (n, most) in counts.items() if n > most]
    return [f"Charts show {' and '.join(parts)}; the whole matrix has all."] if parts else []


def _of_factors(run: Run, found: Sequence[Factor]) -> list[str]:
    low, high = (end(found, key=lambda f: f.value) for end in (min, max))
    spread = f"{units.factor(high.value)} as fast as the fastest pure Python ({_case(high)})"
    if len(found) > 1:
        least = f"{units.factor(low.value)} ({_case(low)})"
        spread = f"between {least} and {spread}"
    return [
        f"On {cpu(run)} with {interpreter_label(run)}, native code is {spread}.",
        _what_holds_back(found),
        _how_sure(found),
    ]


def _case(found: Factor) -> str:
    size = found.row.size
    return f"{found.kernel} at {int(size):,}" if size.isdecimal() else f"{found.kernel} at {size}"


def _what_holds_back(found: Sequence[Factor]) -> str:
    known = [f for f in found if f.bound is not None and f.percent_of_limit is not None]
    if not known:
        return "What holds each kernel back is not known: the run has not measured the limits."
    known.sort(key=lambda f: (f.bound != "compute", f.bound or "", -(f.percent_of_limit or 0.0)))
    parts = []
    for bound, those in groupby(known, key=lambda f: f.bound):
        shown = [f"{f.kernel} ({units.percent(f.percent_of_limit or 0.0)})" for f in those]
        what = "arithmetic" if bound == "compute" else f"the bandwidth of {bound}"
        parts.append(f"{what} for {first(shown, 8)}")
    return (
        f"What holds them back, and how much of this machine's measured limit they reach: "
        f"{'; '.join(parts)}."
    )


def _how_sure(found: Sequence[Factor]) -> str:
    sure = [f for f in found if f.uncertainty is not None and f.confirmed]
    parts = []
    if sure:
        worst = max(sure, key=lambda f: f.uncertainty or 0.0)
        middle = median(f.uncertainty or 0.0 for f in sure)
        parts.append(
            f"{len(sure)} of {plural(len(found), 'factor')} rest on times that repeat: within "
            f"{middle:.1%} in the middle, {worst.uncertainty:.1%} at worst ({worst.kernel})"
        )
    rest = len(found) - len(sure)
    if rest:
        which = f"the other {rest}" if sure else f"none of {plural(rest, 'factor')}: they rest"
        parts.append(
            f"{which} on a time that was not confirmed, mostly of a Python call too long to repeat"
        )
    return f"How sure: {'; '.join(parts)}."


def _of_times(run: Run) -> list[str]:
    """Of a run without both sides, such as another project's."""
    if not run.results:
        return ["No run was given, or none could be used."]
    fastest, slowest = (end(run.results, key=lambda r: r.minimum) for end in (min, max))
    noisy = [result for result in run.results if noise.signs(result)]
    return [
        f"{plural(len(run.results), 'benchmark')}, from {units.seconds(fastest.minimum)} "
        f"({fastest.fullname}) to {units.seconds(slowest.minimum)} ({slowest.fullname}).",
        "The run has no kernel in Python and native code, so there is no factor to show.",
        f"How sure: {len(noisy)} of these benchmarks are noisy by pyperf's criteria.",
    ]
