"""How a variant's time grows with size: exponent, cost in each level of memory, jumps between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bench.analysis.changes import spread
from bench.analysis.levels import LEVELS, cache_sizes, level_of
from bench.saved.runs import Metadata, Run
from bench.stats import fits
from bench.stats.fits import Fit

# A time is about the work, and no longer about the call, where it is at least so many times the
# overhead.
BEYOND_OVERHEAD = 2
_FEWEST_FITTED = 3
# What rises inside a level is said from a tenth on, where it is this part of the jump, as a power.
_LEAST_RISE, _FAIR_PART = 1.1, 0.25
_MOST_WORK = 1e30  # of a believable shape


@dataclass(frozen=True)
class Point:
    """One benchmark. Work is counted in elements, for products in multiply-adds (m n k)."""

    size: str
    work: int
    seconds: float  # the minimum
    spread: float | None  # interquartile range over the median; None for a single round
    confirmed: bool
    level: str | None  # None: the run does not say how large the caches are


@dataclass(frozen=True)
class InLevel:
    """A variant within one level of memory, beyond the overhead of the call.

    seconds_per_unit  for one element at its best size there
    at_largest        for one element at its largest size there
    scatter           of the former, relative; None for a single round
    fit               over its sizes in the level; None for one size
    """

    level: str
    seconds_per_unit: float
    at_largest: float
    scatter: float | None
    confirmed: bool
    fit: Fit | None


@dataclass(frozen=True)
class LevelJump:
    """From one level to the next one that was measured."""

    before: InLevel
    after: InLevel

    @property
    def factor(self) -> float:
        """How many times as long an element takes."""
        return self.after.seconds_per_unit / self.before.seconds_per_unit

    @property
    def beyond_scatter(self) -> bool:
        """Whether it is larger than both sides' scatter together."""
        sides = (self.before.scatter, self.after.scatter)
        return None not in sides and abs(self.factor - 1) > math.fsum(s or 0.0 for s in sides)

    @property
    def inside(self) -> float | None:
        """The part of `factor` by which an element costs more already at the largest size in the
        level before, where it is a fair part: the border is then not the whole cause."""
        rise = self.before.at_largest / self.before.seconds_per_unit
        scatter = 2 * (self.before.scatter or 0.0)
        least = max(_LEAST_RISE, 1 + scatter, self.factor**_FAIR_PART)
        return rise if self.factor > 1 and rise >= least else None

    @property
    def confirmed(self) -> bool:
        return self.before.confirmed and self.after.confirmed


@dataclass(frozen=True)
class Scaling:
    """One variant of a kernel over its sizes, the smallest first."""

    kernel: str
    variant: str
    per: str  # what work is counted in: "element" or "multiply-add"
    points: tuple[Point, ...]

    @cached_property
    def overhead(self) -> float | None:
        """Seconds; see fits.overhead."""
        return fits.overhead([(p.work, p.seconds) for p in self.points])

    def _work_seconds(self, point: Point) -> float:
        return point.seconds - (self.overhead or 0.0)

    def _cost(self, point: Point) -> float:
        return self._work_seconds(point) / point.work

    def _power(self, points: Sequence[Point]) -> Fit | None:
        return fits.power([(p.work, self._work_seconds(p)) for p in points])

    @cached_property
    def fitted(self) -> list[Point]:
        """Those at which the work outweighs the call. The smallest size is used up where it has
        told the overhead: that the second one costs the same would be no finding."""
        if not self.overhead:
            return list(self.points)
        smallest, least = self.points[0].work, BEYOND_OVERHEAD * self.overhead
        return [p for p in self.points if p.work > smallest and p.seconds >= least]

    @cached_property
    def fit(self) -> Fit | None:
        """t = overhead + a work^exponent, over `fitted`; None for fewer than three of them."""
        return self._power(self.fitted) if len(self.fitted) >= _FEWEST_FITTED else None

    @cached_property
    def levels(self) -> dict[str, InLevel]:
        """Those with a size at which the work outweighs the call."""
        found = {}
        for level in LEVELS:
            inside = [point for point in self.fitted if point.level == level]
            if inside:
                found[level] = self._in_level(level, inside)
        return found

    def _in_level(self, level: str, inside: list[Point]) -> InLevel:
        best = min(inside, key=self._cost)
        # What is left without the overhead carries all the scatter of the whole.
        whole = best.seconds / self._work_seconds(best)
        return InLevel(
            level=level,
            seconds_per_unit=self._cost(best),
            at_largest=self._cost(inside[-1]),
            scatter=None if best.spread is None else best.spread * whole,
            confirmed=best.confirmed,
            fit=self._power(inside),
        )

    @property
    def jumps(self) -> list[LevelJump]:
        return [LevelJump(before, after) for before, after in pairwise(self.levels.values())]

    @property
    def largest_jump(self) -> LevelJump | None:
        """None where nothing becomes slower from one level to the next."""
        slower = [jump for jump in self.jumps if jump.factor > 1]
        return max(slower, key=lambda jump: jump.factor, default=None)


def scalings(run: Run, kernels: Sequence[str] = ()) -> list[Scaling]:
    """Every variant of the kernels (of all without any), in the order of measurement."""
    caches = cache_sizes(run)
    found: dict[tuple[str, str], list[Point]] = {}
    counted: dict[tuple[str, str], str] = {}
    for result, metadata in run.ours:
        if (kernels and metadata.kernel not in kernels) or not has_work(metadata):
            continue
        key = (metadata.kernel, metadata.variant)
        counted[key] = counted_in(metadata)
        point = Point(
            size=metadata.size,
            work=work(metadata),
            seconds=result.minimum,
            spread=spread(result),
            confirmed=metadata.confirmed,
            level=level_of(metadata, caches),
        )
        found.setdefault(key, []).append(point)
    return [
        Scaling(*key, counted[key], tuple(sorted(points, key=lambda p: p.work)))
        for key, points in found.items()
    ]


def work(metadata: Metadata) -> int:
    """Elements; multiply-adds of a product, [m, k] by [k, n]."""
    return math.prod(metadata.shape)


def has_work(metadata: Metadata) -> bool:
    """Whether there is something to place on an axis of sizes."""
    return not metadata.program and 1 <= work(metadata) <= _MOST_WORK


def counted_in(metadata: Metadata) -> str:
    return "multiply-add" if len(metadata.shape) == 3 else "element"
