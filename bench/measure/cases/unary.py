"""The cases with one operand: element by element, row by row, and quantisation."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from functools import cached_property
from typing import Any

import kernels_c
from bench.measure.cases.buffers import Buffer, values
from bench.measure.cases.case import Case, Numbers, filled, pointer
from bench.measure.cases.errors_in_ulp import Worst, inverse_ulps, require, worst_error
from bench.suite.registry import Unit


class UnaryCase(Case):
    """float32 [n] -> float32 [n]."""

    # Covers where GELU and softmax do something.
    low, high = -8.0, 8.0

    @property
    def out_length(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def data(self) -> array[Any]:
        return values(self.out_length, self.low, self.high)

    @cached_property
    def x(self) -> Buffer:
        return filled(self.data, stagger=0)

    @cached_property
    def x_list(self) -> list[float]:
        return self.data.tolist()  # a float object for each element, as a program would have

    def python_args(self) -> tuple[Any, ...]:
        return (self.x_list,)

    def native_inputs(self) -> list[tuple[Buffer, array[Any]]]:
        return [(self.x, self.data)]

    def native_call(
        self, tier: kernels_c.Tier, function: str | None = None
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        x, out = pointer(tier, self.x, "float"), pointer(tier, self.out, "float")
        return getattr(tier.lib, function or self.kernel.name), (x, out, *self.shape)

    @cached_property
    def reference(self) -> Numbers:
        values: Numbers = self.module.reference(*self.python_args())
        return values

    @cached_property
    def _reference_as_result(self) -> memoryview:
        return memoryview(array(self.out_typecode, self.reference))

    @cached_property
    def _reference_ulps(self) -> Numbers:
        return inverse_ulps(self.reference)

    @cached_property
    def _input_ulps(self) -> Numbers:
        return inverse_ulps(self.x_list)

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        bound = self.kernel.accepted(implementation)
        limit = bound.at(self.shape)
        if limit == 0 and memoryview(result) == self._reference_as_result:  # type: ignore[arg-type]
            return 0.0  # ten million ReLUs: no need to look at them one by one
        worst = self._worst(result, bound.unit)
        if self.out_length:
            place = worst.index
            require(what, worst, limit, bound.unit.value, result[place], self.reference[place])
        return worst.error if bound.unit is not Unit.INPUT else self._worst(result).error

    def _worst(self, result: Numbers, unit: Unit = Unit.RESULT) -> Worst:
        inverse_units = self._input_ulps if unit is Unit.INPUT else self._reference_ulps
        return worst_error(result, self.reference, inverse_units)


class RowsCase(UnaryCase):
    """float32 [rows, cols] -> the same."""

    def python_args(self) -> tuple[Any, ...]:
        return (self.x_list, self.shape[0])


class QuantizeCase(UnaryCase):
    """float32 [n] -> int8 [n]; errors are counted in steps."""

    out_typecode = "b"
    scale: float = array("f", [127 / 8.0])[0]

    def python_args(self) -> tuple[Any, ...]:
        return (self.x_list, self.scale)

    def native_call(
        self, tier: kernels_c.Tier, function: str | None = None
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        x, out = pointer(tier, self.x, "float"), pointer(tier, self.out, "int8_t")
        return tier.lib.quantize_f32_i8, (x, out, self.out_length, self.scale)

    def _worst(self, result: Numbers, unit: Unit = Unit.STEP) -> Worst:
        return worst_error(result, self.reference, [1.0] * self.out_length)
