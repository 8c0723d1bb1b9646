"""The largest GELU (tanh form) of each column: out[c] = max over r of GELU(x[r, c]).

x is [rows, cols], flat: how strongly each feature is present anywhere.
"""

from __future__ import annotations

from kernels_py import gelu_tanh


def loop(x: list[float], rows: int) -> list[float]:
    cols = len(x) // rows if rows else 0
    out = gelu_tanh.loop(x[:cols])
    for r in range(1, rows):
        row = gelu_tanh.loop(x[r * cols : (r + 1) * cols])
        for c in range(cols):
            if row[c] > out[c]:
                out[c] = row[c]
    return out


def idiomatic(x: list[float], rows: int) -> list[float]:
    """GELU falls up to -0.75 and rises from there: of a column the largest element has the largest
    GELU, or the smallest one has."""
    cols = len(x) // rows if rows else 0
    columns = [x[c::cols] for c in range(cols)]
    of_largest = gelu_tanh.idiomatic([max(column) for column in columns])
    of_smallest = gelu_tanh.idiomatic([min(column) for column in columns])
    return [max(pair) for pair in zip(of_largest, of_smallest, strict=True)]


def reference(x: list[float], rows: int) -> list[float]:
    cols = len(x) // rows if rows else 0
    values = gelu_tanh.reference(x)
    return [max(values[c::cols]) for c in range(cols)]
