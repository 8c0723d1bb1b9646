"""GELU, exact form: out[i] = x/2 (1 + erf(x / sqrt 2)).

Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415.
"""

from __future__ import annotations

import math
from math import erfc

SQRT_HALF = math.sqrt(0.5)


def loop(x: list[float]) -> list[float]:
    out = [0.0] * len(x)
    for i in range(len(x)):
        out[i] = 0.5 * x[i] * (1.0 + math.erf(x[i] * SQRT_HALF))
    return out


def idiomatic(x: list[float]) -> list[float]:
    # erfc(-t) is 1 + erf(t) without the addition, and without its cancellation below zero.
    c = -SQRT_HALF
    return [0.5 * v * erfc(v * c) for v in x]


reference = idiomatic
