"""The forward pass in a native tier: what owns the memory, and three ways to call the kernels.

Python owns every buffer. Weights are packed once for a model, a tier and a precision, and shared; a
session has the caches of keys and values and room for as many rows as the context has tokens.
"""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import kernels_c
from engine import chain
from engine.gpt import EPSILON, Gpt, matrices
from engine.session import Session

PATHS = ("step", "chained", "unpacked")
_LINE = 64  # bytes: every part starts on a cache line


class Memory:
    """Parts of one piece of zeroed memory, in the order given, by name. Parts of one piece do not
    all start at the same place of a page, where they would compete for the same cache lines."""

    def __init__(self, ffi: Any, sizes: dict[str, int]) -> None:
        """sizes in bytes."""
        starts = accumulate((size + -size % _LINE for size in sizes.values()), initial=0)
        self._ffi, self._sizes = ffi, sizes
        self._start = dict(zip((*sizes, ""), starts, strict=True))
        self._memory = mmap.mmap(-1, max(self._start[""], 1))
        self._base = ffi.from_buffer(self._memory)  # keeps the memory where it is

    def pointer(self, name: str, c_type: str) -> Any:
        """Of cffi; whoever has it keeps this object as well."""
        return self._ffi.cast(c_type, self._base + self._start[name])

    def view(self, name: str) -> memoryview:
        start = self._start[name]
        return memoryview(self._memory)[start : start + self._sizes[name]]

    def floats(self, name: str) -> Any:
        return self.pointer(name, "float *")


def transposed(values: array[Any], rows: int) -> array[Any]:
    """[rows, cols] -> [cols, rows], flat."""
    cols = len(values) // rows
    made = array(values.typecode)
    for c in range(cols):
        made.extend(values[c::cols])
    return made


class Weights:
    """A model's weights as one tier's kernels read them, in the order in which a token does.
    `form` is "f32", "i8", or "plain": matrices and biases as they are in the model."""

    def __init__(self, model: Gpt, tier: kernels_c.Tier, form: str) -> None:
        self._tier, self._form = tier, form
        config, given = model.config, model.weights
        linear = [(m.name, m.n, m.k) for m in matrices(config)]
        linear.append(("head", config.vocabulary, config.width))
        vectors = {
            name: values
            for name, values in given.items()
            if form == "plain" or name.startswith(("wte", "wpe", "ln_f")) or ".ln_" in name
        }
        sizes = {name: 4 * len(values) for name, values in vectors.items()}
        sizes |= {name: self._size(n, k) for name, n, k in linear}
        order = ["wte.weight", "wpe.weight"]
        order += [name for name in sizes if name[0] == "h" and name != "head"]
        self.memory = Memory(
            tier.ffi, {name: sizes[name] for name in dict.fromkeys([*order, *sizes])}
        )
        for name, values in vectors.items():
            self.memory.view(name)[:] = memoryview(values).cast("B")
        for name, n, k in linear:
            if name == "head":  # tied
                self._pack(name, transposed(given["wte.weight"], n), None, n, k)
            else:
                self._pack(name, given[f"{name}.weight"], given[f"{name}.bias"], n, k)

    def _size(self, n: int, k: int) -> int:
        lib = self._tier.lib
        if self._form == "i8":
            return int(lib.packed_linear_i8(n, k))
        return 4 * (n * k if self._form == "plain" else int(lib.packed_linear_f32(n, k)))

    def _pack(
        self, name: str, weight: array[float], bias: array[float] | None, n: int, k: int
    ) -> None:
        lib, ffi, memory = self._tier.lib, self._tier.ffi, self.memory
        biases = ffi.NULL if bias is None else ffi.from_buffer("float[]", bias)
        if self._form == "plain":
            memory.view(name)[:] = memoryview(weight).cast("B")
        elif self._form == "f32":
            floats = ffi.from_buffer("float[]", weight)
            lib.pack_linear_f32(floats, biases, memory.floats(name), n, k)
        else:
            columns, scales = transposed(weight, k), ffi.new("float[]", n)
            quantized = array("b", bytes(n * k))
            whole = ffi.from_buffer("int8_t[]", quantized)
            lib.quantize_rows_f32_i8(ffi.from_buffer("float[]", columns), whole, scales, n, k)
            rows = ffi.from_buffer("int8_t[]", transposed(quantized, n))
            lib.pack_linear_i8(rows, scales, biases, memory.pointer(name, "int8_t *"), n, k)


class NativeSession(Session):
    """Made by Gpt.session() of a native tier. cffi gives the interpreter's lock back during a call,
    so sessions in several threads compute at the same time."""

    def __init__(self, model: Gpt, tier: kernels_c.Tier, precision: str, path: str) -> None:
        super().__init__(model, tier.name, precision, path)
        form = "plain" if path == "unpacked" else precision
        key = ("native", tier.name, form)
        self._weights = model.once(key, lambda: Weights(model, tier, form))
        self._lib, self._ffi = tier.lib, tier.ffi
        self._memory = Memory(tier.ffi, _sizes(model, tier))
        self._vocabulary = model.config.vocabulary
        self._view = self._memory.view("logits").cast("f")
        self._rows = 1
        self._tokens = self._memory.pointer("tokens", "int32_t *")
        self._logits = self._memory.floats("logits")
        self._layers = tier.ffi.new("gpt_layer[]", model.config.layers)
        self._model = tier.ffi.new("gpt_model *")
        self._fill(form == "i8")
        self._memory.view("numbers").cast("i")[:] = array("i", range(model.config.context))

    def _fill(self, quantized: bool) -> None:
        """The structs of kernels.h; they point into memory that this session keeps."""
        weights, own, to, config = (
            self._weights.memory,
            self._memory,
            self._model,
            self.model.config,
        )
        for i, layer in enumerate(self._layers):
            name = f"h.{i}"
            layer.gain_1, layer.bias_1 = map(weights.floats, _norm(f"{name}.ln_1"))
            layer.gain_2, layer.bias_2 = map(weights.floats, _norm(f"{name}.ln_2"))
            layer.qkv = weights.pointer(f"{name}.attn.c_attn", "void *")
            layer.projection = weights.pointer(f"{name}.attn.c_proj", "void *")
            layer.up = weights.pointer(f"{name}.mlp.c_fc", "void *")
            layer.down = weights.pointer(f"{name}.mlp.c_proj", "void *")
            layer.keys, layer.values = own.floats(f"keys.{i}"), own.floats(f"values.{i}")
        for size in ("layers", "width", "heads", "hidden", "context", "vocabulary"):
            setattr(to, size, getattr(config, size))
        to.quantized, to.epsilon, to.layer = quantized, EPSILON, self._layers
        to.tokens, to.positions = weights.floats("wte.weight"), weights.floats("wpe.weight")
        to.gain, to.bias = map(weights.floats, _norm("ln_f"))
        to.head = weights.pointer("head", "void *")
        for name in ("x", "normal", "wide", "scales", "scores"):
            setattr(to, name, own.floats(name))
        to.bytes = own.pointer("bytes", "int8_t *")

    @property
    def out(self) -> memoryview[float]:
        """The logits of the last computation, float32."""
        return self._view[: self._rows * self._vocabulary]

    def call(self, tokens: Sequence[int], start: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        checked, first = self._checked_call(tokens, start)
        self._rows = 1
        return self._prepared(self._ffi.new("int32_t[]", checked), len(checked), first, False)

    def _prepared(
        self, tokens: Any, count: int, start: int, every: bool
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.path == "step":
            given = (self._model, tokens, count, start, every, self._logits)
            return self._lib.gpt_step, given
        call = chain.Call(tokens, count, start, count if every else 1, self._logits)
        if self.path == "chained":
            return chain.run, (chain.packed(self._lib, self._model, call),)
        numbers = [self._memory.pointer(name, "int32_t *") for name in ("zeros", "numbers")]
        links = chain.plain(self._lib, self._weights.memory, self._model, call, *numbers)
        return chain.run, (links,)

    def _compute(self, tokens: Sequence[int], start: int, every: bool) -> None:
        count = len(tokens)
        self._tokens[0:count] = tokens
        function, given = self._prepared(self._tokens, count, start, every)
        if function(*given):
            raise MemoryError("no memory to pack a product")
        self._rows = count if every else 1

    def _likeliest(self) -> int:
        return int(self._lib.argmax_f32(self._logits, self._vocabulary))


def _norm(name: str) -> tuple[str, str]:
    return f"{name}.weight", f"{name}.bias"


def _sizes(model: Gpt, tier: kernels_c.Tier) -> dict[str, int]:
    """Bytes of what a session owns, for as many rows as the context has tokens."""
    config = model.config
    context, width = config.context, config.width
    wide = max(3 * width, config.hidden)
    scores = config.heads * tier.lib.ATTENTION_ROWS * context
    floats = {"x": context * width, "normal": context * width, "wide": context * wide}
    floats |= {"scales": context, "scores": scores, "logits": context * config.vocabulary}
    for i in range(config.layers):
        floats |= {f"keys.{i}": context * width, f"values.{i}": context * width}
    sizes = {name: 4 * count for name, count in floats.items()}
    sizes |= {"zeros": 4 * context, "numbers": 4 * context}  # of chain.plain
    return {"tokens": 4 * context, "bytes": context * max(width, config.hidden), **sizes}
