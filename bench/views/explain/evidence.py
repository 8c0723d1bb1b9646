"""What tools have seen of a benchmark's code, in a few words."""

from __future__ import annotations

import re

from bench.saved.runs import Evidence
from bench.views.units import three_digits

# Vector Function ABI for x86-64: "_ZGV", registers, mask, lanes, a letter for each argument.
_VECTOR_NAME = re.compile(r"_ZGV[a-e][MN](\d+)v+_(\w+)")


def short(evidence: Evidence) -> str:
    """ "12.0 instr, 8.00 B beyond L1, 256-bit FMA", "scalar, calls tanhf": always in this order,
    what was not looked at left out; "" where nothing was."""
    parts = []
    # Of an element (Evidence.per).
    if evidence.instructions is not None:
        parts.append(f"{three_digits(evidence.instructions)} instr")
    if evidence.l1_bytes is not None:
        parts.append(f"{three_digits(evidence.l1_bytes)} B beyond L1")
    if evidence.vector_bits is not None:
        width = f"{evidence.vector_bits}-bit" if evidence.vector_bits else "scalar"
        parts.append(f"{width} FMA" if evidence.fma else width)
    if evidence.math_calls:
        parts.append("calls " + " and ".join(map(_said, evidence.math_calls)))
    return ", ".join(parts)


def _said(function: str) -> str:
    """ "expf x8" of _ZGVdN8v_expf."""
    vector = _VECTOR_NAME.fullmatch(function)
    return f"{vector[2]} x{vector[1]}" if vector else function
