"""Causal attention: out[i] = sum over j of softmax_j(q_i . k_j / sqrt(d)) v_j, head by head.

Of `length` positions, flat: queries [count, width] are those of the last `count`, keys and values
are [length, width]; each query attends to all positions up to its own. d = width / heads columns
belong to each head. Vaswani and others, arXiv:1706.03762.
"""

from __future__ import annotations

import math
from math import exp
from operator import mul

from kernels_py import softmax


def loop(
    queries: list[float], keys: list[float], values: list[float], count: int, width: int, heads: int
) -> list[float]:
    out = [0.0] * (count * width)
    if not out:
        return out
    start, d = len(keys) // width - count, width // heads
    for i in range(count):
        length = start + i + 1
        for h in range(heads):
            scores = [0.0] * length
            largest = -math.inf
            for j in range(length):
                total = 0.0
                for c in range(h * d, (h + 1) * d):
                    total += queries[i * width + c] * keys[j * width + c]
                scores[j] = total / math.sqrt(d)
                if scores[j] > largest:
                    largest = scores[j]
            total = 0.0
            for j in range(length):
                scores[j] = math.exp(scores[j] - largest)
                total += scores[j]
            for j in range(length):
                for c in range(h * d, (h + 1) * d):
                    out[i * width + c] += scores[j] / total * values[j * width + c]
    return out


def idiomatic(
    queries: list[float], keys: list[float], values: list[float], count: int, width: int, heads: int
) -> list[float]:
    if not count * width:
        return []
    length, d = len(keys) // width, width // heads
    start, scale = length - count, 1.0 / math.sqrt(d)
    out = [0.0] * (count * width)
    for first in range(0, width, d):
        rows = [keys[at : at + d] for at in range(first, length * width, width)]
        columns = [values[first + c :: width] for c in range(d)]
        for i in range(count):
            at = i * width + first
            query = [v * scale for v in queries[at : at + d]]
            scores = [sum(map(mul, query, row)) for row in rows[: start + i + 1]]
            largest = max(scores)
            powers = [exp(v - largest) for v in scores]
            total = sum(powers)
            out[at : at + d] = [sum(map(mul, powers, column)) / total for column in columns]
    return out


def reference(
    queries: list[float], keys: list[float], values: list[float], count: int, width: int, heads: int
) -> list[float]:
    out: list[float] = []
    start, d = (len(keys) // width if width else 0) - count, width // max(heads, 1)
    for i in range(count):
        for first in range(0, width, max(d, 1)):
            query = queries[i * width + first : i * width + first + d]
            places = range(first, (start + i + 1) * width, width)
            scores = [math.fsum(map(mul, query, keys[at : at + d])) for at in places]
            weights = softmax.reference([v / math.sqrt(d) for v in scores])
            columns = (values[first + c :: width] for c in range(d))
            out += [math.fsum(map(mul, weights, column)) for column in columns]
    return out
