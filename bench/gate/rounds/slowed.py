"""Slowdowns of known size, for the self-check: more calls of the same function, on less data.

The extra calls follow those of each round, in the head's code and process, and the gate sees of
them only their time. How many there must be is found before the sample is taken, and then fixed:
what they cost moves with the machine as the rest does.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

from bench.measure.timing.rounds import ROUND_SECONDS, Round, calibrate
from bench.suite.registry import Kernel, Shape

# Extra calls in a round, as long as the function has no costs besides its operations: the number is
# whole, so that many come as close to what is wanted as this.
_FINENESS = 16
# To find their number: so often a first guess is corrected, by the median of so many rounds or of
# those of so many seconds.
_CORRECTIONS = 3
_FEWEST_ROUNDS = 5
_SECONDS = 5e-3


def halved(shape: Shape) -> Iterator[Shape]:
    """The shape, and those half as long on each side, down to a single element."""
    yield shape
    while max(shape) > 1:
        shape = tuple(max(1, n // 2) for n in shape)
        yield shape


def part_of(kernel: Kernel, shape: Shape, calls: float, slowdown: float) -> Shape:
    """The largest of its halves that is small against the slowdown of a round of so many calls."""
    most = kernel.flops(shape) * max(1.0, calls) * slowdown / _FINENESS
    smaller = shape
    for smaller in halved(shape):
        if kernel.flops(smaller) <= most:
            break
    return smaller


def slowed(
    whole: Round, part: Round, slowdown: float, least_seconds: float = ROUND_SECONDS
) -> Round:
    """Rounds of `whole` that take that much longer (0.03: 3 %), by calls of `part`."""
    calls = calibrate(whole, least_seconds=least_seconds)
    extra = 1.0  # in a round of so many calls
    for _ in range(_CORRECTIONS):
        shares: list[float] = []
        deadline = perf_counter() + _SECONDS
        while len(shares) < _FEWEST_ROUNDS or perf_counter() < deadline:
            shares.append(part(max(1, round(extra))) / whole(calls))
        extra = max(1, round(extra)) * slowdown / median(shares)
    owed = 0.0

    def take(calls_now: int) -> float:
        nonlocal owed
        owed += extra * calls_now / calls
        now = int(owed)
        owed -= now
        return whole(calls_now) + part(now)

    return take
