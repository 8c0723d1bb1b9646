"""GELU, tanh form: out[i] = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415.
"""

from __future__ import annotations

import math
from math import exp

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)


def loop(x: list[float]) -> list[float]:
    out = [0.0] * len(x)
    for i in range(len(x)):
        u = SQRT_2_OVER_PI * (x[i] + 0.044715 * x[i] * x[i] * x[i])
        out[i] = 0.5 * x[i] * (1.0 + math.tanh(u))
    return out


def idiomatic(x: list[float]) -> list[float]:
    """The same function as x / (1 + exp(-2u)): one operation less, and exp is faster than tanh.
    Needs finite x."""
    c0 = -2.0 * SQRT_2_OVER_PI
    c1 = c0 * 0.044715
    try:
        return [v / (1.0 + exp(v * (c0 + c1 * v * v))) for v in x]
    except OverflowError:  # some x below -21, where the result is 0
        return loop(x)


def reference(x: list[float]) -> list[float]:
    c0 = -2.0 * SQRT_2_OVER_PI
    c1 = c0 * 0.044715
    return [v / (1.0 + exp(min(v * (c0 + c1 * v * v), 700.0))) for v in x]
