"""Magika's network in pure Python and double precision: the reference, and what others are faster
than. Needs seconds for a file."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from engine.errors import BadInput
from engine.magika_native import checked_tokens
from engine.magika_weights import CHANNELS, FEATURES, LABELS, OUTPUTS, WINDOW, Weights
from kernels_py import gelu_tanh, matmul, softmax

VARIANTS = ("loop", "idiomatic")


class PythonSession:
    """As NativeSession; `tier` is the variant of the kernels in kernels_py."""

    def __init__(self, weights: Weights, tier: str, precision: str = "f32") -> None:
        if precision != "f32":
            raise BadInput(f"precision {precision} needs a native tier; {tier} computes in double")
        self.tier, self.precision = tier, precision
        self.out: array[float] = array("f", bytes(4 * LABELS))
        self._weights = weights
        self._convolution, self._dense = weights.convolution.tolist(), weights.dense.tolist()
        self._matmul, self._gelu, self._softmax = (
            getattr(module, tier) for module in (matmul, gelu_tanh, softmax)
        )

    def scores(self, tokens: Sequence[int]) -> array[float]:
        """[214], of the 2048 tokens; they sum to 1."""
        self._run(checked_tokens(tokens))
        return self.out

    def call(self, tokens: Sequence[int]) -> tuple[Callable[..., None], tuple[Any, ...]]:
        """What a benchmark times: a function that computes the scores into `out`, and its
        arguments."""
        return self._run, (checked_tokens(tokens),)

    def _run(self, tokens: Sequence[int]) -> None:
        w = self._weights
        pooled = self._pooled(self._normal_map(tokens))
        normal = _normalized(pooled, w.gain_2, w.bias_2, w.epsilon)
        sums = self._matmul(normal, self._dense, 1, LABELS, FEATURES)
        logits = [s + b for s, b in zip(sums, w.dense_bias, strict=True)]
        self.out = array("f", self._softmax(logits))

    def _normal_map(self, tokens: Sequence[int]) -> list[float]:
        """[512, 256], each channel normalised over the positions."""
        w, width = self._weights, len(self._weights.table) // 257
        rows = {token: w.table[token * width : (token + 1) * width] for token in set(tokens)}
        x = list(chain.from_iterable(rows[token] for token in tokens))
        for channel in range(CHANNELS):
            column = x[channel::CHANNELS]
            x[channel::CHANNELS] = _normalized(column, w.gain_1, w.bias_1, w.epsilon)
        return x

    def _pooled(self, x: list[float]) -> list[float]:
        """Convolution, GELU and the largest over the positions: [512]. GELU falls, then rises:
        its largest value is at an end of what it is given, so two suffice in place of 508."""
        windows = [v for row in range(OUTPUTS) for v in _window(x, row)]
        sums = self._matmul(windows, self._convolution, OUTPUTS, FEATURES, WINDOW)
        columns = [sums[feature::FEATURES] for feature in range(FEATURES)]
        bias = self._weights.convolution_bias
        low = self._gelu([min(c) + b for c, b in zip(columns, bias, strict=True)])
        high = self._gelu([max(c) + b for c, b in zip(columns, bias, strict=True)])
        return list(map(max, low, high))


def _window(x: list[float], row: int) -> list[float]:
    return x[row * CHANNELS : row * CHANNELS + WINDOW]


def _normalized(
    x: list[float], gain: Sequence[float], bias: Sequence[float], epsilon: float
) -> list[float]:
    mean = math.fsum(x) / len(x)
    variance = math.fsum((v - mean) ** 2 for v in x) / len(x)
    factor = 1.0 / math.sqrt(variance + epsilon)
    return [(v - mean) * factor * g + b for v, g, b in zip(x, gain, bias, strict=True)]
