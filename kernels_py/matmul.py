"""Matrix product: out[m, n] = a[m, k] b[k, n], flat row-major lists of float (or int)."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import mul


def loop(a: list[float], b: list[float], m: int, n: int, k: int) -> list[float]:
    out = [0.0] * (m * n)
    for i in range(m):
        for j in range(n):
            total = 0.0
            for p in range(k):
                total += a[i * k + p] * b[p * n + j]
            out[i * n + j] = total
    return out


def _sum_of_products(x: list[float], y: list[float]) -> float:
    return sum(map(mul, x, y), 0.0)


# CPython 3.12 has it in C, in extended precision, at less than half the time.
_dot: Callable[[list[float], list[float]], float] = getattr(math, "sumprod", _sum_of_products)


def idiomatic(a: list[float], b: list[float], m: int, n: int, k: int) -> list[float]:
    columns = [b[j::n] for j in range(n)]
    out: list[float] = []
    for i in range(m):
        row = a[i * k : (i + 1) * k]
        out += [_dot(row, column) for column in columns]
    return out


reference = idiomatic  # the sums are double, 2^29 times finer than the float32 they judge
