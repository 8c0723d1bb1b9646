"""One sample: two calls that should cost the same, in short alternating rounds, and what it says.

A sample is the unit of the gate's statistics. It is taken in a process of its own, with libraries,
modules and buffers placed anew, so that what an address does to a time is different in the next one
and falls alike on both sides. Within a sample the sides share their input, and the machine's slow
stretches, which last thousands of rounds, fall on neighbours alike: the median of the log-ratios of
adjacent rounds sees neither.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from bench.measure.timing.rounds import ROUND_SECONDS, Round, calibrate, garbage_collection_off

# Twice as long a sample is steadier by a tenth; what scatters is where things lie, which more
# samples average out.
SAMPLE_SECONDS = 0.06
FEWEST_ABBA_BLOCKS = 2  # four rounds, two pairs each; a call of any length gets that many
_WARM_SECONDS = 4e-3  # caches, branch predictors, the interpreter's specialisation


@dataclass
class Sample:
    """Seconds of a call in each round; base[i] was taken right before or after head[i]."""

    calls: int = 1  # in each round
    base: list[float] = field(default_factory=list)
    head: list[float] = field(default_factory=list)

    @property
    def value(self) -> float:
        """ln(head / base): 0.03 where the head takes 3 % longer."""
        return median(math.log(h / b) for b, h in zip(self.base, self.head, strict=True))


def take_sample(
    base: Round,
    head: Round,
    draw: random.Random,
    seconds: float = SAMPLE_SECONDS,
    round_seconds: float = ROUND_SECONDS,
) -> Sample:
    """ABBA blocks of rounds for so long: base head head base, or head base base head, as drawn.

    They are warmed in such blocks too. What branch predictors learn of one side they forget of the
    other, and that lasts: warmed one after the other, the same GELU of 10,000 values took 2.5 %
    less on the side that came second, in nearly every sample.
    """
    with garbage_collection_off():
        first, second = draw.sample((base, head), 2)
        sample = Sample(calibrate(first, second, least_seconds=round_seconds))
        warm = Sample(sample.calls)
        deadline = perf_counter() + _WARM_SECONDS
        while perf_counter() < deadline:
            _take_abba_block(warm, base, head, draw)
        deadline = perf_counter() + seconds
        while len(sample.base) < 2 * FEWEST_ABBA_BLOCKS or perf_counter() < deadline:
            _take_abba_block(sample, base, head, draw)
    return sample


def _take_abba_block(sample: Sample, base: Round, head: Round, draw: random.Random) -> None:
    first, second = draw.sample(((base, sample.base), (head, sample.head)), 2)
    for take, seconds in (first, second, second, first):
        seconds.append(take(sample.calls) / sample.calls)
