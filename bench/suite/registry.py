"""What exists: kernel x variant x size, each kernel with its cost model and its error bounds.

Benchmarks, tests, matrix and charts iterate KERNELS; a kernel is one row here. docs/add-a-kernel.md
goes through it. Whole models are rows of the same kind (programs.py); kernel() and cases() find
both.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import kernels_c

Shape = tuple[int, ...]

PYTHON_VARIANTS = ("loop", "idiomatic")
# Test ids, JSON and charts say py-loop, c-avx2, ... ; the prefix is the side.
SIDES = {"py": "python", "c": "native", "peer": "peer"}
# Of the one tier whose contract gives up IEEE rules (NaN, infinity): shown, never the headline.
RELAXED = ("c-fastmath", "c-fastmath_ijk")
VARIANTS = tuple(f"py-{v}" for v in PYTHON_VARIANTS) + tuple(f"c-{t}" for t in kernels_c.TIERS)

# Other people's libraries, and which kernels each has in one call or in a composition that its
# users would write. NumPy has no erf, and its integer products are plain loops. Nobody has the
# chain of quantized_matmul_f32 with scales that are given.
_UNARY_PEERS = ("relu_f32", "softmax_f32", "gelu_tanh_f32")
PEERS = {
    "numpy": (*_UNARY_PEERS, "matmul_f32", "quantize_f32_i8"),
    "torch": (*_UNARY_PEERS, "gelu_erf_f32", "matmul_f32", "quantize_f32_i8", "matmul_i8_i32"),
    "onnxruntime": (
        *_UNARY_PEERS, "gelu_erf_f32", "matmul_f32", "quantize_f32_i8", "matmul_i8_i32",
    ),
    "blis": ("matmul_f32",),
    "openblas": ("matmul_f32",),
}  # fmt: skip
# How a native kernel can be reached besides through pointers that were made beforehand, which is
# what every other figure is: the suffix of a variant's name. Measured with --explain, for what is
# at most as large as MOST_ELEMENTS in and as many out.
CALL_PATHS = {
    "checked": "buffers, through the methods of kernels_c, which check them",
    "lists": "lists in and a list out: copied to buffers and back",
}
CALL_PATH_TIERS = ("scalar", "avx2")
CALL_PATH_VARIANTS = tuple(f"c-{tier}_{path}" for tier in CALL_PATH_TIERS for path in CALL_PATHS)
MOST_ELEMENTS = 40_000
# The tier that stands against the peers: the first of these that this machine can run.
ON_ONE_THREAD = ("avx512", "avx2")
ON_SEVERAL_THREADS = ("avx512_omp", "avx2_omp")


class Signature(Enum):
    """What goes in and out, and by that what limits a call; bench/measure/cases/make.py has one
    class for each.

    rank      of a shape: how many numbers it has
    operands  their types, as array names them; and so `result`
    peak      the rate at which operations can be done at most: "fma", or "int8" for exact products
    pattern   whose bandwidth bounds the bytes: "copy" where as much is written as read, "read"
              where reading outweighs writing
    rate      the unit that the limit is stated in
    """

    UNARY = "float32 [n] -> float32 [n]", 1, "f", "f", "fma", "copy", "GB/s"
    ROWS = "float32 [rows, cols] -> the same", 2, "f", "f", "fma", "copy", "GB/s"
    PRODUCT = "float32 [m, k], [k, n] -> float32 [m, n]", 3, "ff", "f", "fma", "read", "GFLOP/s"
    QUANTIZE = "float32 [n] -> int8 [n]", 1, "f", "b", "fma", "read", "GB/s"
    PRODUCT_I8 = "int8 [m, k], [k, n] -> int32 [m, n]", 3, "bb", "i", "int8", "read", "GOP/s"
    QUANTIZED_PRODUCT = "PRODUCT, through int8", 3, "ff", "f", "int8", "read", "GOP/s"
    # The parts of whole models; LAYER_PARTS has the shapes of what goes in and out.
    LAYERNORM = "ROWS with gain and bias", 2, "fff", "f", "fma", "copy", "GB/s"
    LINEAR = "PRODUCT of packed weights, with bias", 3, "fff", "f", "fma", "read", "GFLOP/s"
    LINEAR_I8 = "PRODUCT_I8 of those, with scales", 3, "bfbff", "f", "int8", "read", "GOP/s"
    QUANTIZE_ROWS = "float32 [rows, cols] -> int8, scales", 2, "f", "b", "fma", "read", "GB/s"
    ATTENTION = "float32 [count, length, width]", 3, "fff", "f", "fma", "read", "GFLOP/s"
    EMBEDDING = "tokens, rows of a table", 2, "iff", "f", "fma", "read", "GB/s"
    INDEX = "float32 [n] -> which", 1, "f", "i", "fma", "read", "GB/s"
    COLUMNS = "float32 [rows, cols] -> [cols]", 2, "f", "f", "fma", "read", "GB/s"
    PROGRAM = "tokens -> what a model says of them", 1, "f", "f", "fma", "read", "GFLOP/s"
    PROGRAM_I8 = "PROGRAM, its products of int8", 1, "f", "f", "int8", "read", "GOP/s"

    def __init__(
        self, _: str, rank: int, operands: str, result: str, peak: str, pattern: str, rate: str
    ) -> None:
        self.rank, self.operands, self.result = rank, operands, result
        self.peak, self.pattern, self.rate = peak, pattern, rate

    def parts(self, shape: Shape) -> tuple[Shape, ...]:
        """The shapes of the operands and, last, of the result."""
        if self in LAYER_PARTS:
            return LAYER_PARTS[self](*shape)
        if self.rank < 3:
            return shape, shape
        m, n, k = shape
        return (m, k), (k, n), (m, n)

    def terms(self, shape: Shape) -> int:
        """What the operations of a kernel are counted for: each element or multiply-add; of causal
        attention each position that a query attends to, times width."""
        if self is not Signature.ATTENTION:
            return math.prod(shape)
        count, length, width = shape
        return width * count * (2 * length - count + 1) // 2


# Of attention's shape, count x length x width: the last `count` of `length` positions. The keys and
# values of all are in caches. An embedding's table has a row for each token here.
LAYER_PARTS: dict[Signature, Callable[..., tuple[Shape, ...]]] = {
    Signature.LAYERNORM: lambda rows, cols: ((rows, cols), (cols,), (cols,), (rows, cols)),
    Signature.LINEAR: lambda m, n, k: ((m, k), (k, n), (n,), (m, n)),
    Signature.LINEAR_I8: lambda m, n, k: ((m, k), (m,), (k, n), (n,), (n,), (m, n)),
    Signature.QUANTIZE_ROWS: lambda rows, cols: ((rows, cols), (rows, cols)),
    Signature.ATTENTION: lambda count, length, width: (
        *((count, 3 * width), (length, width), (length, width)),
        (count, width),
    ),
    Signature.EMBEDDING: lambda count, width: ((count,), *((count, width),) * 3),
    Signature.INDEX: lambda n: ((n,), (1,)),
    Signature.COLUMNS: lambda rows, cols: ((rows, cols), (cols,)),
}


class Unit(Enum):
    """What one unit of error is: the spacing of float32 at ..."""

    RESULT = "ULP of the true value"
    INPUT = "ULP of the input"
    PRODUCTS = "ULP of |a| |b|"
    TERMS = "ULP of the terms"  # of their magnitudes, summed up
    STEP = "steps"
    ABSOLUTE = "in a logit"


@dataclass(frozen=True)
class Bound:
    """The documented, and therefore tested, largest error: `limit`, of products for each term of a
    sum, and `each` for each term beside it."""

    limit: float
    unit: Unit = Unit.RESULT
    each: float = 0.0

    def at(self, shape: Shape) -> float:
        if self.unit is Unit.PRODUCTS:
            return self.limit * shape[2]
        return self.limit + (self.each * shape[2] if self.each else 0.0)


@dataclass(frozen=True)
class Native:
    """What a native variant is: a tier, a function of its library, and how that is reached."""

    tier: str
    function: str
    call_path: str | None = None  # one of CALL_PATHS; None: by pointers that were made beforehand


# Further shapes, measured with --explain: how time grows, and where native code begins to win.
# Eightfold steps: one or two in every level of memory, beside the tenfold ones of the default run.
_BETWEEN: dict[int, tuple[Shape, ...]] = {  # by the length of a shape
    1: tuple((8**n,) for n in range(8)),
    2: tuple((1, 8**n) for n in range(8)),
    3: tuple((n, n, n) for n in (1, 2, 4, 8, 32, 128)),
}


@dataclass(frozen=True)
class Kernel:
    """One row.

    name        its function in kernels.h; quantized_matmul_f32 alone is a chain of several
    module      its module in kernels_py
    sizes       (is it part of --quick, shape) for each size of the default run
    operations  for each element, of a product for each multiply-add; an elementary function counts
                as what it takes
    bounds      by implementation: "python", the folder in kernels_c, "peer" where it differs
    tolerated   what a library may miss its bound by and still be timed, where some are known to
    ablations   native variants that this kernel alone has, each one idea away from the tier's own,
                which it comes before
    share       of the time that a case may take: the parts of models are many and small
    """

    name: str
    module: str
    signature: Signature
    sizes: tuple[tuple[bool, Shape], ...]
    operations: int
    bounds: Mapping[str, Bound]
    tolerated: Bound | None = None
    ablations: Mapping[str, Native] = field(default_factory=dict)
    share: float = 1.0

    @property
    def is_layer(self) -> bool:
        """Whether it is a part of whole models, on weights that lie packed: no library has it, and
        programs reach it as the engine does, so no other call paths are measured."""
        return self.signature in LAYER_PARTS

    @property
    def variants(self) -> tuple[str, ...]:
        """Python's and the native ones, in the order of the ladder."""
        names = list(VARIANTS)
        for name, native in self.ablations.items():
            names.insert(names.index(f"c-{native.tier}"), name)
        return tuple(names)

    def variants_at(
        self, shape: Shape, quick: bool = False, explain: bool = False
    ) -> tuple[str, ...]:
        """Those that are measured at this size: here all."""
        return self.variants

    @property
    def rate(self) -> str:
        """The unit in which its speed is shown."""
        return self.signature.rate

    def parts(self, shape: Shape) -> tuple[Shape, ...]:
        """The shapes of the operands and, last, of the result."""
        return self.signature.parts(shape)

    def figures(self, shape: Shape) -> dict[str, int]:
        """What else extra_info says of the work of a call."""
        return {}

    def flops(self, shape: Shape) -> int:
        return self.operations * self.signature.terms(shape)

    def bytes(self, shape: Shape) -> int:
        """What must cross the memory bus at least once: operands in, result out."""
        types = self.signature.operands + self.signature.result
        parts = zip(types, self.parts(shape), strict=True)
        return sum(array(code).itemsize * math.prod(part) for code, part in parts)

    def native(self, variant: str) -> Native:
        """What the native variant of that name is. Raises ValueError."""
        if variant in self.ablations:
            return self.ablations[variant]
        tier, _, path = side_and_name(variant)[1].rpartition("_")
        if path in CALL_PATHS:
            return Native(tier, self.name, path)
        if variant not in VARIANTS:
            raise ValueError(f"{self.name} has no native variant {variant!r}")
        return Native(variant.removeprefix("c-"), self.name)

    @property
    def error_unit(self) -> Unit:
        """What max_error_ulp counts. Errors bounded by the input's ULP are still reported against
        the true value: that is where they show."""
        unit = self.bounds["simd"].unit
        return Unit.RESULT if unit is Unit.INPUT else unit

    def bound(self, implementation: str) -> Bound:
        """The bound of an implementation: "python", a folder of kernels_c, or "peer". Peers have
        the portable loops' where they have none of their own."""
        if implementation == "peer" and "peer" not in self.bounds:
            return self.bounds["portable"]
        return self.bounds[implementation]

    def accepted(self, implementation: str) -> Bound:
        """The bound outside which nothing is timed: bound(), but for peers what is tolerated."""
        if implementation == "peer" and self.tolerated is not None:
            return self.tolerated
        return self.bound(implementation)

    def shapes(self, quick: bool = False, explain: bool = False) -> list[Shape]:
        """Those of the default run, or of a part of it; with `explain` also what lies between, the
        smallest first."""
        shapes = [shape for in_quick, shape in self.sizes if in_quick or not quick]
        if not explain:
            return shapes
        largest = max(map(math.prod, shapes))
        between = _BETWEEN[self.signature.rank]
        more = [s for s in between if s not in shapes and math.prod(s) <= largest]
        return sorted([*shapes, *more], key=math.prod)

    def size_name(self, shape: Shape) -> str:
        """1000000, 512x1024; a single row is named by its length, a square product by its side."""
        if len(shape) == 2 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) == 3 and len(set(shape)) == 1:
            return str(shape[0])
        return "x".join(map(str, shape))

    def shape_named(self, size: str) -> Shape:
        """The shape of that name; any shape of the right rank can be written, listed or not."""
        rank = self.signature.rank
        parts = size.split("x")
        if not all(part.isdecimal() for part in parts):
            raise ValueError(f"{self.name}: got size {size!r}, needs numbers joined by x")
        shape = tuple(map(int, parts))
        if len(shape) == 1:
            shape = {1: shape, 2: (1, *shape), 3: shape * 3}[rank]
        if len(shape) != rank:
            raise ValueError(f"{self.name}: got size {size!r}, needs {rank} numbers joined by x")
        return shape


# What elementary functions take to the accuracy of the bounds below; a fused multiply-add is two.
# exp (Cody and Waite): reduction by two constants 7, polynomial of degree 6 in 12, scaling 1.
# Division (Newton): estimate 1, one step 4, product 1; dividers are slower than that.
_EXP = 20
_DIVISION = 6
# 2u = x (C0 + C1 x^2), then x / (1 + exp(-2u)).
_GELU_TANH = 4 + _EXP + 1 + _DIVISION
# max(x, 0) - s exp(-x^2 / 2) p(s), s = |x| / (|x| + A), p of degree 10.
_GELU_ERF = 2 + _EXP + 2 + _DIVISION + 20 + 4

# gamma_k = k u / (1 - k u), u = 2^-24: Higham, Accuracy and Stability of Numerical Algorithms, 2nd
# ed., section 3.1. An ULP of v is u v to 2 u v, so gamma_k is k / 2 to k ULP.
_GAMMA_K = Bound(1, Unit.PRODUCTS)
_EXACT = Bound(0, Unit.STEP)
_ROUNDED = Bound(1)
_GELU = {
    "python": Bound(1, Unit.INPUT),
    "portable": Bound(4, Unit.INPUT),
    "simd": Bound(4),
}
# Each derived or measured with a margin; the contract blocks say what the terms are.
_TERMS = Bound(4, Unit.TERMS)
_LINEAR = Bound(8, Unit.TERMS, each=2)
_LINEAR_I8 = Bound(8, Unit.TERMS)
_ATTENTION = Bound(16, Unit.TERMS)
# A layer of verse, [128] -> [512], for a token and for a prompt.
_TOKEN, _PROMPT = (1, 512, 128), (64, 512, 128)
_LAYERS_SHARE = 1 / 4
_VECTORS = ((True, (100,)), (True, (10_000,)), (True, (1_000_000,)))
_SQUARES = ((True, (16, 16, 16)), (True, (64, 64, 64)), (False, (256,) * 3), (False, (500,) * 3))


def _ablations(function: str, name: str, *tiers: str) -> dict[str, Native]:
    """One function of these tiers."""
    return {f"c-{tier}_{name}": Native(tier, function) for tier in tiers}


def _layer(
    name: str,
    signature: Signature,
    operations: int,
    bound: Bound,
    *sizes: tuple[bool, Shape],
    python: Bound = _ROUNDED,
    simd: Bound | None = None,
) -> Kernel:
    """A part of a model: one bound for both folders where `simd` has none of its own."""
    module = name.removesuffix("_f32").removesuffix("_f32_i8")
    bounds = {"python": python, "portable": bound, "simd": simd or bound}
    return Kernel(name, module, signature, sizes, operations, bounds, share=_LAYERS_SHARE)


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        Kernel(
            name="relu_f32",
            module="relu",
            signature=Signature.UNARY,
            sizes=(*_VECTORS, (False, (10_000_000,))),
            operations=1,
            bounds={"python": Bound(0), "portable": Bound(0), "simd": Bound(0)},
        ),
        Kernel(
            name="softmax_f32",
            module="softmax",
            signature=Signature.ROWS,
            sizes=(
                (True, (1, 100)),
                (True, (1, 10_000)),
                (False, (1, 1_000_000)),
                (True, (512, 1024)),
            ),
            operations=4 + _EXP,  # maximum, subtraction, sum, scaling
            bounds={"python": _ROUNDED, "portable": Bound(70), "simd": Bound(3)},
            # PyTorch and ONNX Runtime sum a row in float32: some 1000 ULP at a million elements.
            tolerated=Bound(2000),
        ),
        Kernel(
            name="gelu_tanh_f32",
            module="gelu_tanh",
            signature=Signature.UNARY,
            sizes=_VECTORS,
            operations=_GELU_TANH,
            bounds=_GELU,
        ),
        Kernel(
            name="gelu_erf_f32",
            module="gelu_erf",
            signature=Signature.UNARY,
            sizes=_VECTORS,
            operations=_GELU_ERF,
            bounds=_GELU,
            tolerated=Bound(10, Unit.INPUT),  # PyTorch's erf: 5
        ),
        Kernel(
            name="matmul_f32",
            module="matmul",
            signature=Signature.PRODUCT,
            sizes=_SQUARES,
            operations=2,
            bounds={"python": _GAMMA_K, "portable": _GAMMA_K, "simd": _GAMMA_K},
            ablations={
                **_ablations("matmul_ijk_f32", "ijk", "debug", "scalar", "autovec", "fastmath"),
                **_ablations("matmul_tiled_f32", "tiled", "avx2"),
            },
        ),
        Kernel(
            name="quantize_f32_i8",
            module="quantize",
            signature=Signature.QUANTIZE,
            sizes=((True, (10_000,)), (True, (1_000_000,))),
            operations=3,  # product, clip, rounding
            bounds={
                "python": Bound(1, Unit.STEP),
                "portable": _EXACT,
                "simd": _EXACT,
                # They are given the step 1 / scale, rounded, and divide by it.
                "peer": Bound(1, Unit.STEP),
            },
        ),
        Kernel(
            name="matmul_i8_i32",
            module="matmul_i8",
            signature=Signature.PRODUCT_I8,
            sizes=_SQUARES[1:],
            operations=2,
            bounds={"python": _EXACT, "portable": _EXACT, "simd": _EXACT},
            ablations=_ablations("matmul_i8_ijk_i32", "ijk", "debug", "scalar", "autovec"),
        ),
        Kernel(
            name="quantized_matmul_f32",
            module="quantized_matmul",
            signature=Signature.QUANTIZED_PRODUCT,
            sizes=_SQUARES[1:],
            operations=2,
            # The unit 1 / (scale_a scale_b) is rounded to float32, and so is the product with it.
            bounds={"python": _ROUNDED, "portable": Bound(2), "simd": Bound(2)},
        ),
        _layer("layernorm_f32", Signature.LAYERNORM, 8, _TERMS, (True, (128, 128))),
        # gamma of k terms, bias and what out held; GELU multiplies that by up to 1.13 and adds 4.
        _layer("linear_f32", Signature.LINEAR, 2, _LINEAR, (True, _TOKEN), (False, _PROMPT)),
        _layer(
            "linear_i8_f32", Signature.LINEAR_I8, 2, _LINEAR_I8, (True, _TOKEN), (False, _PROMPT)
        ),
        _layer(
            "quantize_rows_f32_i8",
            Signature.QUANTIZE_ROWS,
            5,
            _EXACT,
            (True, (128, 128)),
            python=Bound(1, Unit.STEP),
        ),
        # One multiply-add for the score, one for the result; the exponentials, one for each d of
        # these, are left out.
        _layer(
            "attention_f32",
            Signature.ATTENTION,
            4,
            _ATTENTION,
            (True, (1, 128, 128)),
            (False, (64, 64, 128)),
        ),
        _layer("embedding_f32", Signature.EMBEDDING, 1, _ROUNDED, (True, (128, 128))),
        _layer("argmax_f32", Signature.INDEX, 1, _EXACT, (True, (256,)), python=_EXACT),
        _layer(
            "gelu_max_f32",
            Signature.COLUMNS,
            2,  # the largest and the least: only their GELU counts
            _GELU["portable"],
            (True, (508, 512)),
            python=_GELU["python"],
            simd=_GELU["simd"],
        ),
    )
}


def rows() -> dict[str, Kernel]:
    """Kernels, then whole models."""
    from bench.suite.programs import PROGRAMS  # which are made of what is defined here

    return {**KERNELS, **PROGRAMS}


def kernel(name: str) -> Kernel:
    known = rows()
    if name not in known:
        raise ValueError(f"there is no kernel {name!r}; the kernels are {', '.join(known)}")
    return known[name]


def libraries_of(name: str) -> tuple[str, ...]:
    """The libraries that have a kernel or a program."""
    from bench.suite.programs import PEERS as HAVE_PROGRAMS

    return tuple(p for p, has in PEERS.items() if name in (*has, *HAVE_PROGRAMS.get(p, ())))


def cases(
    name: str, quick: bool = False, peers: bool = False, explain: bool = False
) -> list[tuple[str, str]]:
    """(variant, size) of every benchmark of a kernel. A size's variants come together, Python
    first: they share data."""
    row = kernel(name)
    libraries = tuple(f"peer-{p}" for p in libraries_of(name) if peers)
    found = []
    for shape in row.shapes(quick, explain):
        small = row.bytes(shape) <= 8 * MOST_ELEMENTS and not row.is_layer
        paths = CALL_PATH_VARIANTS if explain and small else ()
        own = row.variants_at(shape, quick, explain)
        found += [(v, row.size_name(shape)) for v in (*own, *paths, *libraries)]
    return found


def program_cases(task: str, **wanted: bool) -> list[tuple[str, str, str]]:
    """(variant, precision, size) of every benchmark of a program in all its precisions."""
    from bench.suite.programs import PRECISIONS

    return [
        (variant, precision, size)
        for precision in PRECISIONS
        for variant, size in cases(f"{task}_{precision}", **wanted)
    ]


def first_available(tiers: tuple[str, ...]) -> str:
    """The first of these that this machine can run. Raises kernels_c.TierUnavailable for the last,
    which asks for the least."""
    for tier in tiers:
        if kernels_c.why_unavailable(tier) is None:
            return tier
    raise kernels_c.TierUnavailable(kernels_c.why_unavailable(tiers[-1]))


def auxiliary(kernel: Kernel) -> frozenset[str]:
    """Variants that explain something and stand in no matrix: steps of this kernel alone, and call
    paths."""
    return frozenset({*kernel.ablations, *CALL_PATH_VARIANTS})


def side_and_name(variant: str) -> tuple[str, str]:
    """("native", "avx2") from "c-avx2"."""
    prefix, _, name = variant.partition("-")
    if prefix not in SIDES or not name:
        raise ValueError(f"there is no variant {variant!r}; the variants are {', '.join(VARIANTS)}")
    return SIDES[prefix], name
