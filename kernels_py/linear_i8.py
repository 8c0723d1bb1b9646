"""A linear layer on int8: out[m, n] = (x[m, k] w[k, n]) x_scales[m] scales[n] + bias[n].

x and w are whole numbers, their product exact; a scale for each row of x and each column of w.
"""

from __future__ import annotations

from kernels_py import matmul_i8


def loop(
    x: list[int],
    x_scales: list[float],
    w: list[int],
    scales: list[float],
    bias: list[float],
    m: int,
    n: int,
    k: int,
) -> list[float]:
    out = [0.0] * (m * n)
    for i in range(m):
        for j in range(n):
            total = 0
            for p in range(k):
                total += x[i * k + p] * w[p * n + j]
            out[i * n + j] = total * x_scales[i] * scales[j] + bias[j]
    return out


def idiomatic(
    x: list[int],
    x_scales: list[float],
    w: list[int],
    scales: list[float],
    bias: list[float],
    m: int,
    n: int,
    k: int,
) -> list[float]:
    sums = matmul_i8.idiomatic(x, w, m, n, k)
    out: list[float] = []
    for i, factor in enumerate(x_scales):
        row = zip(sums[i * n : (i + 1) * n], scales, bias, strict=True)
        out += [v * factor * s + b for v, s, b in row]
    return out


reference = idiomatic  # three roundings in double
