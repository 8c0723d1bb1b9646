"""How far a result is from the reference, in units in the last place of float32."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import frexp, ldexp
from operator import mul, sub


class WrongResult(AssertionError):
    """A kernel's output is outside its documented bound; the message says where and by how much."""


@dataclass(frozen=True)
class Worst:
    """The largest error of a result and where it stands."""

    error: float
    index: int


def inverse_ulps(values: Iterable[float]) -> list[float]:
    """1 / (spacing of float32 at v), for each v. Below 2^-126 the spacing stays 2^-149."""
    return [
        ldexp(1.0, 24 - (exponent if exponent > -125 else -125))
        for _, exponent in map(frexp, values)
    ]


def worst_error(
    result: Sequence[float], reference: Sequence[float], inverse_units: Sequence[float]
) -> Worst:
    """max |result - reference| * inverse_units. A NaN or infinity in a result that should be finite
    counts as an infinite error."""
    errors = list(map(mul, map(abs, map(sub, result, reference)), inverse_units))
    if not errors:
        return Worst(0.0, 0)
    if not math.isfinite(sum(errors)):  # max() alone would step over NaN
        index = next(i for i, e in enumerate(errors) if not math.isfinite(e))
        return Worst(math.inf, index)
    largest = max(errors)
    return Worst(largest, errors.index(largest))
