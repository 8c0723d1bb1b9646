"""Layer normalisation:
out[r, c] = (x[r, c] - mean_r) / sqrt(variance_r + epsilon) * gain[c] + bias[c].

x is [rows, cols], flat; gain and bias are [cols]. Ba, Kiros and Hinton, arXiv:1607.06450.
"""

from __future__ import annotations

import math

EPSILON = 1e-5


def loop(
    x: list[float], gain: list[float], bias: list[float], rows: int = 1, epsilon: float = EPSILON
) -> list[float]:
    cols = len(gain)
    out = [0.0] * len(x)
    for r in range(rows):
        first = r * cols
        total = 0.0
        for i in range(first, first + cols):
            total += x[i]
        mean = total / max(cols, 1)
        squares = 0.0
        for i in range(first, first + cols):
            squares += (x[i] - mean) * (x[i] - mean)
        factor = 1.0 / math.sqrt(squares / max(cols, 1) + epsilon)
        for c in range(cols):
            out[first + c] = (x[first + c] - mean) * factor * gain[c] + bias[c]
    return out


def idiomatic(
    x: list[float], gain: list[float], bias: list[float], rows: int = 1, epsilon: float = EPSILON
) -> list[float]:
    cols = len(gain)
    out: list[float] = []
    for first in range(0, rows * cols, cols or 1):
        row = x[first : first + cols]
        mean = sum(row) / cols
        off = [v - mean for v in row]
        factor = 1.0 / math.sqrt(sum([v * v for v in off]) / cols + epsilon)
        out += [v * factor * g + b for v, g, b in zip(off, gain, bias, strict=True)]
    return out


def reference(
    x: list[float], gain: list[float], bias: list[float], rows: int = 1, epsilon: float = EPSILON
) -> list[float]:
    cols = len(gain)
    out: list[float] = []
    for first in range(0, rows * cols, cols or 1):
        mean, deviation = moments(x[first : first + cols], epsilon)
        row = zip(x[first : first + cols], gain, bias, strict=True)
        out += [(v - mean) / deviation * g + b for v, g, b in row]
    return out


def moments(row: list[float], epsilon: float) -> tuple[float, float]:
    """The mean, and sqrt(variance + epsilon), exactly rounded sums."""
    mean = math.fsum(row) / len(row)
    return mean, math.sqrt(math.fsum([(v - mean) ** 2 for v in row]) / len(row) + epsilon)
