"""A linear layer: out[m, n] = x[m, k] w[k, n] + bias[n], flat row-major lists."""

from __future__ import annotations

from kernels_py import matmul


def loop(x: list[float], w: list[float], bias: list[float], m: int, n: int, k: int) -> list[float]:
    out = [0.0] * (m * n)
    for i in range(m):
        for j in range(n):
            total = bias[j]
            for p in range(k):
                total += x[i * k + p] * w[p * n + j]
            out[i * n + j] = total
    return out


def idiomatic(
    x: list[float], w: list[float], bias: list[float], m: int, n: int, k: int
) -> list[float]:
    return [v + b for v, b in zip(matmul.idiomatic(x, w, m, n, k), bias * m, strict=True)]


reference = idiomatic  # the sums are double, 2^29 times finer than the float32 they judge
