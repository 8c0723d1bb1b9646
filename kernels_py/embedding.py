"""Embedding: out[i] = table[tokens[i]] + positions[i], rows of `width`, flat."""

from __future__ import annotations

from operator import add


def loop(tokens: list[int], table: list[float], positions: list[float], width: int) -> list[float]:
    out = [0.0] * (len(tokens) * width)
    for i in range(len(tokens)):
        for c in range(width):
            out[i * width + c] = table[tokens[i] * width + c] + positions[i * width + c]
    return out


def idiomatic(
    tokens: list[int], table: list[float], positions: list[float], width: int
) -> list[float]:
    out: list[float] = []
    for i, token in enumerate(tokens):
        row = table[token * width : (token + 1) * width]
        out += map(add, row, positions[i * width : (i + 1) * width])
    return out


reference = loop
