"""How right a result is, by NumPy in double precision: ten million elements in a second.

Only for comparisons with libraries. The suite itself verifies in plain Python, element by element.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.measure.cases.buffers import BLOCK
from bench.measure.cases.case import Call
from bench.measure.cases.errors_in_ulp import WrongResult
from bench.measure.comparison.grade import Grade
from bench.measure.peers.numpy_peer import Array, as_array
from bench.suite.registry import Unit

# Of the relative Frobenius error. int8 products that saturate in 16 bits, as ONNX Runtime's do
# without VNNI, are off by 0.19 on uniform data; what computes something else, by 1 or more.
_STILL_A_RESULT = 0.5


class Reference:
    """The true result of a case, and what it says of others."""

    def __init__(self, case: Any) -> None:
        self.case = case

    def grade(self, what: str, call: Call) -> Grade:
        """Call once and look at the whole result. Raises WrongResult where nothing is left of it,
        or memory changed that is not the output's; a result that is merely inexact is graded."""
        case = self.case
        if case.verifies_itself:
            return Grade(case.run_and_verify(what, call)["max_error_ulp"], None)
        case.prepare(call)
        returned = call.function(*call.args)
        if call.collect is not None:
            call.collect(returned)
        case.require_memory_intact(what)
        # NumPy's threads would go on spinning beside what is timed next.
        with threadpool_limits(1, "blas"):
            return self._graded(what, call)

    def _graded(self, what: str, call: Call) -> Grade:
        case = self.case
        result = as_array(case.out, (-1,)).astype(np.float64)
        off = float(np.linalg.norm(result - self._values))
        scale = float(np.linalg.norm(self._values))
        if not off <= _STILL_A_RESULT * scale:  # NaN is not either
            raise WrongResult(f"{what}: is not the result: off by {off:.3g} of {scale:.3g}")
        bound = case.kernel.bound(call.implementation)
        limit, worst = bound.at(case.shape), self._worst(result, bound.unit)
        reported = self._worst(result, Unit.RESULT) if bound.unit is Unit.INPUT else worst
        if worst <= limit:
            return Grade(reported, None)
        return Grade(reported, f"{what}: {worst:.4g} {bound.unit.value}, at most {limit:g} allowed")

    def _worst(self, result: Array, unit: Unit) -> float:
        errors = np.abs(result - self._values)
        if unit is Unit.INPUT:
            errors /= _ulps(self._operands[0].reshape(-1))
        elif unit is not Unit.STEP:
            errors /= _ulps(self._magnitudes if unit is Unit.PRODUCTS else self._values)
        return float(np.max(errors, initial=0.0))

    @cached_property
    def _operands(self) -> list[Array]:
        *shapes, _ = self.case.kernel.signature.parts(self.case.shape)
        operands = zip(self.case.inputs, shapes, strict=True)
        return [np.array(values, np.float64).reshape(shape) for values, shape in operands]

    @cached_property
    def _values(self) -> Array:
        values: Array = getattr(self, f"_{self.case.kernel.name}")(*self._operands)
        return values.reshape(-1)

    @cached_property
    def _magnitudes(self) -> Array:
        """|a| |b|, on whose scale the rounding errors of a product live."""
        a, b = map(np.abs, self._operands)
        return (a @ b).reshape(-1)

    def _relu_f32(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def _softmax_f32(self, x: Array) -> Array:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def _gelu_tanh_f32(self, x: Array) -> Array:
        u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return x / (1 + np.exp(-2 * u))  # x/2 (1 + tanh(u)), which would cancel below zero

    def _gelu_erf_f32(self, x: Array) -> Array:
        # NumPy has no erfc; the values of a case repeat, so math's is called for a block of them.
        block = [0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in x[:BLOCK]]
        return np.resize(np.array(block), x.shape)

    def _quantize_f32_i8(self, x: Array) -> Array:
        products = x.astype(np.float32) * np.float32(self.case.scale)
        return np.clip(np.rint(products.astype(np.float64)), -127, 127)

    def _matmul_f32(self, a: Array, b: Array) -> Array:
        return a @ b

    _matmul_i8_i32 = _matmul_f32  # sums of int8 products are exact in double precision


def _ulps(values: Array) -> Array:
    """The spacing of float32 at each value, as bench/measure/cases/errors_in_ulp.py has it."""
    _, exponents = np.frexp(values.astype(np.float64))
    return np.ldexp(1.0, np.maximum(exponents, -125) - 24)
