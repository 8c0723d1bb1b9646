"""A float product through int8: quantise both matrices, multiply exactly, dequantise.

    out[m, n] = float(q(a, scale_a) q(b, scale_b)) * (1 / (scale_a scale_b))

Scales are per tensor and given, as they are for calibrated weights and activations.
"""

from __future__ import annotations

from kernels_py import matmul_i8, quantize


def loop(
    a: list[float], b: list[float], m: int, n: int, k: int, scale_a: float, scale_b: float
) -> list[float]:
    product = matmul_i8.loop(quantize.loop(a, scale_a), quantize.loop(b, scale_b), m, n, k)
    unit = 1.0 / (scale_a * scale_b)
    out = [0.0] * len(product)
    for i in range(len(product)):
        out[i] = product[i] * unit
    return out


def idiomatic(
    a: list[float], b: list[float], m: int, n: int, k: int, scale_a: float, scale_b: float
) -> list[float]:
    qa, qb = quantize.idiomatic(a, scale_a), quantize.idiomatic(b, scale_b)
    unit = 1.0 / (scale_a * scale_b)
    return [v * unit for v in matmul_i8.idiomatic(qa, qb, m, n, k)]


def reference(
    a: list[float], b: list[float], m: int, n: int, k: int, scale_a: float, scale_b: float
) -> list[float]:
    qa, qb = quantize.reference(a, scale_a), quantize.reference(b, scale_b)
    unit = 1.0 / (scale_a * scale_b)
    return [v * unit for v in matmul_i8.reference(qa, qb, m, n, k)]
