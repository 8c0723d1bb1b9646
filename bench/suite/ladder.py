"""The ladder: in what order variants build on each other, what each changes, and why that matters.

A run saves its ladders, so that a view needs nothing but the run. Every rung changes one idea over
the one before it, and says what else had to change with it; where a run lacks a rung, the next is
compared with what came before that.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.suite.registry import Kernel


@dataclass(frozen=True)
class Rung:
    """variant changes `idea` over the rung before it; `reason` says why that takes another time."""

    variant: str
    idea: str
    reason: str


_COMPILED = (
    "compiled, -O0; float32 for double",
    "no bytecode to dispatch, no number in an object",
)

# Idea and reason of every kernel's rungs, unless it has its own below. c-avx512 is none: its
# registers are the idea of c-avx512_omp.
_GENERAL = {
    "py-loop": ("Python, index by index", "where the ladder stands"),
    "py-idiomatic": ("idiomatic Python", "builtins and comprehensions, no indices"),
    "c-debug": _COMPILED,
    "c-scalar": ("optimiser, -O2", "variables in registers instead of on the stack"),
    "c-autovec": ("compiler's SIMD, -O3 -mavx2 -mfma", "eight elements at once where it can"),
    "c-fastmath": ("relaxed maths, -ffast-math", "sums may be reordered, libm may be vector libm"),
    "c-avx2": ("hand-written AVX2, IEEE rules kept", "written for the registers"),
    "c-avx2_omp": ("all cores", "the work is split; small calls stay on one core"),
    "c-avx512_omp": ("registers of 512 bits", "the same text, twice as many lanes"),
}
_SCALAR_CALLS = "scalar libm is called for each element: a loop with the call in it cannot be wide"
_GELU = {
    "c-autovec": _SCALAR_CALLS,
    "c-fastmath": "the call goes to libm's vector form, where the compiler has one",
    "c-avx2": "a polynomial instead of the call: no table, no branch, nothing leaves the registers",
}
_SAME_LOOPS = "no bytecode, no number in an object; but the sum is no longer in C already"
_OTHER_ORDER = (
    "loop order i, p, j",
    "b is read along its rows, not down its columns; no sum waits for the one before",
)
_BYTES = ("registers of 512 bits, VNNI", "bytes are multiplied as they are, in twice as many lanes")
_Texts = dict[str, str | tuple[str, str] | None]

_CHAINED_I8 = (
    "hand-written AVX2, packed int8 weights, kernels called one by one",
    "a quarter of the bytes; packed once for all calls; but every kernel is a call from Python",
)
_ONE_CALL = (
    "one call a token",
    "kernels follow each other inside native code, not by way of Python",
)
# Of a whole model. Down to fastmath a rung changes every kernel of it in the same way.
_MODEL: _Texts = {
    "py-idiomatic": "products are summed in C; a list for each row and column",
    "c-debug": ("compiled, -O0; float32, one call for everything", _COMPILED[1]),
    "c-scalar": "variables in registers; the loops run along the rows of the weights",
    "c-autovec": "products, attention and sums eight at a time; exp and tanh stay scalar calls",
    "c-fastmath": "sums may be reordered; exp and tanh eight at a time, where libm has them",
    "c-avx2_unpacked": (
        "hand-written AVX2 on plain weights, kernels called one by one",
        "registers and polynomials; but each kernel is a call from Python, bias, GELU and residual "
        "too, and weights are packed anew in each",
    ),
    "c-avx2_chained": (
        "packed weights, fused epilogues",
        "packed once for all calls, read in order; bias, GELU and residual while the sums are in "
        "registers: half as many calls",
    ),
    "c-avx2": _ONE_CALL,
    "c-avx512_unpacked": None,
    "c-avx512_chained": None,
}
_TOKEN: _Texts = {
    **_MODEL,
    "c-avx2_chained": (
        "packed weights, fused epilogues",
        "packed once, in float16 where it holds every weight: half the bytes, read in order; bias, "
        "GELU and residual while the sums are in registers: half as many calls",
    ),
}
_MODEL_I8: _Texts = {
    **_MODEL,
    "c-debug": ("compiled, -O0; int8 products, one call for everything", _COMPILED[1]),
    "c-autovec": (
        "compiler's SIMD, -O3 (the trap)",
        "each int8 is widened to 32 bits as it is read",
    ),
    "c-avx2_chained": _CHAINED_I8,
    "c-avx512_omp": _BYTES,
}
_PROMPT: _Texts = {"c-avx2": ("one call a prompt", _ONE_CALL[1])}
# What is algorithm, and the same in every rung: the embedding of a byte is looked up, where the
# model as shipped multiplies one-hot rows with a matrix; GELU is taken of the maximum over the
# positions (and the minimum: it falls before it rises), not of every position.
_FILE: _Texts = {
    "py-loop": (
        "Python, index by index",
        "algorithm, in every rung: a table for a product; the maximum first, then its GELU",
    ),
    "py-idiomatic": "windows are slices of one list; products are summed in C",
    "c-debug": ("compiled, -O0; float32, a dozen calls from Python", _COMPILED[1]),
    "c-scalar": _MODEL["c-scalar"],
    "c-autovec": "the convolution, a product of overlapping rows, eight columns at a time",
    "c-fastmath": "little: the product has no sum to reorder in this order of loops",
    "c-avx2": (
        "hand-written AVX2, packed weights",
        "a tile of sums in registers; rows of the windows overlap and are never copied",
    ),
}
_FILE_I8: _Texts = {
    **_FILE,
    "c-debug": ("compiled, -O0; int8 products", "where the ladder stands; Python has no int8 here"),
    "c-autovec": _MODEL_I8["c-autovec"],
    "c-avx512_omp": _BYTES,
}

# A reason alone: the idea is the general one. None: in this kernel's ladder the variant is no rung.
_MODELS: dict[str, _Texts] = {
    "decode_f32": _TOKEN,
    "decode_i8": _MODEL_I8,
    "prefill_f32": {**_MODEL, **_PROMPT},
    "prefill_i8": {**_MODEL_I8, **_PROMPT},
    "identify_f32": _FILE,
    "identify_i8": _FILE_I8,
}
# The same of kernels.
_OWN: dict[str, _Texts] = {
    "relu_f32": {
        "py-idiomatic": "no index object, no store for each element",
        "c-scalar": "registers, not the stack; a branch on the sign may be left",
        "c-autovec": "a maximum of eight: no branch is left",
        "c-fastmath": "no sum, no libm: only NaN and -0.0 need no care",
        "c-avx2": "unrolled; past the caches, stores that stream",
    },
    "softmax_f32": {
        "py-idiomatic": "max and sum run in C; exp is a local name",
        "c-autovec": _SCALAR_CALLS,
        "c-fastmath": "expf in libm's vector form; maximum and sum in any order",
        "c-avx2": "exp is a polynomial, and summed in the same pass",
    },
    "gelu_tanh_f32": {
        "py-idiomatic": ("idiomatic Python, by exp", "exp instead of tanh, no index"),
        **_GELU,
        "c-debug": ("compiled, -O0; by tanhf, float32 for double", _COMPILED[1]),
    },
    "gelu_erf_f32": {
        "py-idiomatic": "erfc is a local name, no addition, no index",
        **_GELU,
    },
    "matmul_f32": {
        "py-idiomatic": "rows and columns are lists, summed in C",
        "c-debug_ijk": ("compiled, -O0: py-loop's three loops, float32", _SAME_LOOPS),
        "c-debug": None,
        "c-scalar_ijk": ("optimiser, -O2", "the running sum and the addresses in registers"),
        "c-scalar": _OTHER_ORDER,
        "c-autovec": ("compiler's SIMD and FMA, -O3", "eight columns by one multiply-add"),
        "c-fastmath": "in this order no sum needs reordering",
        "c-avx2_tiled": (
            "register blocking, by hand, IEEE rules kept",
            "a tile of sums stays in registers over all of k: a word read is used many times",
        ),
        "c-avx2": (
            "cache blocking and packing",
            "panels that fit the caches, read in order; small products need none",
        ),
    },
    "quantize_f32_i8": {
        "py-idiomatic": "adding a constant rounds without a call",
        "c-autovec": "eight elements rounded and clipped",
        "c-fastmath": "no check for NaN is left",
        "c-avx2": "conversion rounds, and packing narrows, by themselves",
    },
    "matmul_i8_i32": {
        "py-idiomatic": "floats multiply faster than ints, and are exact",
        "c-debug_ijk": ("compiled, -O0: py-loop's three loops, int32", _SAME_LOOPS),
        "c-debug": None,
        "c-scalar_ijk": ("optimiser, -O2", "the running sum and the addresses in registers"),
        "c-scalar": _OTHER_ORDER,
        "c-autovec": (
            "compiler's SIMD, -O3 (the trap)",
            "each int8 is widened to 32 bits in the inner loop: as wide as a float, and no FMA",
        ),
        "c-fastmath": "integers have no rules to relax",
        "c-avx2": (
            "hand-written AVX2 (the way out)",
            "widened once, while packing; one instruction multiplies and adds pairs",
        ),
        "c-avx512_omp": _BYTES,
    },
    "quantized_matmul_f32": {
        "py-idiomatic": "each part in its fastest Python form",
        "c-debug": ("compiled, -O0; int8 and float32", _COMPILED[1]),
        "c-autovec": ("compiler's SIMD, -O3 (the trap)", "the product widens each int8 to 32 bits"),
        "c-fastmath": "only the quantisation has rules to relax",
        "c-avx2": (
            "hand-written AVX2 (the way out)",
            "packed pairs; conversions of whole registers",
        ),
        "c-avx512_omp": _BYTES,
    },
}


def ladder(kernel: Kernel) -> tuple[Rung, ...]:
    """The rungs of a kernel, from Python's loop to all cores and the widest registers."""
    ideas = {**_GENERAL, **(_OWN | _MODELS).get(kernel.name, {})}
    rungs = []
    for variant in kernel.variants:
        texts = ideas.get(variant)
        if isinstance(texts, str):
            texts = _GENERAL[variant][0], texts
        if texts is not None:
            rungs.append(Rung(variant, *texts))
    return tuple(rungs)


def below(kernel: Kernel, variant: str) -> tuple[str, ...]:
    """The rungs below that of a variant, the nearest first; none for what is no rung."""
    names = [rung.variant for rung in ladder(kernel)]
    return tuple(reversed(names[: names.index(variant)])) if variant in names else ()
