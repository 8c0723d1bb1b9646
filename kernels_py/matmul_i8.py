"""Integer matrix product: out[m, n] = a[m, k] b[k, n], flat row-major lists of int in int8."""

from __future__ import annotations

from kernels_py import matmul


def loop(a: list[int], b: list[int], m: int, n: int, k: int) -> list[int]:
    out = [0] * (m * n)
    for i in range(m):
        for j in range(n):
            total = 0
            for p in range(k):
                total += a[i * k + p] * b[p * n + j]
            out[i * n + j] = total
    return out


def idiomatic(a: list[int], b: list[int], m: int, n: int, k: int) -> list[int]:
    # Python multiplies floats faster than ints, and these sums (below 2^31) are exact in a double.
    product = matmul.idiomatic([*map(float, a)], [*map(float, b)], m, n, k)
    return [*map(int, product)]


reference = idiomatic
