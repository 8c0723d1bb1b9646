"""The cases that are parts of whole models: normalisation, linear layers on packed weights,
embedding, and what picks a token or a feature. attention.py has the one with caches."""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Sequence
from functools import cached_property
from operator import add
from typing import Any

import kernels_c
from bench.measure.cases.buffers import SEED, Buffer, values
from bench.measure.cases.case import Call, Called, Case, Numbers, pointer
from bench.measure.cases.errors_in_ulp import WrongResult, inverse_ulps, worst_error
from bench.measure.cases.unary import RowsCase, UnaryCase
from bench.suite.registry import Kernel, Shape, Unit
from kernels_py import gelu_tanh, layernorm, linear, linear_i8

_PACKED, _SCALES = 13, 15  # the staggers of further buffers
_SLOW_MULTIPLY_ADDS = 2_000_000  # of Python, some 0.2 s


def magnitudes(signs: Sequence[float]) -> list[float]:
    return [abs(v) for v in signs]


def rounded_to_float16(floats: Sequence[float]) -> array[float]:
    """float32 again."""
    form = f"{len(floats)}e"
    return array("f", struct.unpack(form, struct.pack(form, *floats)))


class LayernormCase(UnaryCase):
    """float32 [rows, cols], gain and bias [cols] -> [rows, cols]."""

    low, high = -2.0, 2.0

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, self.shape[0])

    @property
    def native_numbers(self) -> tuple[float, ...]:
        return (*self.shape, layernorm.EPSILON)

    def _computed_inverse(self, unit: Unit) -> Numbers:
        if unit is not Unit.TERMS:
            return super()._computed_inverse(unit)
        x, gain, bias = self.lists
        return inverse_ulps(layernorm_terms(x, gain, bias, self.shape[0]))


def layernorm_terms(
    x: list[float],
    gain: list[float],
    bias: list[float],
    rows: int,
    epsilon: float = layernorm.EPSILON,
) -> list[float]:
    """(|x| + mean of |x|) / deviation * |gain| + |bias|: the mean is a sum, too."""
    cols, terms = len(gain), []
    for first in range(0, rows * cols, cols or 1):
        _, deviation = layernorm.moments(x[first : first + cols], epsilon)
        row = zip(x[first : first + cols], gain, bias, strict=True)
        magnitude = sum(map(abs, x[first : first + cols])) / cols
        terms += [(abs(v) + magnitude) / deviation * abs(g) + abs(b) for v, g, b in row]
    return terms


class LinearCase(Case):
    """float32 x [m, k], w [k, n], bias [n] -> [m, n]. Weights are packed beforehand, as a model
    has them."""

    low, high = -1.0, 1.0
    packed_typecode = "f"
    epilogue = "NONE"

    def __init__(self, kernel: Kernel, shape: Shape, offsets: tuple[int, int] = (0, 0)) -> None:
        super().__init__(kernel, shape, offsets)
        self._packs: dict[tuple[str, int], tuple[Buffer, array[Any]]] = {}

    @property
    def slow_in_python(self) -> bool:
        return self.kernel.signature.terms(self.shape) > _SLOW_MULTIPLY_ADDS

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, *self.shape)

    @cached_property
    def reference(self) -> Numbers:
        found: Numbers = self.module.reference(*self.python_args())
        return found

    def _computed_inverse(self, unit: Unit) -> Numbers:
        terms = unit is Unit.TERMS
        return inverse_ulps(self._terms()) if terms else super()._computed_inverse(unit)

    def _terms(self) -> list[float]:
        x, w, bias = map(magnitudes, self.lists)
        return linear.reference(x, w, bias, *self.shape)

    def native_call(self, tier: kernels_c.Tier, function: str) -> Called:
        m, n, k = self.shape
        packed = pointer(tier, self._packed(tier))
        *rows, out = (pointer(tier, b) for b in (*self._rows, self.out))
        epilogue = getattr(tier.lib, f"EPILOGUE_{self.epilogue}")
        return getattr(tier.lib, function), (*rows, packed, out, m, n, k, k, epilogue)

    @property
    def _rows(self) -> tuple[Buffer, ...]:
        """What is not packed."""
        return self.buffers[:1]

    def _packed(self, tier: kernels_c.Tier) -> Buffer:
        """In memory that lies as far off a cache line as the operands, in whole floats."""
        key = tier.name, self.offsets[0] // 4 * 4
        if key not in self._packs:
            _, n, k = self.shape
            buffer = Buffer(self.packed_typecode, self._pack_length(tier), _PACKED, key[1])
            self._pack(tier, pointer(tier, buffer), n, k)
            self._packs[key] = buffer, array(self.packed_typecode, buffer.view)
        return self._packs[key][0]

    def _pack_length(self, tier: kernels_c.Tier) -> int:
        return int(tier.lib.packed_linear_f32(*self.shape[1:]))

    def _pack(self, tier: kernels_c.Tier, to: Any, n: int, k: int) -> None:
        w, bias = (pointer(tier, buffer) for buffer in self.buffers[1:])
        tier.lib.pack_linear_f32(w, bias, to, n, k)

    def native_inputs(self) -> list[tuple[Buffer, array[Any]]]:
        return [*super().native_inputs(), *self._packs.values()]


class OfFloat16(LinearCase):
    """Weights that float16 holds exactly, as a file in float16 has: a tier may pack them so."""

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        x, w, bias = super().inputs
        return x, rounded_to_float16(w), bias


class LinearI8Case(LinearCase):
    """The same through int8: x, its scales [m], w, its scales [n], bias [n]."""

    packed_typecode = "b"

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        m, n, k = self.shape
        return (
            values(m * k, -127, 127, 0, "b"),
            values(m, 0.5 / 127, 2.0 / 127, 1),
            values(k * n, -127, 127, 2, "b"),
            values(n, 0.5 / 127, 2.0 / 127, 3),
            values(n, -1.0, 1.0, 4),
        )

    @property
    def _rows(self) -> tuple[Buffer, ...]:
        return self.buffers[:2]

    def _pack_length(self, tier: kernels_c.Tier) -> int:
        return int(tier.lib.packed_linear_i8(*self.shape[1:]))

    def _pack(self, tier: kernels_c.Tier, to: Any, n: int, k: int) -> None:
        w, scales, bias = (pointer(tier, buffer) for buffer in self.buffers[2:])
        tier.lib.pack_linear_i8(w, scales, bias, to, n, k)

    def _terms(self) -> list[float]:
        """The product is exact, so |x w| is one term."""
        x, x_scales, w, scales, bias = self.lists
        zeros = [0.0] * len(bias)
        products = linear_i8.reference(x, x_scales, w, scales, zeros, *self.shape)
        all_biases = zip(products, magnitudes(bias) * self.shape[0], strict=True)
        return [abs(p) + b for p, b in all_biases]


class GeluOfSum(LinearCase):
    """With GELU. No benchmark of a kernel has it, but models have, so it is an edge case."""

    epilogue = "GELU"
    native_only = True

    @cached_property
    def reference(self) -> Numbers:
        return gelu_tanh.reference(list(super().reference))


class AddedSum(LinearCase):
    """Added to what the output holds: the same."""

    epilogue = "ADD"
    native_only = True

    @cached_property
    def _before(self) -> array[Any]:
        return values(self.out_length, -1.0, 1.0, 5)

    def prepare(self, call: Call) -> None:
        self.out.fill(self._before)

    @cached_property
    def reference(self) -> Numbers:
        return list(map(add, super().reference, self._before))

    def _terms(self) -> list[float]:
        return list(map(add, super()._terms(), map(abs, self._before)))


class GeluOfSumI8(GeluOfSum, LinearI8Case):
    """The same through int8."""


class AddedSumI8(AddedSum, LinearI8Case):
    """The same through int8."""


class QuantizeRowsCase(RowsCase):
    """float32 [rows, cols] -> int8 [rows, cols] and float32 [rows], to an ULP."""

    @cached_property
    def _scales(self) -> Buffer:
        return Buffer("f", self.shape[0], _SCALES)

    @cached_property
    def _both(self) -> tuple[list[int], list[float]]:
        both: tuple[list[int], list[float]] = self.module.reference(*self.python_args())
        return both

    @cached_property
    def reference(self) -> Numbers:
        return self._both[0]

    def native_call(self, tier: kernels_c.Tier, function: str) -> Called:
        x, out, scales = (pointer(tier, b) for b in (*self.buffers, self.out, self._scales))
        return getattr(tier.lib, function), (x, out, scales, *self.shape)

    def prepare(self, call: Call) -> None:
        super().prepare(call)
        self._scales.poison()

    def output(self, call: Call) -> bytes:
        return super().output(call) + bytes(self._scales.view)

    def _result_of(self, what: str, call: Call, returned: Any) -> Numbers:
        result, scales = returned if call.implementation == "python" else (None, None)
        part = super()._result_of(what, call, result)
        got = self._scales.view if scales is None else scales
        worst = worst_error(got, self._both[1], inverse_ulps(self._both[1]))
        if not (worst.error <= 1.0 and self._scales.guards_intact()):
            raise WrongResult(f"{what}: scale {worst.index} is off by {worst.error:.4g} ULP")
        return part


class EmbeddingCase(UnaryCase):
    """tokens [count], table and positions [count, width] -> [count, width]: every row once."""

    low, high = -1.0, 1.0

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        count, width = self.shape
        tokens = random.Random(SEED).sample(range(count), count)
        table, positions = (values(count * width, self.low, self.high, s) for s in (1, 2))
        return array("i", tokens), table, positions

    def python_args(self) -> tuple[Any, ...]:
        return (*self.lists, self.shape[1])

    @property
    def native_numbers(self) -> tuple[float, ...]:
        return (self.shape[0], 0, self.shape[1])


class ArgmaxCase(UnaryCase):
    """float32 [n] -> which is the largest, returned."""

    @cached_property
    def reference(self) -> Numbers:
        return [self.module.reference(*self.python_args())]

    def native_call(self, tier: kernels_c.Tier, function: str) -> Called:
        return getattr(tier.lib, function), (pointer(tier, self.buffers[0]), *self.shape)

    def _result_of(self, what: str, call: Call, returned: Any) -> Numbers:
        if call.implementation != "python":
            self.require_memory_intact(what)
        return self._in_kernel_type(what, [returned])


class GeluMaxCase(RowsCase):
    """float32 [rows, cols] -> [cols]."""

    def _computed_inverse(self, unit: Unit) -> Numbers:
        """The input is the largest of a column."""
        if unit is not Unit.INPUT:
            return super()._computed_inverse(unit)
        cols = self.shape[1]
        return inverse_ulps([max(magnitudes(self.lists[0][c::cols])) for c in range(cols)])
