"""Whole models as rows of the registry: a prompt read, a token made, a file's type told.

A program is timed, verified and shown as a kernel is, in two precisions: float32, and int8 (weights
and activations; embedding, layernorm, attention and GELU stay float). It is no kernel, so nothing
that goes through KERNELS meets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.suite.registry import (
    ON_ONE_THREAD,
    ON_SEVERAL_THREADS,
    Bound,
    Kernel,
    Native,
    Shape,
    Signature,
    Unit,
)

PRECISIONS = ("f32", "i8")
# What each variant runs: a token or a prompt in one native call, the same kernels called one by one
# from Python, or products of plain weights with everything else in calls of its own.
STEP, CHAINED, UNPACKED = "step", "chained", "unpacked"
# Which libraries have which program; PyTorch's int8 is another package's. Against magika in int8
# stands what is their fastest: float32.
PEERS = {
    "torch": ("prefill_f32", "decode_f32", "identify_f32", "identify_i8"),
    "onnxruntime": tuple(f"{p}_{i}" for p in ("prefill", "decode", "identify") for i in PRECISIONS),
}
_FAST = tuple(f"c-{tier}" for tier in (*ON_ONE_THREAD[::-1], *ON_SEVERAL_THREADS[::-1]))
_ON_ONE = tuple(f"c-{tier}" for tier in ON_ONE_THREAD[::-1])


@dataclass(frozen=True)
class Gpt:
    """The shape of a decoder of GPT-2's kind, as engine.gpt.Config."""

    layers: int
    width: int
    heads: int
    hidden: int
    context: int = 256
    vocabulary: int = 256
    stored: int = 4  # bytes of a weight of a matrix: 2 of a model whose weights float16 holds

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """(k, n) of the matrices of a layer."""
        w, h = self.width, self.hidden
        return (w, 3 * w), (w, w), (w, h), (h, w)

    def multiply_adds(self, start: int, count: int) -> int:
        """Of `count` tokens after `start` others, the logits of the last alone: of the last layer
        the others need no more than keys and values, which come with the queries in one product."""
        keys, *others = (k * n for k, n in self.products)
        attended = sum(range(start + 1, start + count + 1))
        layer = count * (keys + sum(others)) + 2 * self.width * attended
        last = count * keys + sum(others) + 2 * self.width * (start + count)
        return (self.layers - 1) * layer + last + self.width * self.vocabulary

    def weight_bytes(self, precision: str) -> int:
        """Of what every call reads, at least: matrices and the head, as the model stores them or as
        int8, their scales and biases, layernorms; the embedding is read a row at a time."""
        matrices = self.layers * self.products + ((self.width, self.vocabulary),)
        floats = sum(n for _, n in matrices) + (2 * self.layers + 1) * 2 * self.width
        if precision == "f32":
            return 4 * floats + self.stored * sum(k * n for k, n in matrices)
        return 4 * (floats + sum(n for _, n in matrices)) + sum(k * n for k, n in matrices)

    def cache_bytes(self, positions: int) -> int:
        """Of the keys and values of so many."""
        return 4 * self.layers * 2 * self.width * positions


VERSE = Gpt(layers=4, width=128, heads=4, hidden=512, stored=2)
# Of random weights, by millions of parameters: of float32 and int8 each about one in every level of
# memory.
RANDOM = {
    name: Gpt(4, width, heads, 4 * width)
    for name, width, heads in (
        ("0.2M", 64, 2), ("0.8M", 128, 4), ("3M", 256, 8), ("13M", 512, 8), ("50M", 1024, 16),
    )
}  # fmt: skip
# magika's standard model: bytes of a file -> 64 each -> [512, 256] -> convolution by 5 rows -> 512
# -> labels.
FILE_BYTES, _EMBEDDED, _ROWS, _COLS, _TAPS, _FEATURES, LABELS = 2048, 64, 512, 256, 5, 512, 214


@dataclass(frozen=True)
class Program(Kernel):
    """One row. `shape` is what a size stands for in numbers; every class has its own."""

    def __post_init__(self) -> None:
        ablations = {
            f"c-{tier}_{path}": Native(tier, path)
            for tier in ON_ONE_THREAD[::-1]
            for path in self.paths
        }
        object.__setattr__(self, "ablations", ablations)

    @property
    def is_layer(self) -> bool:
        """Neither is a program reached by other call paths."""
        return True

    @property
    def paths(self) -> tuple[str, ...]:
        return (UNPACKED, CHAINED) if self.precision == "f32" else (CHAINED,)

    @property
    def task(self) -> str:
        return self.name.rpartition("_")[0]

    @property
    def precision(self) -> str:
        return self.name.rpartition("_")[2]

    def native(self, variant: str) -> Native:
        found = super().native(variant)
        return found if variant in self.ablations else Native(found.tier, STEP)

    def variants_at(
        self, shape: Shape, quick: bool = False, explain: bool = False
    ) -> tuple[str, ...]:
        """All at the first of the sizes, which stands for the program and is in no quick run;
        elsewhere what is fast. What takes seconds a call, and explains least, with `explain`
        alone."""
        if shape != self.sizes[0][1]:
            return _FAST if self.precision == "i8" else ("py-idiomatic", *_FAST)
        return self.variants if explain else tuple(v for v in self.variants if v not in self.slow)

    @property
    def slow(self) -> tuple[str, ...]:
        return ("py-loop", "c-debug") if self.precision == "i8" else ("py-loop",)

    def shapes(self, quick: bool = False, explain: bool = False) -> list[Shape]:
        return [shape for in_quick, shape in self.sizes if in_quick or not quick]

    def bytes(self, shape: Shape) -> int:
        raise NotImplementedError

    def figures(self, shape: Shape) -> dict[str, int]:
        return {"tokens": self.tokens(shape), "weight_bytes": self.weight_bytes(shape)}

    def tokens(self, shape: Shape) -> int:
        """That a call takes in."""
        raise NotImplementedError

    def weight_bytes(self, shape: Shape) -> int:
        raise NotImplementedError

    def _number(self, size: str, least: int, most: int) -> int:
        if not (size.isdecimal() and least <= int(size) <= most):
            raise ValueError(
                f"{self.name}: got size {size!r}, needs a number from {least} to {most}"
            )
        return int(size)


@dataclass(frozen=True)
class OfTokens(Program):
    """verse. shape: (tokens, the positions that the last of them attends to)."""

    def model(self, shape: Shape) -> Gpt:
        return VERSE

    def parts(self, shape: Shape) -> tuple[Shape, ...]:
        return ((self.model(shape).vocabulary,),)

    def tokens(self, shape: Shape) -> int:
        return shape[0]

    def start(self, shape: Shape) -> int:
        return shape[1] - shape[0]

    def flops(self, shape: Shape) -> int:
        return 2 * self.model(shape).multiply_adds(self.start(shape), shape[0])

    def weight_bytes(self, shape: Shape) -> int:
        return self.model(shape).weight_bytes(self.precision)

    def bytes(self, shape: Shape) -> int:
        return self.weight_bytes(shape) + self.model(shape).cache_bytes(shape[1])


@dataclass(frozen=True)
class Prefill(OfTokens):
    """A prompt of so many tokens; the logits of the last alone, and so by libraries."""

    def size_name(self, shape: Shape) -> str:
        return str(shape[0])

    def shape_named(self, size: str) -> Shape:
        count = self._number(size, 1, VERSE.context)
        return count, count


@dataclass(frozen=True)
class Decode(OfTokens):
    """One token after so many others. What it is slow by is the bytes of its weights."""

    @property
    def rate(self) -> str:
        return "GB/s"

    @property
    def slow(self) -> tuple[str, ...]:
        return ()

    def shapes(self, quick: bool = False, explain: bool = False) -> list[Shape]:
        """Without the full context of int8: Python's reference of it takes three seconds."""
        found = super().shapes(quick)
        return found if explain or self.precision == "f32" else found[:2]

    def size_name(self, shape: Shape) -> str:
        return str(shape[1] - 1)

    def shape_named(self, size: str) -> Shape:
        return 1, self._number(size, 0, VERSE.context - 1) + 1


@dataclass(frozen=True)
class DecodeRandom(OfTokens):
    """One token after none, of a model of random weights: its speed alone. shape: (1, 1, width)."""

    @property
    def rate(self) -> str:
        return "GB/s"

    def model(self, shape: Shape) -> Gpt:
        return RANDOM[self.size_name(shape)]

    def size_name(self, shape: Shape) -> str:
        return next(name for name, model in RANDOM.items() if model.width == shape[2])

    def shape_named(self, size: str) -> Shape:
        if size not in RANDOM:
            raise ValueError(f"{self.name}: got size {size!r}, needs one of {', '.join(RANDOM)}")
        return 1, 1, RANDOM[size].width

    def shapes(self, quick: bool = False, explain: bool = False) -> list[Shape]:
        return [shape for _, shape in self.sizes] if explain else []

    def variants_at(
        self, shape: Shape, quick: bool = False, explain: bool = False
    ) -> tuple[str, ...]:
        return _ON_ONE


@dataclass(frozen=True)
class Identify(Program):
    """A file's type by magika's model, which looks at 2,048 of its bytes. shape: those.

    flops and bytes are of the model as it is shipped, but for the embedding, which is one row of a
    table for each byte however it is written.
    """

    @property
    def paths(self) -> tuple[str, ...]:
        return ()

    @property
    def variants(self) -> tuple[str, ...]:
        """Python has no int8 of it: what its floats take is what int8 replaces, too."""
        own = super().variants
        return own if self.precision == "f32" else tuple(v for v in own if v[:3] != "py-")

    def parts(self, shape: Shape) -> tuple[Shape, ...]:
        return ((LABELS,),)

    def tokens(self, shape: Shape) -> int:
        return shape[0]

    def flops(self, shape: Shape) -> int:
        convolution = (_ROWS - _TAPS + 1) * _TAPS * _COLS * _FEATURES
        return 2 * (convolution + _FEATURES * LABELS)

    def weight_bytes(self, shape: Shape) -> int:
        matrices = _TAPS * _COLS * _FEATURES + _FEATURES * LABELS
        table = 4 * (FILE_BYTES // 8 + 1) * _EMBEDDED
        return table + matrices * (4 if self.precision == "f32" else 1)

    def bytes(self, shape: Shape) -> int:
        return self.weight_bytes(shape) + 4 * _ROWS * _COLS

    def size_name(self, shape: Shape) -> str:
        return str(shape[0])

    def shape_named(self, size: str) -> Shape:
        return (self._number(size, FILE_BYTES, FILE_BYTES),)


_SHARE = 1 / 3  # of the time that a kernel's benchmark may take: a model has many


# Of int8 where no token stands before, and so nothing that has fallen to another side there.
ALONE = 1e-3


def _bounds(precision: str) -> dict[str, Bound]:
    """The largest error in a logit, against Python in double precision. int8 is held to Python's
    own int8: of one token it is float32's bound or little more, but an activation that lies on the
    edge between two steps may fall to either side, and once one has, keys and values differ for all
    that follow: 0.3 was the most that was seen. A library's int8 rounds otherwise, by a scale for a
    whole matrix."""
    if precision == "f32":
        return dict.fromkeys(("python", "portable", "simd", "peer"), Bound(5e-5, Unit.ABSOLUTE))
    own = Bound(0.5, Unit.ABSOLUTE)
    return {"python": own, "portable": own, "simd": own, "peer": Bound(2.0, Unit.ABSOLUTE)}


def _rows(kind: type[Program], task: str, sizes: Sequence[tuple[bool, Shape]]) -> list[Program]:
    return [
        kind(
            name=f"{task}_{precision}",
            module="engine",
            signature=Signature.PROGRAM if precision == "f32" else Signature.PROGRAM_I8,
            sizes=tuple(sizes),
            operations=2,
            bounds=_bounds(precision),
            share=_SHARE,
        )
        for precision in PRECISIONS
    ]


# The first size stands for a program: all variants have it.
PROGRAMS: dict[str, Kernel] = {
    program.name: program
    for program in (
        *_rows(Prefill, "prefill", [(False, (128, 128))]),
        *_rows(Decode, "decode", [(False, (1, 129)), (True, (1, 1)), (False, (1, 256))]),
        *_rows(Identify, "identify", [(False, (FILE_BYTES,))]),
        *_rows(DecodeRandom, "decode_random", [(False, (1, 1, m.width)) for m in RANDOM.values()]),
    )
}
