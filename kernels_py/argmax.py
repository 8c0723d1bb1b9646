"""The index of the largest element, the first of equals."""

from __future__ import annotations


def loop(x: list[float]) -> int:
    best = 0
    for i in range(len(x)):
        if x[i] > x[best]:
            best = i
    return best


def idiomatic(x: list[float]) -> int:
    return x.index(max(x)) if x else 0


def reference(x: list[float]) -> int:
    """The first NaN counts as the largest."""
    return next((i for i, v in enumerate(x) if v != v), idiomatic(x))
