"""The matrix products, every tier: exact where they must be, within gamma_k elsewhere, at every
shape around a tile and past every block."""

from __future__ import annotations

import math
import random
from array import array
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases.errors_in_ulp import inverse_ulps, worst_error
from bench.measure.cases.make import edge_cases, make_case
from bench.suite.registry import KERNELS, Kernel, Shape, Signature
from kernels_py import matmul, matmul_i8
from tests.native import (
    INF,
    LARGEST,
    MATMUL,
    MATMUL_I8,
    NAN,
    Product,
    bound_of,
    kind,
    products_of,
    usable,
)

# The tile of kernels_c/simd/gemm.h is 6 x 16, its blocks of k are 256 (float) and 512 (int8).
TWO_TILES = [(m, n) for m in range(14) for n in range(34)]
AROUND_TILES = [(m, n) for m in (1, 5, 6, 7, 12, 13) for n in (1, 7, 8, 15, 16, 17, 31, 32, 33)]
TILE_SHAPES = [(m, n, 3) for m, n in TWO_TILES]
TILE_SHAPES += [(m, n, k) for m, n in AROUND_TILES for k in (0, 1, 2, 7)]
TILE_SHAPES += [(m, n, k) for m, n in AROUND_TILES[::2] for k in (257, 513)]
# Past the blocks of rows (144) and columns (4080), and large enough for two threads.
BLOCK_SHAPES = [(145, 33, 260), (300, 20, 45), (3, 4099, 30), (7, 4081, 260), (13, 17, 1030)]
SHAPES = TILE_SHAPES + BLOCK_SHAPES


@pytest.fixture(scope="module", params=products_of(MATMUL), ids=str)
def f32(request: pytest.FixtureRequest) -> Product:
    """The float product of each tier, and each step of its ladder in every tier that has it."""
    return usable_product(request.param)


@pytest.fixture(scope="module", params=products_of(MATMUL_I8), ids=str)
def i8(request: pytest.FixtureRequest) -> Product:
    """The same of int8."""
    return usable_product(request.param)


@pytest.fixture
def ieee_f32(f32: Product) -> Product:
    if f32.tier.name == "fastmath":
        pytest.skip("fastmath gives up the NaN and infinity promises: that is what it shows")
    return f32


def usable_product(product: Product) -> Product:
    usable(product.tier_name)
    return product


def small_integers(count: int, seed: int, typecode: str = "f") -> array[Any]:
    draw = random.Random(seed)
    return array(typecode, draw.choices(range(-4, 5), k=count))


@cache
def integer_case(shape: Shape) -> tuple[array[Any], array[Any], list[float]]:
    m, n, k = shape
    a, b = small_integers(m * k, 1), small_integers(k * n, 2)
    return a, b, matmul.reference(list(a), list(b), m, n, k)


def test_float_products_of_small_integers_are_exact_at_every_shape(f32: Product) -> None:
    """Every sum is below 2^24."""
    for shape in SHAPES:
        a, b, expected = integer_case(shape)
        assert f32(a, b, *shape) == expected, shape


def test_int8_products_of_small_integers_are_exact_at_every_shape(i8: Product) -> None:
    for shape in SHAPES:
        a, b, expected = integer_case(shape)
        assert i8(array("b", map(int, a)), array("b", map(int, b)), *shape) == expected, shape


@pytest.mark.parametrize(
    ("kernel", "variant"),
    [
        (kernel, variant)
        for kernel in KERNELS.values()
        if "PRODUCT" in kernel.signature.name
        for variant in kernel.variants
        if variant.startswith("c-")
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_the_edge_cases_pass(kernel: Kernel, variant: str) -> None:
    usable(kernel.native(variant).tier)
    for case in edge_cases(kernel):
        case.run_and_verify(f"{kernel.name} {variant}", call_of(case, variant))


# --- float32 -------------------------------------------------------------------------------------


def judge_f32(product: Product, a: array[Any], b: array[Any], shape: Shape) -> None:
    """|C - C64| is at most gamma_k |A| |B|, and at most the registry's bound. The products of two
    float32 are exact in double and fsum rounds once, so C64 is the truth."""
    m, n, k = shape
    result = product(a, b, m, n, k)
    truth: list[float] = []
    magnitude: list[float] = []
    for i in range(m):
        row = a[i * k : (i + 1) * k]
        for j in range(n):
            terms = [x * y for x, y in zip(row, b[j::n], strict=True)]
            truth.append(math.fsum(terms))
            magnitude.append(math.fsum(map(abs, terms)))
    unit_roundoff = 2.0**-24
    gamma = k * unit_roundoff / (1 - k * unit_roundoff)
    for got, true, size in zip(result, truth, magnitude, strict=True):
        # Each rounding of a subnormal may be off by half of the smallest step.
        assert abs(got - true) <= gamma * size + k * 2.0**-150, (shape, got, true)
    bound = bound_of(MATMUL, product.tier)
    worst = worst_error(result, truth, inverse_ulps(magnitude))
    at = worst.index
    assert worst.error <= bound.at(shape), (
        f"{shape}: {worst.error:.4g} {bound.unit.value} at {at}: got {result[at]!r}, should be "
        f"{truth[at]!r}; at most {bound.at(shape):g} allowed"
    )


RANDOM_SHAPES = [(1, 1, 1), (7, 17, 5), (13, 33, 100), (6, 16, 256), (5, 3, 513), (3, 20, 1030)]


@pytest.mark.parametrize("shape", RANDOM_SHAPES, ids=str)
def test_float_products_are_within_gamma_k(f32: Product, shape: Shape) -> None:
    m, n, k = shape
    draw = random.Random(4)
    kinds = {
        "uniform": lambda: draw.uniform(-1.0, 1.0),
        "positive": lambda: draw.uniform(0.0, 1.0),
        "wide": lambda: draw.uniform(-1.0, 1.0) * 2.0 ** draw.randrange(-30, 30),
        "subnormal": lambda: draw.uniform(-1.0, 1.0) * 2.0**-70,
    }
    for one in kinds.values():
        a = array("f", [one() for _ in range(m * k)])
        b = array("f", [one() for _ in range(k * n)])
        judge_f32(f32, a, b, shape)


def test_float_products_that_cancel_are_within_gamma_k(f32: Product) -> None:
    """The two halves of k cancel but for their rounding errors."""
    m, n, half = 7, 17, 150
    draw = random.Random(5)
    rows = [[draw.uniform(-1.0, 1.0) for _ in range(half)] for _ in range(m)]
    a = array("f", [v for row in rows for v in (*row, *[-v for v in row])])
    b_half = [draw.uniform(-1.0, 1.0) for _ in range(half * n)]
    judge_f32(f32, a, array("f", b_half + b_half), (m, n, 2 * half))


def test_few_terms_whose_roundings_add_up_are_within_the_bound(f32: Product) -> None:
    """Where k is small the bound is sharp: sums just below a power of two, whose terms are rounded
    all in one direction; found by searching 60,000 columns of positive numbers."""
    for terms in (
        {1.3079837560653687: 0.29025301337242126, 1.2457271814346313: 0.42770916223526},
        {
            1.3079837560653687: 0.17980507016181946,
            1.2457271814346313: 0.8325660824775696,
            1.0028115510940552: 0.6785969734191895,
        },
        {1.3079837560653687: 0.9970945119857788, 1.2457271814346313: 0.4924687445163727},
    ):
        judge_f32(f32, array("f", terms), array("f", terms.values()), (1, 1, len(terms)))


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_any_float_product_is_within_gamma_k(f32: Product, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(0, 8), st.integers(0, 20), st.integers(1, 9)))
    m, n, k = shape
    element = st.floats(-(2.0**60), 2.0**60, width=32)
    a = data.draw(st.lists(element, min_size=m * k, max_size=m * k))
    b = data.draw(st.lists(element, min_size=k * n, max_size=k * n))
    judge_f32(f32, array("f", a), array("f", b), shape)


def test_what_out_held_does_not_matter(f32: Product) -> None:
    for shape in ((1, 1, 0), (7, 17, 0), (7, 17, 5), (13, 33, 600), (145, 33, 260)):
        m, n, k = shape
        a, b = small_integers(m * k, 1), small_integers(k * n, 2)
        results = []
        for held in (NAN, -NAN, INF, -INF, 1e30, 0.0):
            out = array("f", [held]) * (m * n)
            f32.into(out, a, b, m, n, k)
            results.append(out.tobytes())
        assert len(set(results)) == 1, shape


@pytest.mark.parametrize("value", (NAN, INF, -INF))
def test_nan_and_infinity_propagate_as_in_the_sum_of_products(
    ieee_f32: Product, value: float
) -> None:
    """From any place in a or b, in whole tiles and edges, and nowhere else."""
    for m, n, k in ((1, 1, 1), (6, 16, 3), (7, 17, 5), (8, 33, 2)):
        a, b = small_integers(m * k, 1), small_integers(k * n, 2)
        for matrix in (a, b):
            for place in range(len(matrix)):
                kept, matrix[place] = matrix[place], value
                expected = matmul.loop(list(a), list(b), m, n, k)
                result = ieee_f32(a, b, m, n, k)
                assert list(map(kind, result)) == list(map(kind, expected)), (m, n, k, place)
                finite = [
                    pair for pair in zip(result, expected, strict=True) if pair[1] - pair[1] == 0
                ]
                assert all(got == true for got, true in finite)
                matrix[place] = kept


def test_a_sum_beyond_float32_is_infinite(ieee_f32: Product) -> None:
    a, b = array("f", [LARGEST, LARGEST]), array("f", [1.0, -1.0, 1.0, -1.0])
    assert ieee_f32(a, b, 1, 2, 2) == [INF, -INF]


# --- int8 ----------------------------------------------------------------------------------------

FILLS = {
    "+127": (127, 127),
    "-128": (-128, -128),
    "-127": (-127, -127),
    "127 x -128": (127, -128),
    "alternating a": ((127, -128), 127),
    "alternating both": ((127, -128), (-128, 127)),
    "mixed": ((-128, -128, 127), (127, 1, -128, -128, 0)),
}


def repeated(fill: int | tuple[int, ...], count: int) -> array[Any]:
    pattern = array("b", fill if isinstance(fill, tuple) else (fill,))
    return (pattern * (count // len(pattern) + 1))[:count]


@pytest.mark.parametrize("fill", FILLS)
def test_int8_products_of_extremes_are_exact(i8: Product, fill: str) -> None:
    """Where 16-bit or saturating sums would fail."""
    assert bound_of(MATMUL_I8, i8.tier).limit == 0
    for m, n, k in ((1, 1, 1), (7, 17, 2), (6, 16, 64), (13, 33, 515), (2, 3, 1025)):
        a, b = repeated(FILLS[fill][0], m * k), repeated(FILLS[fill][1], k * n)
        expected = matmul_i8.reference(list(a), list(b), m, n, k)
        assert i8(a, b, m, n, k) == expected, (m, n, k)


@pytest.mark.parametrize("k", (65535, 65536, 131070, 131071))
def test_int8_products_are_exact_up_to_the_largest_k(i8: Product, k: int) -> None:
    """131071 * 128^2 is 16384 short of what int32 cannot hold."""
    for fill in FILLS.values():
        for m, n in ((1, 1), (2, 2)):
            a, b = repeated(fill[0], m * k), repeated(fill[1], k * n)
            assert i8(a, b, m, n, k) == exact_product(fill, m, n, k), (fill, m, n)


@cache
def exact_product(fill: tuple[Any, ...], m: int, n: int, k: int) -> list[int]:
    a, b = repeated(fill[0], m * k), repeated(fill[1], k * n)
    return matmul_i8.reference(list(a), list(b), m, n, k)


def test_int8_products_of_every_pair_of_values_are_exact(i8: Product) -> None:
    every = range(-128, 128)
    result = i8(every, every, 256, 256, 1)
    assert result == [x * y for x in every for y in every]


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(0, 14), st.integers(0, 34), st.integers(0, 40)),
    values=st.lists(st.integers(-128, 127), min_size=1, max_size=97),
    seed=st.integers(0, 2**32),
)
def test_any_int8_product_is_exact(i8: Product, shape: Shape, values: list[int], seed: int) -> None:
    """Shapes and values are hypothesis's; the seed deals the values into the matrices."""
    m, n, k = shape
    draw = random.Random(seed)
    a, b = draw.choices(values, k=m * k), draw.choices(values, k=k * n)
    assert i8(a, b, m, n, k) == matmul_i8.loop(a, b, m, n, k)


# --- float32 through int8 ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ((1, 1, 1), (7, 17, 5), (64, 64, 64), (13, 33, 520)), ids=str)
def test_a_product_through_int8_is_within_its_bound(tier: kernels_c.Tier, shape: Shape) -> None:
    chains = [k for k in KERNELS.values() if k.signature is Signature.QUANTIZED_PRODUCT]
    for kernel in chains:
        case = make_case(kernel, shape)
        case.run_and_verify(f"{kernel.name} {tier.name}", call_of(case, f"c-{tier.name}"))
