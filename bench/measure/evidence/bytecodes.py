"""What bytecodes a Python function executes, counted exactly: for one element, by kind.

Counted by tracing (sys.settrace with f_trace_opcodes), on small inputs and never while anything is
timed. They are the bytecodes that the compiler wrote; an interpreter that merges some of them as it
runs executes fewer.
"""

from __future__ import annotations

import builtins
import dis
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import kernels_py
from bench.measure.cases.make import make_case
from bench.suite.registry import Kernel

# Kind by the beginning of the name; what is not here is "simple": a name, a constant, the stack.
_KINDS = {
    "FOR_ITER": "step",
    "BINARY_SUBSCR": "read",
    "STORE_SUBSCR": "write",
    "COMPARE_OP": "compare",
    "LOAD_GLOBAL": "global",
    "LOAD_ATTR": "attribute",
    "LOAD_METHOD": "attribute",
    "CALL": "call",
    "INPLACE_": "arithmetic",
    "BINARY_": "arithmetic",
}
_NO_KIND = ("JUMP_BACKWARD", "JUMP_ABSOLUTE", "POP_JUMP", "PRECALL", "PUSH_NULL", "CALL_INTRINSIC")

# How many of a loop's arithmetic bytecodes for each multiply-add work on ints, not floats: those
# of a[i * k + p] and b[p * n + j], and an int8 product's own two.
INTEGER_ARITHMETIC = {"matmul_f32": 4, "matmul_i8_i32": 6}

_KERNELS = str(Path(kernels_py.__file__).resolve().parent)
# Small, and larger: the difference is counted.
_SIZES, _SIZES_OF_PRODUCTS = ("500", "1000"), ("4x4x62", "4x4x125")


def of_loop(kernel: Kernel) -> dict[str, float]:
    """For one element (products: one multiply-add) of the kernel's Python loop, by kind: how many
    bytecodes; "total", all of them; "ints", how many arithmetic ones work on ints; and
    "math.exp", "builtins.round", ... functions that it finds, to call them."""
    sizes = _SIZES if len(kernel.shapes()[0]) < 3 else _SIZES_OF_PRODUCTS
    small, large = map(kernel.shape_named, sizes)
    loop = make_case(kernel, small).module.loop
    few, many = (counted(loop, make_case(kernel, s).python_args()) for s in (small, large))
    work = math.prod(large) - math.prod(small)
    found = {kind: (many[kind] - few[kind]) / work for kind in many}
    return {**found, "ints": float(INTEGER_ARITHMETIC.get(kernel.name, 0))}


def counted(function: Callable[..., Any], args: Sequence[Any] = ()) -> Counter[str]:
    """The bytecodes of one call, and of what it calls in kernels_py, by kind; "total", and
    "math.exp", "builtins.round", ... for functions that were found on the way."""
    counts: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if code is not function.__code__ and not code.co_filename.startswith(_KERNELS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counts.update(_kinds(code)[frame.f_lasti])
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*args)  # some versions report opcodes only from a frame's second call on
        counts.clear()
        function(*args)
    finally:
        sys.settrace(before)
    return counts


@cache
def _kinds(code: CodeType) -> dict[int, tuple[str, ...]]:
    """By offset: what the bytecode there counts as."""
    return {i.offset: _kind(i) for i in dis.get_instructions(code)}


def _kind(instruction: dis.Instruction) -> tuple[str, ...]:
    name = instruction.opname
    if name.startswith(_NO_KIND):
        return ("total",)
    # From 3.14 on reading an element is a binary operation, too.
    if name == "BINARY_OP" and instruction.argrepr == "[]":
        name = "BINARY_SUBSCR"
    kind = next((k for prefix, k in _KINDS.items() if name.startswith(prefix)), "simple")
    if kind == "attribute":
        return ("total", kind, f"math.{instruction.argval}")
    if kind == "global" and hasattr(builtins, str(instruction.argval)):
        return ("total", kind, f"builtins.{instruction.argval}")
    return ("total", kind)
