"""A saved run's ladders: where a kernel's total factor comes from, rung by rung.

    found = ladder(run, "matmul_f32", "256")

Factors are ratios of minima of one run, so they multiply to the total by themselves. What they can
be trusted to is measured twice: by how far each minimum repeats within its case, and by rounds in
which the rung and the one below alternate, where that was possible.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.analysis.rows import Pair, at_size
from bench.saved.checks import listed
from bench.saved.runs import BadRun, Metadata, Result, Run, Rung, interpreter_label


@dataclass(frozen=True)
class MeasuredRung:
    """One rung that a run has.

    factor       how many times as fast as the rung below; None for the lowest
    cumulative   how many times as fast as the lowest
    repeats      by what share of itself the own minimum may be wrong. A single round does not
                 say; then it is the most that the variant's other sizes say. None if none does
    single       whether that is so
    skipped      rungs between this and the one below that the run lacks; the factor is theirs, too
    uncertainty  of the factor, as a share of it; None where repeats is, here or below
    alternated   the factor as alternating rounds of the two have it; None where there were none
    """

    rung: Rung
    result: Result
    metadata: Metadata
    repeats: float | None
    single: bool
    skipped: tuple[Rung, ...]
    factor: float | None
    cumulative: float
    uncertainty: float | None
    alternated: float | None


@dataclass(frozen=True)
class Ladder:
    """The rungs of one kernel at one size, the lowest first; at least two."""

    kernel: str
    size: str
    rungs: tuple[MeasuredRung, ...]
    missing: tuple[Rung, ...]  # rungs that this run has not measured

    @property
    def remeasured(self) -> str:
        """Why factors were not measured a second time, for all that were not; "" if all were."""
        why = []
        rest = [r for r in self.rungs[1:] if r.alternated is None]
        if any((r.metadata.threads or 1) > 1 for r in rest):
            why.append("several threads")
        if any((r.metadata.threads or 1) == 1 and r.skipped for r in rest):
            why.append("missing rungs")
        if any((r.metadata.threads or 1) == 1 and not r.skipped for r in rest):
            why.append("long calls")
        return ", ".join(why)

    @property
    def total(self) -> float:
        return self.rungs[-1].cumulative

    @property
    def uncertainty(self) -> float | None:
        """Of the total, as a share of it: by how far the lowest and the highest rung's minima
        repeat, or by how far the two ways to measure the rungs are apart, whichever is more. None
        where nothing says how an end repeats."""
        ends = _together(self.rungs[0].repeats, self.rungs[-1].repeats)
        return None if ends is None else max(ends, self.apart)

    @property
    def apart(self) -> float:
        """By what share product and total differ, whichever is the larger."""
        return _apart(self.product, self.total)

    @property
    def product(self) -> float:
        """Of the rungs' factors, each from alternating rounds where there were any: measured apart
        from the total."""
        return math.prod(r.alternated or r.factor or 1.0 for r in self.rungs)

    @property
    def alternated(self) -> int:
        """How many factors of the product are from alternating rounds."""
        return sum(r.alternated is not None for r in self.rungs)


def _apart(one: float, other: float) -> float:
    return max(one / other, other / one) - 1


def _together(*shares: float | None) -> float | None:
    """The relative uncertainty of a product of factors whose errors are independent."""
    known = [share for share in shares if share is not None]
    return None if len(known) < len(shares) else math.sqrt(sum(s * s for s in known))


def kernels(run: Run) -> list[str]:
    """Those of which the run has a ladder, in the order of measurement."""
    return [name for name in run.by_kernel if sizes(run, name)]


def sizes(run: Run, kernel: str) -> list[str]:
    """Those at which the run has two rungs or more, the most work first; of a whole model the most
    rungs, as not all of its sizes have every variant."""
    variants = {rung.variant for rung in run.ladders.get(kernel, ())}
    measured = [m for _, m in run.by_kernel.get(kernel, ()) if m.variant in variants]
    rungs = Counter(metadata.size for metadata in measured)
    work = {metadata.size: metadata.flops for metadata in measured if rungs[metadata.size] > 1}
    program = any(metadata.program for metadata in measured)
    return sorted(work, key=lambda size: (program and rungs[size], work[size]), reverse=True)


def ladder(run: Run, kernel: str, size: str | None = None) -> Ladder:
    """The ladder of a kernel, by default at the size that is the most work. Raises BadRun."""
    if not run.ladders:
        raise BadRun(
            f"{run.source}: does not say how its variants build on each other (it was saved by an "
            "earlier version); measure again: pytest --benchmark-only --benchmark-autosave"
        )
    there = sizes(run, kernel)
    if not there:
        known = kernels(run)
        if not known:
            raise BadRun(f"{run.source}: has no two rungs of a kernel at one size, so no ladder")
        raise BadRun(f"{run.source}: has no ladder of {kernel!r}, has {listed(known)}")
    if size is not None and size not in there:
        has = listed(there)
        raise BadRun(f"{run.source}: has no ladder of {kernel} at {size!r}, has {has}")
    chosen = there[0] if size is None else size
    found = at_size(run, kernel, chosen)
    rungs = run.ladders[kernel]
    return Ladder(
        kernel=kernel,
        size=chosen,
        rungs=tuple(_measured(rungs, found, _most_uncertain(run, kernel))),
        missing=tuple(rung for rung in rungs if rung.variant not in found),
    )


def ladders(run: Run, kernel: str | None = None, size: str | None = None) -> list[Ladder]:
    """Of one kernel, or of all that the run has a ladder of. Raises BadRun."""
    if kernel is not None or not run.ladders:
        return [ladder(run, kernel or "", size)]
    every = kernels(run)
    having = [name for name in every if size is None or size in sizes(run, name)]
    if every and not having:
        raise BadRun(f"{run.source}: has no kernel's ladder at {size!r}")
    return [ladder(run, name, size) for name in having] or [ladder(run, "")]


Side = tuple[str, Ladder]  # an interpreter's


def side_by_side(saved: Sequence[Run], kernel: str | None, size: str | None) -> list[list[Side]]:
    """For each kernel that all runs have a ladder of, at the largest size that they share, each
    interpreter's. Raises BadRun."""
    first, *others = (dict.fromkeys(kernels(run)) for run in saved)
    common = [name for name in first if all(name in other for other in others)]
    wanted = common if kernel is None else [kernel]
    if not wanted:
        raise BadRun(f"{saved[0].source}: shares no kernel's ladder with the other runs")
    return [_sides(saved, name, size) for name in wanted]


def _sides(saved: Sequence[Run], kernel: str, size: str | None) -> list[Side]:
    first, *others = (dict.fromkeys(sizes(run, kernel)) for run in saved)
    shared = [size for size in first if all(size in other for other in others)]
    if size is None and not shared and first:
        raise BadRun(f"{saved[0].source}: shares no size of {kernel} with the other runs")
    chosen = size or (shared[0] if shared else None)
    return [(interpreter_label(run), ladder(run, kernel, chosen)) for run in saved]


def _most_uncertain(run: Run, kernel: str) -> dict[str, float]:
    """For each variant of a kernel, the most that any size says of how its minimum repeats."""
    most: dict[str, float] = {}
    for _, metadata in run.by_kernel[kernel]:
        if metadata.uncertainty is not None:
            most[metadata.variant] = max(metadata.uncertainty, most.get(metadata.variant, 0.0))
    return most


def _measured(
    rungs: Iterable[Rung], found: dict[str, Pair], elsewhere: dict[str, float]
) -> Iterator[MeasuredRung]:
    below: MeasuredRung | None = None
    lowest = 0.0
    skipped: list[Rung] = []
    for rung in rungs:
        if rung.variant not in found:
            skipped.append(rung)
            continue
        result, metadata = found[rung.variant]
        single = metadata.uncertainty is None
        repeats = elsewhere.get(rung.variant) if single else metadata.uncertainty
        factor = alternated = uncertainty = None
        if below is None:
            lowest = result.minimum
        else:
            factor = below.result.minimum / result.minimum
            shares = [below.repeats, repeats]
            paired = metadata.paired_ratio
            if paired is not None and paired.over == below.rung.variant:
                alternated = paired.ratio
                # Two ways to measure the same: what they differ by counts.
                shares.append(_apart(alternated, factor))
            uncertainty = _together(*shares)
        below = MeasuredRung(
            rung, result, metadata, repeats, single, tuple(skipped), factor,
            lowest / result.minimum, uncertainty, alternated,
        )  # fmt: skip
        skipped = []
        yield below
