"""Which token comes next, given logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from engine.errors import BadInput


def checked_temperature(temperature: float) -> float:
    """It as a float. Raises BadInput unless it is finite and not negative."""
    try:
        value = float(temperature)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(f"temperature: got {temperature!r:.40}, needs 0 (the likeliest) or more")
    return value


def argmax(logits: Sequence[float]) -> int:
    """The index of the largest, the first of equals."""
    return logits.index(max(logits))


def sample(logits: Sequence[float], temperature: float, random: Random) -> int:
    """An index by softmax(logits / temperature), in double precision; temperature > 0."""
    largest = max(logits)
    # A temperature near 0 makes -inf of what is not the largest, and exp(-inf) is 0.
    weights = [math.exp((v - largest) / temperature) for v in logits]
    cumulative = [*accumulate(weights)]
    if not math.isfinite(cumulative[-1]):
        raise BadInput("the model's logits are not finite: it cannot go on from here")
    chosen = random.random() * cumulative[-1]
    # random() < 1 yet the product may round up to the total: the last index that has weight.
    return next(
        (i for i, c in enumerate(cumulative) if c > chosen), cumulative.index(cumulative[-1])
    )
