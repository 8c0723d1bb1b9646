"""Symmetric int8 with a scale a row, bit for bit as quantize_rows_f32_i8 of the native side."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

# 1.5 * 2^52: adding it to a double leaves a whole number, rounded half to even.
_TO_INT = 6755399441055744.0


def quantize_row(x: Iterable[float]) -> tuple[list[float], float]:
    """x[n] as float32 -> whole numbers of -127 to 127 (as float: Python multiplies those faster),
    and their scale max |x| / 127. Zeros have the scale 0; a row with NaN or infinity becomes zeros
    with the scale NaN."""
    values = array("f", x)
    largest = max(map(abs, values))
    if not math.isfinite(sum(values)):
        return [0.0] * len(values), math.nan
    if not largest:
        return [0.0] * len(values), 0.0
    factor, scale = array("f", [127.0 / largest, largest / 127.0])
    # The product of two float32 is exact in a double; the array rounds it to float32, as C does.
    products = array("f", [v * factor for v in values])
    return [v + _TO_INT - _TO_INT for v in products], scale
