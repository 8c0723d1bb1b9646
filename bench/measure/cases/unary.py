"""The cases with one operand: element by element, row by row, and quantisation."""

from __future__ import annotations

import math
from array import array
from functools import cached_property
from typing import Any

from bench.measure.cases.buffers import Buffer, values
from bench.measure.cases.case import Case, Numbers
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

    @property
    def inputs(self) -> tuple[array[Any], ...]:
        return (self.data,)

    @property
    def x(self) -> Buffer:
        return self.buffers[0]

    def python_args(self) -> tuple[Any, ...]:
        return self.lists

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
        return inverse_ulps(self.lists[0])

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        bound = self.kernel.accepted(implementation)
        limit = bound.at(self.shape)
        if limit == 0 and memoryview(result) == self._reference_as_result:  # type: ignore[arg-type]
            return 0.0  # ten million ReLUs: no need to look at them one by one
        worst = self._worst(result, bound.unit)
        require(what, worst, limit, bound.unit.value, result, self.reference)
        return worst.error if bound.unit is not Unit.INPUT else self._worst(result).error

    def _worst(self, result: Numbers, unit: Unit = Unit.RESULT) -> Worst:
        inverse_units = self._input_ulps if unit is Unit.INPUT else self._reference_ulps
        return worst_error(result, self.reference, inverse_units)


class RowsCase(UnaryCase):
    """float32 [rows, cols] -> the same."""

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, self.shape[0])


class QuantizeCase(UnaryCase):
    """float32 [n] -> int8 [n]; errors are counted in steps."""

    out_typecode = "b"
    scale: float = array("f", [127 / 8.0])[0]

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, self.scale)

    @property
    def native_numbers(self) -> tuple[float, ...]:
        return (*self.shape, self.scale)

    def _worst(self, result: Numbers, unit: Unit = Unit.STEP) -> Worst:
        return worst_error(result, self.reference, [1.0] * self.out_length)
