"""Symmetric quantisation: out[i] = clip(round_half_even(x[i] * scale), -127, 127).

NaN gives 0. loop and idiomatic multiply in double precision; where the product lies within float32
rounding of a tie they may differ from the float32 definition by one step.
"""

from __future__ import annotations

import math
from array import array

# 1.5 * 2^52: adding it to a double leaves a whole number, rounded half to even.
_TO_INT = 6755399441055744.0


def loop(x: list[float], scale: float) -> list[int]:
    out = [0] * len(x)
    for i in range(len(x)):
        v = x[i] * scale
        if v > 127.0:
            out[i] = 127
        elif v < -127.0:
            out[i] = -127
        elif v == v:
            out[i] = round(v)
    return out


def idiomatic(x: list[float], scale: float) -> list[int]:
    """Adding a constant rounds faster than calling round(). Needs x without NaN."""
    c = _TO_INT
    return [127 if (v := u * scale) > 127.0 else -127 if v < -127.0 else int(v + c - c) for u in x]


def reference(x: list[float], scale: float) -> list[int]:
    """By the definition: the product rounded to float32, then to the nearest step."""
    products = array("f", [_clip(u * scale) for u in x])
    return [0 if math.isnan(v) else round(max(-127.0, min(127.0, v))) for v in products]


def _clip(v: float) -> float:
    # Keeps the conversion to float32 from overflowing; far outside [-127, 127] on purpose.
    return max(-1e6, min(1e6, v)) if v == v else v
