"""Symmetric quantisation, a scale a row: scales[r] = max |x[r, c]| / 127, and
out[r, c] = round_half_even(x[r, c] * (127 / max |x[r, c]|)).

x is [rows, cols], flat; the result is (out, scales). loop and idiomatic multiply in double
precision; where the product lies within float32 rounding of a tie they may differ from the float32
definition by one step. They need finite x.
"""

from __future__ import annotations

import math
from array import array

# 1.5 * 2^52: adding it to a double leaves a whole number, rounded half to even.
_TO_INT = 6755399441055744.0


def loop(x: list[float], rows: int = 1) -> tuple[list[int], list[float]]:
    cols = len(x) // rows if rows else 0
    out, scales = [0] * len(x), [0.0] * rows
    for r in range(rows):
        largest = 0.0
        for i in range(r * cols, (r + 1) * cols):
            if abs(x[i]) > largest:
                largest = abs(x[i])
        scales[r] = largest / 127.0
        if largest > 0.0:
            for i in range(r * cols, (r + 1) * cols):
                out[i] = round(x[i] * (127.0 / largest))
    return out, scales


def idiomatic(x: list[float], rows: int = 1) -> tuple[list[int], list[float]]:
    """Adding a constant rounds faster than calling round()."""
    cols, c = len(x) // rows if rows else 0, _TO_INT
    out: list[int] = []
    scales: list[float] = []
    for first in range(0, rows * cols, cols or 1):
        row = x[first : first + cols]
        low, high = min(row), max(row)
        largest = max(high, -low)
        scale = 127.0 / largest if largest else 0.0
        scales.append(largest / 127.0)
        out += [int(v * scale + c - c) for v in row]
    return out, scales or [0.0] * rows


def reference(x: list[float], rows: int = 1) -> tuple[list[int], list[float]]:
    """By the definition, each operation rounded to float32; a row that holds NaN or infinity has
    the scale NaN and zeros."""
    cols = len(x) // rows if rows else 0
    out: list[int] = []
    scales: list[float] = []
    for r in range(rows):
        row = x[r * cols : (r + 1) * cols]
        finite = all(map(math.isfinite, row))
        largest = max(map(abs, row), default=0.0) if finite else math.nan
        scale = min(_float32(127.0 / largest), _LARGEST) if largest > 0.0 else 0.0
        scales.append(_float32(largest / 127.0))
        out += [round(_float32(v * scale)) for v in row] if finite else [0] * cols
    return out, scales


_LARGEST = 2.0**128 - 2.0**104


def _float32(v: float) -> float:
    return float(array("f", [v])[0]) if abs(v) < 2.0**128 or v != v else math.copysign(math.inf, v)
