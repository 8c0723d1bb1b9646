"""Softmax, every tier, beyond test_native_accuracy.py: its exponential over all of its range, rows
that no cache holds, and thousands of rows that a register holds."""

from __future__ import annotations

import math
import random
from array import array
from functools import cache

import pytest

import kernels_c
from kernels_py import softmax
from tests.native import (
    SOFTMAX,
    Memory,
    assert_within,
    bound_of,
    filled,
    float32,
    floats_of,
    pattern_of,
    same_bits_everywhere,
)

# The distance between two elements: all of (0, 104), beyond which the smaller result is 0.
STRIDE = 20011  # prime; 400 points in every binade
DENSE_STRIDE = 997  # prime; for the 2^23 floats of [16, 32)


@cache
def pairs(base: float) -> tuple[array[float], list[float]]:
    """Rows of `base` and what lies below it, in either order, and the true result."""
    patterns = [*range(1, pattern_of(104.0), STRIDE)]
    patterns += range(pattern_of(16.0), pattern_of(32.0), DENSE_STRIDE)
    x, truth = array("f"), []
    for number, distance in enumerate(floats_of(patterns)):
        below = float32(base - distance)
        power = math.exp(below - base)
        row, result = (base, below), (1 / (1 + power), power / (1 + power))
        x.extend(row if number % 2 else row[::-1])
        truth += result if number % 2 else result[::-1]
    return x, truth


# Where searches through millions of pairs found the largest errors, of this and of other ways to
# compute the exponential.
LEADERS = ("0x1.dcacdcp-1", "0x1.920322p+2", "-0x1.1a7c1cp+4", "-0x1.45a694p+6", "-0x1.0fa5f2p+8")


@pytest.mark.parametrize("base", [0.0, 0.75, -300.5, 600.0, *map(float.fromhex, LEADERS)])
def test_the_exponential_is_within_the_bound_over_all_of_its_range(
    tier: kernels_c.Tier, base: float
) -> None:
    """600 is beyond 512, where avx2 changes its method."""
    x, truth = pairs(base)
    source, out = filled("f", x), Memory("f", len(x))
    tier.softmax(source.view, out.view, rows=len(x) // 2)
    assert out.guards_intact()
    assert_within(bound_of(SOFTMAX, tier), (len(x) // 2, 2), out.view, truth, x)


@pytest.mark.parametrize("shape", [(2, 1_000_003), (3, 1_048_576), (5, 70_001)], ids=str)
def test_long_rows(tier: kernels_c.Tier, shape: tuple[int, int]) -> None:
    """Each row is a short piece over and over: its truth takes a thousand exponentials."""
    rows, cols = shape
    draw = random.Random(9)
    piece = array("f", [draw.uniform(-20.0, 20.0) for _ in range(1009)])
    whole, rest = divmod(cols, len(piece))
    x = (piece * (whole + 1))[:cols] * rows
    out = array("f", bytes(4 * len(x)))
    tier.softmax(x, out, rows)
    powers = [math.exp(v) for v in piece]
    total = math.fsum([whole * math.fsum(powers), *powers[:rest]])
    truth = [power / total for power in powers]
    for row in range(rows):
        result = out[row * cols : (row + 1) * cols]
        for start in (0, cols // 2 // 1009 * 1009, cols - rest - 1009):
            part = result[start : start + 1009]
            assert_within(bound_of(SOFTMAX, tier), (1, cols), part, truth, piece)
        if same_bits_everywhere(tier, SOFTMAX.name):
            assert result == (result[:1009] * (whole + 1))[:cols]


@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_thousands_of_short_rows(tier: kernels_c.Tier, spread: float) -> None:
    draw = random.Random(10)
    for cols in range(1, 41):
        few = array("f", [draw.uniform(-spread, spread) for _ in range(29 * cols)])
        truth = []
        for row in range(29):
            truth += softmax.reference(few[row * cols : (row + 1) * cols].tolist())
        source, out = filled("f", few * 101), Memory("f", len(few) * 101)
        tier.softmax(source.view, out.view, rows=29 * 101)
        assert out.guards_intact()
        assert_within(bound_of(SOFTMAX, tier), (29, cols), out.view[: len(few)], truth, few)
        assert out.bytes == bytes(out.bytes[: 4 * len(few)]) * 101, cols
