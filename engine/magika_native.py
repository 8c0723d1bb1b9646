"""Magika's network on the native kernels of one tier."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import kernels_c
from engine.errors import BadInput
from engine.magika_weights import (
    BYTES,
    CHANNELS,
    FEATURES,
    LABELS,
    OUTPUTS,
    PADDING,
    POSITIONS,
    TAPS,
    TOKENS,
    WINDOW,
    Weights,
)

PRECISIONS = ("f32", "i8")
_Sizes = tuple[int, int, int]  # m, n, k
_Step = tuple[Callable[..., object], tuple[Any, ...]]
_LINE = 64  # bytes of a cache line, and of the widest register


def checked_tokens(tokens: Sequence[int]) -> array[int]:
    """2048 tokens of 0 to 256 as int32."""
    if len(tokens) != TOKENS:
        raise BadInput(f"tokens: got {len(tokens)}, needs {TOKENS}")
    try:
        numbers = array("i", tokens)
    except (TypeError, OverflowError):
        raise BadInput(f"tokens: needs integers of 0 to {PADDING}") from None
    if min(numbers) < 0 or max(numbers) > PADDING:
        wrong = next(n for n in numbers if not 0 <= n <= PADDING)
        raise BadInput(f"tokens: got {wrong}, needs 0 to {PADDING}")
    return numbers


class NativeSession:
    """Scores of one file at a time; the weights are packed for the tier once. Its buffers are its
    own, so that two threads need two sessions. `out` holds the scores of the last call.

    precision "i8": the convolution multiplies int8, as a sum of five products, one a tap. So each
    position has a scale of its own, and each feature one a tap: with one scale for the whole map,
    logits are off three times as far. The dense layer, 1/3000 of the work, stays float.
    """

    def __init__(self, weights: Weights, tier: str, precision: str = "f32") -> None:
        native = kernels_c.load_tier(tier)
        self.tier, self.precision = tier, precision
        self._ffi, self._lib = native.ffi, native.lib
        self._table = self._floats(weights.table)
        self._map = self._memory("float", POSITIONS * CHANNELS)
        self._pooled = self._memory("float", FEATURES)
        self._scores = self._memory("float", LABELS)
        self.out = memoryview(self._ffi.buffer(self._scores)).cast("B").cast("f")
        self._steps = self._chain(weights)

    def scores(self, tokens: Sequence[int]) -> array[float]:
        """[214], of the 2048 tokens; they sum to 1."""
        function, arguments = self.call(tokens)
        function(*arguments)
        return array("f", self.out)

    def call(self, tokens: Sequence[int]) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """What a benchmark times: a function that computes the scores into `out`, and its
        arguments, ready for the kernels."""
        numbers = checked_tokens(tokens)
        memory = self._memory("int32_t", TOKENS)
        self._ffi.memmove(memory, numbers, 4 * TOKENS)
        return self._run, (memory,)

    def _run(self, tokens: Any) -> None:
        null = self._ffi.NULL
        self._lib.embedding_f32(tokens, self._table, null, self._map, TOKENS, 0, CHANNELS // BYTES)
        for function, arguments in self._steps:
            function(*arguments)

    # A step is a function of the library and its arguments: the same pointers for every file.

    def _chain(self, w: Weights) -> list[_Step]:
        lib, x, pooled, scores = self._lib, self._map, self._pooled, self._scores
        features = self._memory("float", OUTPUTS * FEATURES)
        gain_1, bias_1 = self._floats(w.gain_1), self._floats(w.bias_1)
        gain_2, bias_2 = self._floats(w.gain_2), self._floats(w.bias_2)
        # Windows of five positions, one further each: rows that overlap.
        windows, dense = (OUTPUTS, FEATURES, WINDOW), (1, LABELS, FEATURES)
        if self.precision == "i8":
            convolution = self._convolution_i8(w, features)
        else:
            kernel, bias = w.convolution, w.convolution_bias
            convolution = self._layer(x, kernel, bias, features, windows, CHANNELS)
        return [
            (lib.layernorm_columns_f32, (x, gain_1, bias_1, x, POSITIONS, CHANNELS, w.epsilon)),
            *convolution,
            (lib.gelu_max_f32, (features, pooled, OUTPUTS, FEATURES)),
            (lib.layernorm_f32, (pooled, gain_2, bias_2, pooled, 1, FEATURES, w.epsilon)),
            *self._layer(pooled, w.dense, w.dense_bias, scores, dense, FEATURES),
            (lib.softmax_f32, (scores, scores, 1, LABELS)),
        ]

    def _layer(
        self, x: Any, w: array[float], bias: array[float], out: Any, mnk: _Sizes, x_row: int
    ) -> list[_Step]:
        lib, (m, n, k) = self._lib, mnk
        packed = self._memory("float", lib.packed_linear_f32(n, k))
        lib.pack_linear_f32(self._floats(w), self._floats(bias), packed, n, k)
        return [(lib.linear_f32, (x, packed, out, m, n, k, x_row, lib.EPILOGUE_NONE))]

    def _convolution_i8(self, w: Weights, out: Any) -> list[_Step]:
        lib, size = self._lib, CHANNELS * FEATURES
        data = self._memory("int8_t", POSITIONS * CHANNELS)
        scales = self._memory("float", POSITIONS)
        # Its arguments own the memory that those of the taps point into.
        quantize = (self._map, data, scales, POSITIONS, CHANNELS)
        steps: list[_Step] = [(lib.quantize_rows_f32_i8, quantize)]
        for tap in range(TAPS):
            part = w.convolution[tap * size : (tap + 1) * size]
            packed = self._packed_i8(part, w.convolution_bias if tap == 0 else None)
            x, epilogue = data + tap * CHANNELS, lib.EPILOGUE_ADD if tap else lib.EPILOGUE_NONE
            sizes = (OUTPUTS, FEATURES, CHANNELS, CHANNELS)
            steps.append((lib.linear_i8_f32, (x, scales + tap, packed, out, *sizes, epilogue)))
        return steps

    def _packed_i8(self, w: array[float], bias: array[float] | None) -> Any:
        """A tap's weights, [256, 512], with a scale for each column."""
        n, k = FEATURES, CHANNELS
        columns, rows = array("f"), array("b")
        for j in range(n):
            columns += w[j::n]
        data, scales = self._memory("int8_t", n * k), self._memory("float", n)
        self._lib.quantize_rows_f32_i8(self._floats(columns), data, scales, n, k)
        quantized = array("b", self._ffi.buffer(data)[:])
        for p in range(k):
            rows += quantized[p::k]
        packed = self._memory("int8_t", self._lib.packed_linear_i8(n, k))
        plain = self._ffi.from_buffer("int8_t[]", rows)
        shift = self._ffi.NULL if bias is None else self._floats(bias)
        self._lib.pack_linear_i8(plain, scales, shift, packed, n, k)
        return packed

    def _memory(self, c_type: str, count: int) -> Any:
        """Zeros at the beginning of a cache line; freed with the pointer, which is its owner."""
        size = count * self._ffi.sizeof(c_type)
        block = bytearray(size + _LINE)
        start = -int(self._ffi.cast("uintptr_t", self._ffi.from_buffer(block))) % _LINE
        return self._ffi.from_buffer(f"{c_type}[]", memoryview(block)[start : start + size])

    def _floats(self, values: array[float]) -> Any:
        memory = self._memory("float", len(values))
        self._ffi.memmove(memory, values, 4 * len(values))
        return memory
