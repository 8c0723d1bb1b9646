"""The cases that are matrix products: float32, int8, and float32 through int8."""

from __future__ import annotations

import math
import random
from array import array
from functools import cached_property
from operator import mul, sub
from typing import Any

import kernels_c
from bench.measure.cases.buffers import SEED, Buffer
from bench.measure.cases.case import Called, Case, Numbers, pointer
from bench.measure.cases.errors_in_ulp import WrongResult, inverse_ulps
from bench.suite.registry import Shape, Unit
from kernels_py import matmul, matmul_i8, quantize

# A product of more multiply-adds than this is checked in some rows, and whole by a random vector:
# computing it in Python would take longer than timing it.
_CHECKED_WHOLE = 20_000_000
_SAMPLED_ROWS = 8
# Python takes 30-100 ns for each.
_SLOW_MULTIPLY_ADDS = 10_000_000


class ProductCase(Case):
    """float32 [m, k], [k, n] -> float32 [m, n]."""

    low, high = -1.0, 1.0
    scales: tuple[float, ...] = ()

    @property
    def slow_in_python(self) -> bool:
        return math.prod(self.shape) > _SLOW_MULTIPLY_ADDS

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, *self.shape, *self.scales)

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        error = super().check(what, implementation, result)
        if len(self.checked_rows) < self.shape[0]:
            limit = self.kernel.accepted(implementation).at(self.shape)
            self.check_by_vector(what, result, limit)
        return error

    @cached_property
    def checked_rows(self) -> list[int]:
        m, n, k = self.shape
        if m * n * k <= _CHECKED_WHOLE or m <= _SAMPLED_ROWS:
            return list(range(m))
        return sorted({0, m - 1, *random.Random(SEED).sample(range(m), _SAMPLED_ROWS)})

    def checked_part(self, result: Numbers) -> list[float]:
        n = self.shape[1]
        return [v for i in self.checked_rows for v in result[i * n : (i + 1) * n]]

    @cached_property
    def checked_operands(self) -> tuple[list[Any], list[Any]]:
        """The checked rows of a, and b."""
        (a, b), k = self.lists, self.shape[2]
        return [v for i in self.checked_rows for v in a[i * k : (i + 1) * k]], b

    @property
    def checked_shape(self) -> Shape:
        return (len(self.checked_rows), *self.shape[1:])

    @cached_property
    def reference(self) -> Numbers:
        """Of the checked rows."""
        found: Numbers = self.module.reference(
            *self.checked_operands, *self.checked_shape, *self.scales
        )
        return found

    def _computed_inverse(self, unit: Unit) -> Numbers:
        if unit is not Unit.PRODUCTS:
            return super()._computed_inverse(unit)
        a, b = ([abs(v) for v in matrix] for matrix in self.checked_operands)
        return inverse_ulps(matmul.reference(a, b, *self.checked_shape))

    def check_by_vector(self, what: str, result: Numbers, limit: float) -> None:
        """result @ r must be a @ (b @ r) for a random r of +-1, within `limit` ULP of every element
        (Freivalds, Probabilistic Machines Can Use Less Running Time, IFIP 1977)."""
        m, n, k = self.shape
        a, b = self.lists
        draw = random.Random(SEED + 2)
        r = [draw.choice((-1.0, 1.0)) for _ in range(n)]
        row_sums = matmul.reference([abs(v) for v in b], [1.0] * n, k, 1, n)
        scale = matmul.reference([abs(v) for v in a], row_sums, m, 1, k)
        allowed = [limit * 2.0**-23 * v for v in scale]  # an ULP of v is at most 2^-23 v
        expected = matmul.reference(a, matmul.reference(b, r, k, 1, n), m, 1, k)
        got = matmul.reference(list(result), r, m, 1, n)
        _require_equal_rows(what, got, expected, allowed)


class IntegerProductCase(ProductCase):
    """int8 [m, k], [k, n] -> int32 [m, n]."""

    low, high = -128, 127

    def check_by_vector(self, what: str, result: Numbers, limit: float) -> None:
        integer_check_by_vector(what, list(map(int, result)), self.lists, self.shape)


class QuantizedProductCase(ProductCase):
    """float32 [m, k], [k, n] -> float32 [m, n], through int8: a chain of four calls."""

    scales = (127.0, 127.0)  # the inputs are in [-1, 1]

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        """On a grid of 2^-16: 17 bits times 7 bits of scale is exact in float32 too, so both sides
        quantise to the same steps and the products must be equal."""
        return tuple(array("f", [round(v * 65536) / 65536 for v in x]) for x in super().inputs)

    @cached_property
    def _scratch(self) -> tuple[Buffer, Buffer, Buffer]:
        m, n, k = self.shape
        return Buffer("b", m * k, 1), Buffer("b", k * n, 3), Buffer("i", m * n, 4)

    def native_call(self, tier: kernels_c.Tier, function: str) -> Called:
        m, n, k = self.shape
        memory = (*self.buffers, *self._scratch, self.out)
        a, b, qa, qb, product, out = (pointer(tier, buffer) for buffer in memory)
        lib, (scale_a, scale_b), unit = tier.lib, self.scales, 1.0 / math.prod(self.scales)

        def quantized_matmul() -> None:
            lib.quantize_f32_i8(a, qa, m * k, scale_a)
            lib.quantize_f32_i8(b, qb, k * n, scale_b)
            lib.matmul_i8_i32(qa, qb, product, m, n, k)
            lib.dequantize_i32_f32(product, out, m * n, unit)

        return quantized_matmul, ()

    @cached_property
    def _quantized(self) -> tuple[list[int], ...]:
        return tuple(map(quantize.reference, self.lists, self.scales))

    def check_by_vector(self, what: str, result: Numbers, limit: float) -> None:
        scale = math.prod(self.scales)
        steps = [round(v * scale) for v in result]
        integer_check_by_vector(what, steps, self._quantized, self.shape)

    @cached_property
    def _float_reference(self) -> Numbers:
        return matmul.reference(*self.checked_operands, *self.checked_shape)

    def extra_metadata(self, result: Numbers) -> dict[str, float]:
        """What quantising lost: |result - a b| / |a b| in the Frobenius norm, over checked rows."""
        lost = list(map(sub, self.checked_part(result), self._float_reference))
        norm = math.sqrt(sum(map(mul, self._float_reference, self._float_reference)))
        loss = math.sqrt(sum(map(mul, lost, lost))) / norm if norm else 0.0
        return {"relative_frobenius_error": loss}


def integer_check_by_vector(
    what: str, result: list[int], operands: tuple[list[int], ...], shape: Shape
) -> None:
    """As ProductCase.check_by_vector, exact: a wrong row passes with probability below 2^-15."""
    (a, b), (m, n, k) = operands, shape
    draw = random.Random(SEED + 2)
    r = [draw.randrange(2**15) for _ in range(n)]
    expected = matmul_i8.reference(a, matmul_i8.reference(b, r, k, 1, n), m, 1, k)
    got = matmul_i8.reference(result, r, m, 1, n)
    _require_equal_rows(what, got, expected, [0.0] * m)


def _require_equal_rows(what: str, got: Numbers, expected: Numbers, allowed: Numbers) -> None:
    for i, (g, t, limit) in enumerate(zip(got, expected, allowed, strict=True)):
        if not abs(g - t) <= limit:
            raise WrongResult(
                f"{what}: row {i} times a random vector is {g!r}, should be {t!r} within {limit:g}"
            )
