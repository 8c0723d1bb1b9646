"""From which size on native code is faster than the fastest Python: from the times of a saved run,
by linear interpolation between its sizes."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from bench.saved.runs import BadRun, Metadata, Run

# Two times that differ by no more than this share of either could change places in another run.
NEAR = 0.10
# What native code is reached by: a variant's suffix, and what the table calls it.
CALL_PATHS = {"": "pointers", "_checked": "checked", "_lists": "lists"}
TIERS = ("scalar", "avx2")


@dataclass(frozen=True)
class BreakEven:
    """From which size on a native variant is always faster than Python, as far as was measured.

    size               None: it is not faster at the largest; `smallest`: it is at every size
    smallest, largest  that both were measured at
    near_from          the same if the native variant took 10 % less time,
    near_to            and 10 % more; between these two sizes the times are about equal
    """

    kernel: str
    variant: str
    counts: str  # what a size counts: elements, columns, side
    size: int | None
    smallest: int
    largest: int
    near_from: int | None
    near_to: int | None


# --- Times by size -------------------------------------------------------------------------------

# How a size is written, by the dimensions of a shape, and which of such shapes are compared: those
# that grow in one way only. Time is proportional to size ** power.
SIZES = {1: ("elements", 1), 2: ("columns", 1), 3: ("side", 3)}


@dataclass(frozen=True)
class TimesBySize:
    """How long each variant of a kernel takes, by size."""

    kernel: str
    counts: str  # what a size counts: elements, columns of one row, the side of square matrices
    power: int
    seconds: dict[str, dict[int, float]]

    @property
    def python(self) -> dict[int, float]:
        """Of the fastest Python variant at each size."""
        fastest: dict[int, float] = {}
        for variant, seconds in self.seconds.items():
            for size, own in seconds.items() if variant.startswith("py-") else ():
                fastest[size] = min(own, fastest.get(size, math.inf))
        return fastest


def times_by_size(run: Run) -> list[TimesBySize]:
    """Of every kernel, in the order of measurement. Raises BadRun."""
    found: dict[str, TimesBySize] = {}
    for result, metadata in run.ours:
        size = _size(metadata)
        if size is None or metadata.program:
            continue
        counts, power = SIZES[len(metadata.shape)]
        of_kernel = found.setdefault(
            metadata.kernel, TimesBySize(metadata.kernel, counts, power, {})
        )
        if (of_kernel.counts, of_kernel.power) != (counts, power):
            raise BadRun(
                f"{run.source}: {result.fullname}: extra_info.shape has {len(metadata.shape)} "
                f"dimensions, needs as many as others of {metadata.kernel}"
            )
        if metadata.side == "python" or not metadata.relaxed:
            of_kernel.seconds.setdefault(metadata.variant, {})[size] = result.minimum
    return list(found.values())


def _size(metadata: Metadata) -> int | None:
    """None for a shape that does not grow in the way that is compared, and for an empty one."""
    *others, last = metadata.shape or (0,)
    if len(metadata.shape) not in SIZES or last < 1:
        return None
    expected = {2: [1], 3: [last, last]}.get(len(metadata.shape), [])
    return last if others == expected else None


# --- Break-even ----------------------------------------------------------------------------------


def break_evens(run: Run) -> list[BreakEven]:
    """Of every kernel and call path that was measured beside Python, in that order."""
    variants = [f"c-{tier}{path}" for path in CALL_PATHS for tier in TIERS]
    found = [_break_even(k, v) for k in times_by_size(run) for v in variants if v in k.seconds]
    return [one for one in found if one is not None]


def _break_even(of_kernel: TimesBySize, variant: str) -> BreakEven | None:
    python, native = of_kernel.python, of_kernel.seconds[variant]
    sizes = sorted(python.keys() & native.keys())
    if not sizes:
        return None

    def with_native_times(factor: float) -> int | None:
        lead = {size: python[size] - factor * native[size] for size in sizes}
        return first_always_positive(lead, of_kernel.power)

    return BreakEven(
        of_kernel.kernel,
        variant,
        of_kernel.counts,
        with_native_times(1.0),
        sizes[0],
        sizes[-1],
        with_native_times(1 / (1 + NEAR)),
        with_native_times(1 + NEAR),
    )


def first_always_positive(values: dict[int, float], power: int = 1) -> int | None:
    """The smallest whole n from which on a function is positive up to the largest n of `values`.
    Between those it is linear in n ** power. None where it is not positive at the largest."""
    sizes = sorted(values)
    if values[sizes[-1]] <= 0:
        return None
    before = max((size for size in sizes if values[size] <= 0), default=None)
    if before is None:
        return sizes[0]
    after = next(size for size in sizes if size > before)
    rise = (values[after] - values[before]) / (after**power - before**power)
    return before + bisect_right(
        range(before, after), 0.0, key=lambda n: values[before] + rise * (n**power - before**power)
    )
