"""Softmax: out[r, c] = exp(x[r, c] - max_r) / sum over c of exp(x[r, c] - max_r).

x is [rows, cols], flat; the largest element of each row is subtracted so that exp cannot overflow.
"""

from __future__ import annotations

import math
from math import exp


def loop(x: list[float], rows: int = 1) -> list[float]:
    if not x:
        return []
    cols = len(x) // rows
    out = [0.0] * len(x)
    for r in range(rows):
        first = r * cols
        largest = x[first]
        for i in range(first, first + cols):
            if x[i] > largest:
                largest = x[i]
        total = 0.0
        for i in range(first, first + cols):
            out[i] = math.exp(x[i] - largest)
            total += out[i]
        for i in range(first, first + cols):
            out[i] = out[i] / total
    return out


def idiomatic(x: list[float], rows: int = 1) -> list[float]:
    if not x:
        return []
    cols = len(x) // rows
    out: list[float] = []
    for first in range(0, len(x), cols):
        row = x[first : first + cols] if rows > 1 else x
        largest = max(row)
        powers = [exp(v - largest) for v in row]
        total = sum(powers)
        out += [p / total for p in powers]
    return out


def reference(x: list[float], rows: int = 1) -> list[float]:
    if not x:
        return []
    cols = len(x) // rows
    out: list[float] = []
    for first in range(0, len(x), cols):
        row = x[first : first + cols]
        largest = max(row)
        powers = [exp(v - largest) for v in row]
        total = math.fsum(powers)
        out += [p / total for p in powers]
    return out
