"""The Python side: every variant of every kernel agrees with its reference."""

from __future__ import annotations

import importlib
import math
import random
from functools import cache
from typing import Any

import pytest

from bench.measure.calls import call_of
from bench.measure.cases.case import Case
from bench.measure.cases.make import edge_cases, make_case
from bench.suite.registry import KERNELS, PYTHON_VARIANTS, Kernel, Signature
from kernels_py import (
    argmax,
    attention,
    gelu_tanh,
    linear,
    linear_i8,
    matmul,
    matmul_i8,
    quantize,
    quantize_rows,
    relu,
    softmax,
)

each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))
each_variant = pytest.mark.parametrize("variant", PYTHON_VARIANTS)

_LARGEST_CHECKED = 300_000  # multiply-adds or elements; the benchmarks verify the larger ones


@cache
def cases_of(name: str) -> list[Case]:
    kernel = KERNELS[name]
    shapes = [shape for shape in kernel.shapes() if math.prod(shape) <= _LARGEST_CHECKED]
    edges = [case for case in edge_cases(kernel) if not (case.needs_ieee or case.native_only)]
    return [*[make_case(kernel, shape) for shape in shapes], *edges]


@each_variant
@each_kernel
def test_every_variant_is_within_the_python_bound(kernel: Kernel, variant: str) -> None:
    cases = cases_of(kernel.name)
    assert cases
    for case in cases:
        call = call_of(case, f"py-{variant}")
        before = [list(value) for value in call.args if isinstance(value, list)]
        case.run_and_verify(f"{kernel.name} {variant} {case.shape}", call)
        after = [value for value in call.args if isinstance(value, list)]
        assert after == before, "changed its input"


@each_kernel
def test_every_module_has_every_variant_and_its_reference(kernel: Kernel) -> None:
    module = importlib.import_module(f"kernels_py.{kernel.module}")
    for function in (*PYTHON_VARIANTS, "reference"):
        assert callable(getattr(module, function))


@each_variant
@each_kernel
def test_nothing_in_nothing_out(kernel: Kernel, variant: str) -> None:
    function = getattr(importlib.import_module(f"kernels_py.{kernel.module}"), variant)
    arguments: dict[Signature, list[tuple[Any, ...]]] = {
        Signature.UNARY: [([],)],
        Signature.ROWS: [([],), ([], 1), ([], 0), ([], 5)],
        Signature.QUANTIZE: [([], 2.0)],
        Signature.PRODUCT: [([], [], 0, 0, 0), ([], [1.0] * 6, 0, 3, 2), ([1.0] * 6, [], 3, 0, 2)],
        Signature.PRODUCT_I8: [([], [], 0, 0, 0), ([], [1] * 6, 0, 3, 2), ([1] * 6, [], 3, 0, 2)],
        Signature.QUANTIZED_PRODUCT: [
            ([], [], 0, 0, 0, 2.0, 2.0),
            ([], [1.0] * 6, 0, 3, 2, 2.0, 2.0),
        ],
        Signature.LAYERNORM: [([], [], [], 0), ([], [], [], 5), ([], [1.0], [1.0], 0)],
        Signature.LINEAR: [([], [], [], 0, 0, 0), ([], [1.0] * 6, [1.0] * 3, 0, 3, 2)],
        Signature.LINEAR_I8: [([], [], [], [], [], 0, 0, 0), ([], [], [1], [1.0], [1.0], 0, 1, 1)],
        Signature.QUANTIZE_ROWS: [([], 0)],
        Signature.ATTENTION: [([], [], [], 0, 0, 0), ([], [1.0] * 8, [1.0] * 8, 0, 4, 2)],
        Signature.EMBEDDING: [([], [], [], 0), ([], [1.0] * 4, [1.0] * 4, 2)],
        Signature.INDEX: [([],)],
        Signature.COLUMNS: [([], 5)],
    }
    nothing = {Signature.QUANTIZE_ROWS: ([], []), Signature.INDEX: 0}
    for some in arguments[kernel.signature]:
        assert function(*some) == nothing.get(kernel.signature, [])


@each_variant
@pytest.mark.parametrize("module", (matmul, matmul_i8), ids=("matmul", "matmul_i8"))
def test_a_product_over_nothing_is_zero(module: Any, variant: str) -> None:
    assert getattr(module, variant)([], [], 2, 3, 0) == [0] * 6


@each_variant
def test_layers_over_nothing_give_the_bias(variant: str) -> None:
    assert getattr(linear, variant)([], [], [1.0, 2.0], 2, 2, 0) == [1.0, 2.0] * 2
    of_int8 = getattr(linear_i8, variant)
    assert of_int8([], [0.5] * 2, [], [0.5] * 2, [1.0, 2.0], 2, 2, 0) == [1.0, 2.0] * 2


@each_variant
def test_a_query_attends_to_nothing_that_comes_later(variant: str) -> None:
    draw = random.Random(4)
    keys, values = ([draw.uniform(-1.0, 1.0) for _ in range(5 * 6)] for _ in "kv")
    queries = [draw.uniform(-1.0, 1.0) for _ in range(3 * 6)]
    function = getattr(attention, variant)
    together = function(queries, keys, values, 3, 6, 2)
    for i, length in enumerate((3, 4, 5)):
        rows = slice(i * 6, (i + 1) * 6)
        alone = function(queries[rows], keys[: length * 6], values[: length * 6], 1, 6, 2)
        assert alone == together[rows]
    assert function([1.0] * 6, [0.0] * 6, values[:6], 1, 6, 2) == values[:6]


@each_variant
def test_argmax_is_the_first_of_equals(variant: str) -> None:
    assert getattr(argmax, variant)([1.0, 3.0, 2.0, 3.0]) == 1
    assert argmax.reference([1.0, math.nan, 5.0, math.nan]) == 1


def test_a_row_of_zeros_and_one_with_nan_have_a_scale_too() -> None:
    for function in (quantize_rows.loop, quantize_rows.idiomatic, quantize_rows.reference):
        assert function([0.0, -0.0, 1.0, -2.0], 2) == (
            [0, 0, 64, -127],
            [0.0, function([2.0])[1][0]],
        )
    out, scales = quantize_rows.reference([1.0, math.nan, -math.inf, 2.0], 2)
    assert out == [0] * 4
    assert all(map(math.isnan, scales))


@each_variant
def test_softmax_treats_every_row_alone(variant: str) -> None:
    function = getattr(softmax, variant)
    draw = random.Random(1)
    for rows, cols in ((1, 1), (7, 1), (2, 5), (5, 2), (3, 64)):
        x = [draw.uniform(-30.0, 30.0) for _ in range(rows * cols)]
        one_by_one = [v for r in range(rows) for v in function(x[r * cols : (r + 1) * cols])]
        assert function(x, rows) == one_by_one
        for r in range(rows):
            assert math.isclose(math.fsum(one_by_one[r * cols : (r + 1) * cols]), 1.0)


@each_variant
def test_softmax_does_not_overflow(variant: str) -> None:
    assert getattr(softmax, variant)([1e300, 0.0, -1e300]) == [1.0, 0.0, 0.0]


@each_variant
def test_relu_passes_nan_and_the_sign_of_zero(variant: str) -> None:
    nan, minus_zero, *rest = getattr(relu, variant)(
        [math.nan, -0.0, -math.inf, math.inf, -1.0, 2.0]
    )
    assert math.isnan(nan)
    assert math.copysign(1.0, minus_zero) == -1.0
    assert rest == [0.0, math.inf, 0.0, 2.0]


@each_variant
def test_gelu_of_large_values_is_the_value_or_zero(variant: str) -> None:
    """Where exp overflows in double precision, and the cube in single."""
    x = [30.0, 1e3, 1e20, 3.4e38, -30.0, -1e3, -1e20, -3.4e38]
    for result in (getattr(gelu_tanh, variant)(x), gelu_tanh.reference(x)):
        assert result[:4] == x[:4]
        assert all(abs(v) < 1e-100 for v in result[4:])


def test_quantize_rounds_half_to_even_and_clips() -> None:
    x = [0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 127.5, 1e30, -1e30, math.inf, -math.inf]
    expected = [0, 2, 2, 0, -2, 126, 127, 127, -127, 127, -127]
    for function in (quantize.loop, quantize.idiomatic, quantize.reference):
        assert function(x, 1.0) == expected
    for function in (quantize.loop, quantize.reference):
        assert function([math.nan], 1.0) == [0]


def test_the_quantize_reference_rounds_the_product_to_float32_first() -> None:
    """This product is above the tie 0.5 in double precision and equal to it in float32; the
    variants, in double, may then differ by one step."""
    x, scale = 1.0 - 2.0**-24, 0.5 + 2.0**-24
    assert x * scale > 0.5
    assert quantize.reference([x], scale) == [0]
    assert quantize.loop([x], scale) == quantize.idiomatic([x], scale) == [1]


def test_int8_products_are_exact_up_to_the_largest_k() -> None:
    k = 131071
    for x, y in ((-128, -128), (127, -128), (127, 127)):
        for function in (matmul_i8.loop, matmul_i8.idiomatic):
            assert function([x] * k, [y] * k, 1, 1, k) == [x * y * k]
