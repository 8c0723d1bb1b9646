"""Which class builds the cases of which signature, and the edge cases: small awkward ones that
every native kernel must pass before any of its times is believed."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from bench.measure.cases.attention import AttentionCase
from bench.measure.cases.buffers import values
from bench.measure.cases.case import Case
from bench.measure.cases.engine import FileCase, ProgramCase, RandomCase, TokensCase
from bench.measure.cases.layers import (
    AddedSum,
    AddedSumI8,
    ArgmaxCase,
    EmbeddingCase,
    GeluMaxCase,
    GeluOfSum,
    GeluOfSumI8,
    LayernormCase,
    LinearCase,
    LinearI8Case,
    OfFloat16,
    QuantizeRowsCase,
)
from bench.measure.cases.products import IntegerProductCase, ProductCase, QuantizedProductCase
from bench.measure.cases.unary import QuantizeCase, RowsCase, UnaryCase
from bench.suite.programs import Decode, DecodeRandom, Identify, OfTokens, Prefill, Program
from bench.suite.registry import Kernel, Shape, Signature

CASES: dict[Signature, type[Case]] = {
    Signature.UNARY: UnaryCase,
    Signature.ROWS: RowsCase,
    Signature.PRODUCT: ProductCase,
    Signature.QUANTIZE: QuantizeCase,
    Signature.PRODUCT_I8: IntegerProductCase,
    Signature.QUANTIZED_PRODUCT: QuantizedProductCase,
    Signature.LAYERNORM: LayernormCase,
    Signature.LINEAR: LinearCase,
    Signature.LINEAR_I8: LinearI8Case,
    Signature.QUANTIZE_ROWS: QuantizeRowsCase,
    Signature.ATTENTION: AttentionCase,
    Signature.EMBEDDING: EmbeddingCase,
    Signature.INDEX: ArgmaxCase,
    Signature.COLUMNS: GeluMaxCase,
}


# By the row's class, the special ones first.
_PROGRAMS: dict[type[Program], type[ProgramCase]] = {
    Identify: FileCase,
    DecodeRandom: RandomCase,
    OfTokens: TokensCase,
}


def make_case(kernel: Kernel, shape: Shape, offsets: tuple[int, int] = (0, 0)) -> Case:
    program = next((case for kind, case in _PROGRAMS.items() if isinstance(kernel, kind)), None)
    return (program or CASES[kernel.signature])(kernel, shape, offsets)


class SweepCase(UnaryCase):
    """Both signs of magnitudes from the subnormals to 16, evenly in the exponent."""

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        steps = max(self.shape[0] // 2, 1)
        magnitudes = [2.0 ** (4.0 - 150.0 * (1 - i / steps) ** 3) for i in range(steps + 1)]
        both = [v for m in magnitudes for v in (m, -m)]
        return (array("f", both[: self.shape[0]]),)


class NegatedSweepCase(SweepCase):
    """The other sign at each place: what a tail lets pass, or forgets, may be right for one."""

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        (sweep,) = super().inputs
        return (array("f", [-value for value in sweep]),)


class TiesCase(ArgmaxCase):
    """The largest many times over: the first of them counts."""

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        return (array("f", [float(i % 5) for i in range(self.shape[0])]),)


class WideRowsCase(RowsCase):
    """Rows whose exponentials span the whole of float32."""

    low, high = -60.0, 60.0


class SpikeRowsCase(RowsCase):
    """One element far above the rest, in each row one place further: a maximum that misses a lane
    overflows."""

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        rows, cols = self.shape
        spiked = values(rows * cols, -1.0, 1.0)
        for row in range(rows):
            spiked[row * cols + row % cols] = 95.0
        return (spiked,)


class ClippingCase(QuantizeCase):
    """A third of the values is clipped."""

    low, high = -12.0, 12.0


class NotANumberCase(QuantizeCase):
    """NaN and infinities, which have defined results here."""

    needs_ieee = True

    @cached_property
    def inputs(self) -> tuple[array[Any], ...]:
        special = [math.nan, math.inf, -math.inf, 0.0] * self.shape[0]
        return (array("f", special[: self.shape[0]]),)


# Lengths: alone, one short of whole registers, tails after whole registers. Products: odd in every
# dimension; tails of every register that a tile may end in (n modulo 16: 1 to 5, 12, 13); past two
# blocks of m (300), past one of n (4097) and k (300); one to four columns; few rows and many
# columns, or many terms; rows of 4096 bytes.
_PRODUCT_EDGES = (
    *((1, 1, 1), (7, 17, 5), (13, 35, 300), (25, 18, 520), (300, 18, 5), (3, 4097, 3)),
    *((7, 13, 5), (9, 61, 40), (5, 1, 100), (6, 4, 9), (9, 2, 30), (2, 300, 70), (7, 261, 1024)),
    (3, 70, 300),
)
# Of the parts of models: no terms at all, whole registers and tails of them, a head of 5, 32 and 9
# columns, queries in blocks of 16 and what is left.
_LINEAR_EDGES = (
    *((1, 1, 1), (7, 9, 0), (1, 17, 5), (5, 33, 64), (2, 8, 16), (1, 100, 7), (4, 1, 9)),
    *((17, 61, 40), (3, 513, 129)),
)
_ATTENTION_EDGES = ((1, 1, 1), (3, 7, 5), (5, 5, 32), (17, 40, 64), (1, 67, 96), (33, 33, 9))
_LAYER_ROWS = ((1, 1), (3, 7), (5, 67), (2, 1003), (9, 16))
_EDGE_CASES: dict[Signature, tuple[tuple[type[Case], tuple[Shape, ...]], ...]] = {
    Signature.UNARY: (
        (SweepCase, ((1,), (7,), (67,), (4095,))),
        (NegatedSweepCase, ((3,), (67,))),
    ),
    Signature.ROWS: (
        (WideRowsCase, ((3, 1), (5, 67), (2, 1003), (1, 32781))),
        (SpikeRowsCase, ((67, 67), (40, 7))),
    ),
    Signature.PRODUCT: ((ProductCase, _PRODUCT_EDGES),),
    Signature.QUANTIZE: (
        (ClippingCase, ((1,), (7,), (67,), (1003,))),
        (NotANumberCase, ((39,),)),
    ),
    Signature.PRODUCT_I8: ((IntegerProductCase, _PRODUCT_EDGES),),
    Signature.QUANTIZED_PRODUCT: ((QuantizedProductCase, _PRODUCT_EDGES),),
    Signature.LAYERNORM: ((LayernormCase, _LAYER_ROWS),),
    Signature.LINEAR: tuple(
        (c, _LINEAR_EDGES) for c in (LinearCase, OfFloat16, GeluOfSum, AddedSum)
    ),
    Signature.LINEAR_I8: tuple((c, _LINEAR_EDGES) for c in (LinearI8Case, GeluOfSumI8, AddedSumI8)),
    Signature.QUANTIZE_ROWS: ((QuantizeRowsCase, _LAYER_ROWS),),
    Signature.ATTENTION: ((AttentionCase, _ATTENTION_EDGES),),
    Signature.EMBEDDING: ((EmbeddingCase, _LAYER_ROWS),),
    Signature.INDEX: (
        (ArgmaxCase, ((1,), (7,), (67,), (1003,))),
        (TiesCase, ((7,), (67,), (1003,))),
    ),
    Signature.COLUMNS: ((GeluMaxCase, ((1, 1), (1, 67), (67, 13), (7, 130))),),
}


# (tokens, the positions that the last attends to): short prompts, also after some tokens.
_SHORT: dict[type[Program], tuple[Shape, ...]] = {
    Prefill: ((1, 1), (3, 3), (5, 21)),
    Decode: ((1, 1), (1, 3)),
}
# Off a cache line, operands and result by different amounts, as a user's buffers are.
_OFFSETS = (20, 36)


def edge_cases(kernel: Kernel) -> Iterator[Case]:
    """Every edge case of the kernel; those with needs_ieee are not for relaxed tiers."""
    for kind, shapes in _SHORT.items():
        if isinstance(kernel, kind):
            yield from (make_case(kernel, shape) for shape in shapes)
    for case_class, shapes in _EDGE_CASES.get(kernel.signature, ()):
        for shape in shapes:
            yield case_class(kernel, shape, _OFFSETS)
