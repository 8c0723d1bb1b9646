"""The forward pass in pure Python, in double precision: the reference for all others.

"loop" is written as a C programmer would, one statement a step; "idiomatic" has every inner loop in
C functions of Python's own. Both work token by token, on lists; float32 weights become doubles.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any, NamedTuple

from engine.gpt import EPSILON, Gpt, matrices
from engine.quantize import quantize_row
from engine.session import Session
from kernels_py import gelu_tanh, softmax


def _sum_of_products(x: Sequence[float], y: Sequence[float]) -> float:
    return sum(map(mul, x, y), 0.0)


# CPython 3.12 has it in C.
_dot: Callable[[Sequence[float], Sequence[float]], float] = getattr(
    math, "sumprod", _sum_of_products
)


class Linear(NamedTuple):
    """A linear layer: column j of its weight [k, n] is columns[j]; scales a column where the weight
    is quantised, and x then is as well."""

    columns: list[list[float]]
    bias: list[float]
    scales: list[float] | None

    @classmethod
    def of(cls, columns: list[Sequence[float]], bias: Sequence[float], quantized: bool) -> Linear:
        if not quantized:
            return cls([[*column] for column in columns], [*bias], None)
        rows = [quantize_row(column) for column in columns]
        return cls([row for row, _ in rows], [*bias], [scale for _, scale in rows])


class Norm(NamedTuple):
    gain: list[float]
    bias: list[float]


class Layer(NamedTuple):
    norm_1: Norm
    norm_2: Norm
    qkv: Linear
    projection: Linear
    up: Linear
    down: Linear


class Weights:
    """A model's weights as both variants read them; sessions share them."""

    def __init__(self, model: Gpt, quantized: bool) -> None:
        config, given = model.config, model.weights
        width = config.width

        def norm(name: str) -> Norm:
            return Norm(given[f"{name}.weight"].tolist(), given[f"{name}.bias"].tolist())

        def rows(name: str) -> list[Sequence[float]]:
            flat = given[name]
            return [flat[i : i + width] for i in range(0, len(flat), width)]

        found = [
            Linear.of(
                [given[f"{m.name}.weight"][j :: m.n] for j in range(m.n)],
                given[f"{m.name}.bias"],
                quantized,
            )
            for m in matrices(config)
        ]
        self.layers = [
            Layer(norm(f"h.{i}.ln_1"), norm(f"h.{i}.ln_2"), *found[4 * i : 4 * i + 4])
            for i in range(config.layers)
        ]
        self.tokens, self.positions = rows("wte.weight"), rows("wpe.weight")
        self.norm = norm("ln_f")
        # The head is tied: its column j is the embedding of token j.
        self.head = Linear.of(self.tokens, [0.0] * config.vocabulary, quantized)


class Cache(NamedTuple):
    """Of one head: keys [position][d] and values [d][position]."""

    keys: list[list[float]]
    values: list[list[float]]


class Loop:
    gelu = staticmethod(gelu_tanh.loop)

    @staticmethod
    def linear(x: list[float], layer: Linear) -> list[float]:
        columns, bias, scales = layer
        x_scale = 1.0
        if scales is not None:
            x, x_scale = quantize_row(x)
        out = [0.0] * len(columns)
        for j in range(len(columns)):
            column = columns[j]
            total = 0.0
            for p in range(len(x)):
                total += x[p] * column[p]
            if scales is not None:
                total = total * x_scale * scales[j]
            out[j] = total + bias[j]
        return out

    @staticmethod
    def layernorm(x: list[float], norm: Norm) -> list[float]:
        gain, bias = norm
        total = 0.0
        for c in range(len(x)):
            total += x[c]
        mean = total / len(x)
        total = 0.0
        for c in range(len(x)):
            total += (x[c] - mean) * (x[c] - mean)
        factor = 1.0 / math.sqrt(total / len(x) + EPSILON)
        out = [0.0] * len(x)
        for c in range(len(x)):
            out[c] = (x[c] - mean) * factor * gain[c] + bias[c]
        return out

    @staticmethod
    def attend(query: list[float], cache: Cache) -> list[float]:
        keys, values = cache
        scores = [0.0] * len(keys)
        for j in range(len(keys)):
            total = 0.0
            for c in range(len(query)):
                total += query[c] * keys[j][c]
            scores[j] = total / math.sqrt(len(query))
        shares = softmax.loop(scores)
        out = [0.0] * len(query)
        for c in range(len(query)):
            total = 0.0
            for j in range(len(keys)):
                total += shares[j] * values[c][j]
            out[c] = total
        return out

    @staticmethod
    def add(x: list[float], y: Sequence[float]) -> list[float]:
        out = [0.0] * len(x)
        for c in range(len(x)):
            out[c] = x[c] + y[c]
        return out


class Idiomatic:
    gelu = staticmethod(gelu_tanh.idiomatic)

    @staticmethod
    def linear(x: list[float], layer: Linear) -> list[float]:
        columns, bias, scales = layer
        if scales is None:
            return [_dot(x, column) + b for column, b in zip(columns, bias, strict=True)]
        q, s = quantize_row(x)
        each = zip(columns, scales, bias, strict=True)
        return [_dot(q, column) * s * scale + b for column, scale, b in each]

    @staticmethod
    def layernorm(x: list[float], norm: Norm) -> list[float]:
        gain, bias = norm
        mean = sum(x) / len(x)
        centered = [v - mean for v in x]
        factor = 1.0 / math.sqrt(_dot(centered, centered) / len(x) + EPSILON)
        return [v * factor * g + b for v, g, b in zip(centered, gain, bias, strict=True)]

    @staticmethod
    def attend(query: list[float], cache: Cache) -> list[float]:
        scale = 1.0 / math.sqrt(len(query))
        shares = softmax.idiomatic([_dot(query, key) * scale for key in cache.keys])
        return [_dot(shares, row) for row in cache.values]

    @staticmethod
    def add(x: list[float], y: Sequence[float]) -> list[float]:
        return [a + b for a, b in zip(x, y, strict=True)]


_FUNCTIONS: dict[str, type[Loop] | type[Idiomatic]] = {"loop": Loop, "idiomatic": Idiomatic}


class PythonSession(Session):
    """Made by Gpt.session(tier="loop") and "idiomatic"."""

    def __init__(self, model: Gpt, variant: str, precision: str) -> None:
        super().__init__(model, variant, precision)
        quantized = precision == "i8"
        self._weights = model.once(("python", quantized), lambda: Weights(model, quantized))
        self._do = _FUNCTIONS[variant]
        heads = range(model.config.heads)
        self._d = model.config.width // model.config.heads
        self._caches = [
            [Cache([], [[] for _ in range(self._d)]) for _ in heads] for _ in self._weights.layers
        ]
        self._out = array("f")

    @property
    def out(self) -> array[float]:
        return self._out

    def call(self, tokens: Sequence[int], start: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        checked, first = self._checked_call(tokens, start)
        return self._compute, (checked, first, False)

    def _compute(self, tokens: Sequence[int], start: int, every: bool) -> None:
        self._forget(start)
        do, weights, out = self._do, self._weights, array("f")
        for number, token in enumerate(tokens):
            x = self._token(token, start + number)
            if every or number + 1 == len(tokens):
                out.extend(do.linear(do.layernorm(x, weights.norm), weights.head))
        self._out = out

    def _forget(self, start: int) -> None:
        """What the caches hold from `start` on: of a rewound session, or of an interrupted call."""
        for caches in self._caches:
            for keys, values in caches:
                del keys[start:]
                for row in values:
                    del row[start:]

    def _token(self, token: int, position: int) -> list[float]:
        """The residual stream after all layers."""
        do, weights = self._do, self._weights
        x = do.add([*weights.tokens[token]], weights.positions[position])
        for layer, caches in zip(weights.layers, self._caches, strict=True):
            qkv = do.linear(do.layernorm(x, layer.norm_1), layer.qkv)
            x = do.add(x, do.linear(self._attention(qkv, caches), layer.projection))
            wide = do.gelu(do.linear(do.layernorm(x, layer.norm_2), layer.up))
            x = do.add(x, do.linear(wide, layer.down))
        return x

    def _attention(self, qkv: list[float], caches: list[Cache]) -> list[float]:
        d, width = self._d, len(qkv) // 3
        out: list[float] = []
        for first, cache in zip(range(0, width, d), caches, strict=True):
            cache.keys.append(qkv[width + first : width + first + d])
            value = qkv[2 * width + first : 2 * width + first + d]
            for row, v in zip(cache.values, value, strict=True):
                row.append(v)
            out += self._do.attend(qkv[first : first + d], cache)
        return out
