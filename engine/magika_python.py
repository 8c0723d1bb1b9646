"""Magika's network in pure Python and double precision: the reference, and what others are faster
than. Needs seconds for a file."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from engine.errors import BadInput
from engine.magika_native import checked_tokens
from engine.magika_weights import (
    BYTES,
    CHANNELS,
    FEATURES,
    LABELS,
    OUTPUTS,
    POSITIONS,
    WINDOW,
    Weights,
)
from kernels_py import gelu_max, layernorm, linear, softmax

VARIANTS = ("loop", "idiomatic")


class PythonSession:
    """As NativeSession; `tier` is the variant of the kernels in kernels_py."""

    def __init__(self, weights: Weights, tier: str, precision: str = "f32") -> None:
        if precision != "f32":
            raise BadInput(f"precision {precision} needs a native tier; {tier} computes in double")
        self.tier, self.precision = tier, precision
        self.out: array[float] = array("f", bytes(4 * LABELS))
        # The kernels read lists: of arrays, each element would become an object anew.
        parts = vars(weights).items()
        self._weights = {name: part.tolist() for name, part in parts if name != "epsilon"}
        self._epsilon = weights.epsilon
        self._gelu_max, self._layernorm, self._linear, self._softmax = (
            getattr(module, tier) for module in (gelu_max, layernorm, linear, softmax)
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
        x = self._normal_map(tokens)
        windows = [v for row in range(OUTPUTS) for v in _window(x, row)]
        kernel, bias = w["convolution"], w["convolution_bias"]
        features = self._linear(windows, kernel, bias, OUTPUTS, FEATURES, WINDOW)
        pooled = self._gelu_max(features, OUTPUTS)
        normal = self._layernorm(pooled, w["gain_2"], w["bias_2"], 1, self._epsilon)
        logits = self._linear(normal, w["dense"], w["dense_bias"], 1, LABELS, FEATURES)
        self.out = array("f", self._softmax(logits))

    def _normal_map(self, tokens: Sequence[int]) -> list[float]:
        """[512, 256], each channel normalised over the positions: rows of its transpose."""
        w, width = self._weights, CHANNELS // BYTES
        rows = (w["table"][token * width : (token + 1) * width] for token in tokens)
        x = list(chain.from_iterable(rows))
        columns = [v for channel in range(CHANNELS) for v in x[channel::CHANNELS]]
        normal = self._layernorm(columns, w["gain_1"], w["bias_1"], CHANNELS, self._epsilon)
        return [v for position in range(POSITIONS) for v in normal[position::POSITIONS]]


def _window(x: list[float], row: int) -> list[float]:
    return x[row * CHANNELS : row * CHANNELS + WINDOW]
