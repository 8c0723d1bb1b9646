"""The cases with one operand: element by element, row by row, and quantisation."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any

from bench.measure.cases.case import Case, Numbers


class UnaryCase(Case):
    """float32 [n] -> float32 [n]."""

    # Covers where GELU and softmax do something.
    low, high = -8.0, 8.0

    def python_args(self) -> tuple[Any, ...]:
        return self.lists

    @cached_property
    def reference(self) -> Numbers:
        values: Numbers = self.module.reference(*self.python_args())
        return values

    @cached_property
    def _reference_as_result(self) -> memoryview:
        return memoryview(array(self.out_typecode, self.reference))

    def check(self, what: str, implementation: str, result: Numbers) -> float:
        exact = self.kernel.accepted(implementation).limit == 0
        if exact and memoryview(result) == self._reference_as_result:  # type: ignore[arg-type]
            return 0.0  # ten million ReLUs: no need to look at them one by one
        return super().check(what, implementation, result)


class RowsCase(UnaryCase):
    """float32 [rows, cols] -> the same."""

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, self.shape[0])


class QuantizeCase(UnaryCase):
    """float32 [n] -> int8 [n]; errors are counted in steps."""

    scale: float = array("f", [127 / 8.0])[0]

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, self.scale)

    @property
    def native_numbers(self) -> tuple[float, ...]:
        return (*self.shape, self.scale)
