"""Which class builds the cases of which layout, and the probes: small awkward cases that every
native kernel must pass before any of its times is believed."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from bench.measure.cases import Case, QuantizeCase, RowsCase, UnaryCase
from bench.measure.products import IntegerProductCase, ProductCase, QuantizedProductCase
from bench.registry import Kernel, Layout, Shape

CASES: dict[Layout, type[Case]] = {
    Layout.UNARY: UnaryCase,
    Layout.ROWS: RowsCase,
    Layout.PRODUCT: ProductCase,
    Layout.QUANTIZE: QuantizeCase,
    Layout.PRODUCT_I8: IntegerProductCase,
    Layout.QUANTIZED_PRODUCT: QuantizedProductCase,
}


def make_case(kernel: Kernel, shape: Shape) -> Case:
    return CASES[kernel.layout](kernel, shape)


class SweepCase(UnaryCase):
    """Both signs of magnitudes from the subnormals to 16, evenly in the exponent."""

    @cached_property
    def data(self) -> array[Any]:
        steps = max(self.shape[0] // 2, 1)
        magnitudes = [2.0 ** (4.0 - 150.0 * (1 - i / steps) ** 3) for i in range(steps + 1)]
        both = [v for m in magnitudes for v in (m, -m)]
        return array("f", both[: self.shape[0]])


class WideRowsCase(RowsCase):
    """Rows whose exponentials span the whole of float32."""

    low, high = -60.0, 60.0


class ClippingCase(QuantizeCase):
    """A third of the values is clipped."""

    low, high = -12.0, 12.0


# Odd in every dimension, with tails after whole vectors and tiles; k = 300 and 520 go past a block.
_PRODUCT_PROBES = ((1, 1, 1), (7, 17, 5), (13, 35, 300), (25, 18, 520))
_PROBES: dict[Layout, tuple[type[Case], tuple[Shape, ...]]] = {
    Layout.UNARY: (SweepCase, ((1,), (67,), (4099,))),
    Layout.ROWS: (WideRowsCase, ((3, 1), (5, 67), (2, 1003))),
    Layout.PRODUCT: (ProductCase, _PRODUCT_PROBES),
    Layout.QUANTIZE: (ClippingCase, ((1,), (67,), (1003,))),
    Layout.PRODUCT_I8: (IntegerProductCase, _PRODUCT_PROBES),
    Layout.QUANTIZED_PRODUCT: (QuantizedProductCase, _PRODUCT_PROBES),
}


def probes(kernel: Kernel) -> Iterator[Case]:
    case_class, shapes = _PROBES[kernel.layout]
    for shape in shapes:
        yield case_class(kernel, shape)
