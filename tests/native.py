"""Shared by the tests of the native side: guarded memory, the methods of a tier with valid
arguments, float32 bit patterns, and the judgement of a result by its documented bound."""

from __future__ import annotations

import ctypes
import math
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

import build_ffi
import kernels_c
from bench.measure.cases.case import folder_of
from bench.measure.cases.errors_in_ulp import inverse_ulps, worst_error
from bench.suite.registry import KERNELS, Bound, Kernel, Native, Shape, Signature, Unit

UNARY = tuple(kernel for kernel in KERNELS.values() if kernel.signature is Signature.UNARY)
QUANTIZE = KERNELS["quantize_f32_i8"]
SOFTMAX = KERNELS["softmax_f32"]
MATMUL = KERNELS["matmul_f32"]
MATMUL_I8 = KERNELS["matmul_i8_i32"]
# Not a kernel of its own in the registry, but the last link of this one, and its only rounding.
DEQUANTIZE_BOUNDS = KERNELS["quantized_matmul_f32"].bounds
BESIDE_THE_REGISTRY = {
    "dequantize_i32_f32": DEQUANTIZE_BOUNDS,
    "layernorm_columns_f32": KERNELS["layernorm_f32"].bounds,  # of which it is the other direction
}


def steps_of(kernel: Kernel) -> list[Native]:
    """What stands in the kernel's ladder beside the kernel itself."""
    return list(kernel.ablations.values())


INF, NAN = math.inf, math.nan
TINIEST = 2.0**-149  # the smallest float32 above 0
SMALLEST_NORMAL = 2.0**-126
LARGEST = 2.0**128 - 2.0**104

# --- Memory --------------------------------------------------------------------------------------

GUARD = 64
_GUARD_BYTE = b"\xa5"
_POISON_BYTE = b"\xff"  # NaN as float32, -1 as an integer: what a kernel forgets to write shows


class Memory:
    """`count` elements, poisoned, in the middle of a larger buffer of guard bytes. `offset` is in
    bytes, from a 64-byte boundary."""

    def __init__(self, typecode: str, count: int, offset: int = 0) -> None:
        nbytes = count * array(typecode).itemsize
        self.raw = bytearray(_GUARD_BYTE * (nbytes + 3 * GUARD + offset))
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.raw))
        start = GUARD + -base % 64 + offset
        self.bytes = memoryview(self.raw)[start : start + nbytes]
        self.bytes[:] = _POISON_BYTE * nbytes
        self.view = self.bytes.cast(typecode)
        self._before, self._after = self.raw[:start], self.raw[start + nbytes :]
        self._start, self._end = start, start + nbytes

    def guards_intact(self) -> bool:
        return self.raw[: self._start] == self._before and self.raw[self._end :] == self._after


def filled(typecode: str, values: Sequence[float], offset: int = 0) -> Memory:
    memory = Memory(typecode, len(values), offset)
    memory.view[:] = array(typecode, values)
    return memory


# --- The methods of a tier -----------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A method of kernels_c.Tier: buffers (element type, length) and options of a valid call."""

    name: str
    buffers: dict[str, tuple[str, int]]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> list[str]:
        return [argument for argument in self.buffers if argument != "out"]

    @property
    def sizes(self) -> list[str]:
        return [option for option in self.options if option in ("m", "n", "k", "rows")]

    @property
    def in_place(self) -> bool:
        """Whether out may be x itself."""
        return self.name in ("relu", "gelu", "softmax")

    def arguments(self) -> dict[str, Any]:
        """Fresh guarded buffers and the options."""
        buffers = {
            argument: filled(code, [i % 7 - 3 for i in range(count)]).view
            for argument, (code, count) in self.buffers.items()
        }
        return {**buffers, **self.options}

    def call(self, tier: kernels_c.Tier, arguments: dict[str, Any]) -> None:
        getattr(tier, self.name)(**arguments)


_FLOATS = {"x": ("f", 24), "out": ("f", 24)}
_SIDE = {"m": 4, "n": 4, "k": 4}

METHODS = {
    "relu": Method("relu", _FLOATS),
    "softmax": Method("softmax", _FLOATS, {"rows": 4}),
    "gelu-tanh": Method("gelu", _FLOATS, {"approximate": "tanh"}),
    "gelu-erf": Method("gelu", _FLOATS, {"approximate": "none"}),
    "quantize": Method("quantize", {"x": ("f", 24), "out": ("b", 24)}, {"scale": 2.0}),
    "dequantize": Method("dequantize", {"x": ("i", 24), "out": ("f", 24)}, {"scale": 0.5}),
    "matmul": Method("matmul", {"a": ("f", 16), "b": ("f", 16), "out": ("f", 16)}, _SIDE),
    "matmul_i8": Method("matmul_i8", {"a": ("b", 16), "b": ("b", 16), "out": ("i", 16)}, _SIDE),
}


def named(*names: str) -> dict[str, Any]:
    """pytest.mark.parametrize arguments: the methods of these names, or all."""
    chosen = [label for label, method in METHODS.items() if not names or method.name in names]
    return {"argnames": "method", "argvalues": [METHODS[c] for c in chosen], "ids": chosen}


def usable(name: str) -> kernels_c.Tier:
    """The tier of that name; one that cannot run here skips the test, with the reason."""
    try:
        return kernels_c.load_tier(name)
    except kernels_c.TierStale:
        raise
    except kernels_c.TierUnavailable as reason:
        pytest.skip(str(reason))


@dataclass(frozen=True)
class Product:
    """A matrix product: a kernel of kernels.h through its checked method, a step of its ladder,
    which has none, through the raw library."""

    tier_name: str
    kernel: Kernel
    function: str

    def __str__(self) -> str:
        return f"{self.tier_name}-{self.function}"

    @property
    def tier(self) -> kernels_c.Tier:
        return kernels_c.load_tier(self.tier_name)

    def into(self, out: Any, a: Any, b: Any, m: int, n: int, k: int) -> None:
        """out[m, n] = a[m, k] b[k, n], all three of the kernel's types and sizes."""
        tier = self.tier
        if self.function == self.kernel.name:
            method = tier.matmul if self.kernel is MATMUL else tier.matmul_i8
            method(a, b, out, m, n, k)
            return
        in_code, out_code = PRODUCT_CODES[self.kernel.name]
        buffers = (pointer(tier, c, x) for c, x in ((in_code, a), (in_code, b), (out_code, out)))
        assert getattr(tier.lib, self.function)(*buffers, m, n, k) == 0

    def __call__(
        self, a: Sequence[float], b: Sequence[float], m: int, n: int, k: int
    ) -> list[float]:
        """Through guarded memory in which out held NaN, or -1, before."""
        in_code, out_code = PRODUCT_CODES[self.kernel.name]
        left, right, out = filled(in_code, a), filled(in_code, b), Memory(out_code, m * n)
        before = bytes(left.raw), bytes(right.raw)
        self.into(out.view, left.view, right.view, m, n, k)
        assert out.guards_intact()
        assert (left.raw, right.raw) == before
        return out.view.tolist()


def products_of(kernel: Kernel) -> list[Product]:
    """The kernel in every tier, and its steps in every tier of the folder that has them."""
    folder_of = {name: tier.folder for name, tier in build_ffi.TIERS.items()}
    steps = {(folder_of[step.tier], step.function) for step in steps_of(kernel)}
    return [
        Product(tier, kernel, function)
        for tier, own in folder_of.items()
        for function in (kernel.name, *sorted(name for folder, name in steps if folder == own))
    ]


@dataclass(frozen=True)
class Elementwise:
    """A kernel that treats every element alone, called through the raw library."""

    name: str
    in_code: str
    out_code: str
    call: Callable[[Any, Any, Any, int], None]  # lib, x pointer, out pointer, n

    def run(self, tier: kernels_c.Tier, x: Any) -> bytes:
        """The result's bytes, for x any buffer."""
        out = array(self.out_code, bytes(len(x) * array(self.out_code).itemsize))
        self.call(
            tier.lib, pointer(tier, self.in_code, x), pointer(tier, self.out_code, out), len(x)
        )
        return out.tobytes()


PRODUCT_CODES = {"matmul_f32": ("f", "f"), "matmul_i8_i32": ("b", "i")}  # of a and b, and of out
_C_TYPES = {"f": "float[]", "b": "int8_t[]", "i": "int32_t[]"}


def pointer(tier: kernels_c.Tier, typecode: str, buffer: Any) -> Any:
    return tier.ffi.from_buffer(_C_TYPES[typecode], buffer)


def _unary(name: str) -> Elementwise:
    return Elementwise(name, "f", "f", lambda lib, x, out, n: getattr(lib, name)(x, out, n))


ELEMENTWISE = (
    *(_unary(kernel.name) for kernel in UNARY),
    Elementwise(
        "quantize_f32_i8",
        "f",
        "b",
        lambda lib, x, out, n: lib.quantize_f32_i8(x, out, n, 14.3),
    ),
    Elementwise(
        "dequantize_i32_f32",
        "i",
        "f",
        lambda lib, x, out, n: lib.dequantize_i32_f32(x, out, n, 0.3),
    ),
)


# --- Float32 -------------------------------------------------------------------------------------


def floats_of(patterns: Iterable[int]) -> array[float]:
    """The float32 values with these bit patterns."""
    values: array[float] = array("f")
    values.frombytes(array("I", patterns).tobytes())
    return values


def pattern_of(value: float) -> int:
    """The bit pattern of the float32 nearest to value."""
    pattern: int = struct.unpack("I", struct.pack("f", value))[0]
    return pattern


def float32(value: float) -> float:
    """The float32 nearest to value."""
    return float(array("f", [value])[0])


def kind(value: float) -> str:
    """nan, inf, -inf or finite."""
    if math.isfinite(value):
        return "finite"
    return "nan" if math.isnan(value) else str(value)


# --- Judging -------------------------------------------------------------------------------------


def bound_of(kernel: Kernel, tier: kernels_c.Tier) -> Bound:
    """What the tier's implementation promises."""
    return kernel.bounds[folder_of(tier)]


def same_bits_everywhere(tier: kernels_c.Tier, name: str) -> bool:
    """Whether an element's result is the same wherever it stands in a vector. Not where fastmath
    takes libm's vector functions: they fill whole registers, the rest goes through the scalar
    ones, and the two round differently."""
    rounds = name in KERNELS and bound_of(KERNELS[name], tier).limit != 0
    return not (tier.name == "fastmath" and rounds)


def assert_within(
    bound: Bound, shape: Shape, result: Sequence[float], truth: Sequence[float], x: Sequence[float]
) -> None:
    """The largest error is at most the bound; x is where an error bounded by the input's ULP gets
    its unit from, and what the message prints."""
    units = inverse_ulps(x if bound.unit is Unit.INPUT else truth)
    worst = worst_error(result, truth, units)
    assert worst.error <= bound.at(shape), (
        f"worst {worst.error:.4g} {bound.unit.value} at x = {x[worst.index]!r} "
        f"({float(x[worst.index]).hex()}): got {result[worst.index]!r}, "
        f"should be {truth[worst.index]!r}; at most {bound.at(shape):g} allowed"
    )
