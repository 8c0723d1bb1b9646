"""The parts of models, every tier: the documented bound at any shape and alignment, NaN and
infinity, epilogues, rows that overlap, caches, exact sums of int8."""

from __future__ import annotations

import math
import random
import struct
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases.attention import AttentionCase
from bench.measure.cases.errors_in_ulp import inverse_ulps, worst_error
from bench.measure.cases.layers import layernorm_terms, magnitudes, rounded_to_float16
from bench.measure.cases.make import make_case
from bench.suite.registry import KERNELS, Shape
from kernels_py import gelu_max, gelu_tanh, layernorm, linear, linear_i8, quantize_rows
from tests.native import INF, LARGEST, NAN, TINIEST, Memory, bound_of, filled, float32

LAYERS = tuple(kernel for kernel in KERNELS.values() if kernel.is_layer)
LINEAR, LINEAR_I8 = KERNELS["linear_f32"], KERNELS["linear_i8_f32"]

# Columns around registers of 8 and 16 and blocks of them; rows around blocks of 4, 6, 8, 14 and 16.
_SIZES = {
    1: st.tuples(st.integers(1, 300)),
    2: st.tuples(st.integers(1, 40), st.integers(1, 140)),
    3: st.tuples(st.integers(1, 35), st.integers(1, 140), st.integers(0, 140)),
}


def noise(count: int, seed: int, low: float = -1.0, high: float = 1.0) -> array[float]:
    draw = random.Random(seed)
    return array("f", [draw.uniform(low, high) for _ in range(count)])


def assert_near(
    got: Sequence[float], truth: Sequence[float], terms: Sequence[float], limit: float
) -> None:
    """Within `limit` ULP of the terms."""
    worst = worst_error(got, truth, inverse_ulps(terms))
    place = worst.index
    assert worst.error <= limit, (place, got[place], truth[place], worst.error, limit)


# --- Any shape, any alignment --------------------------------------------------------------------


@pytest.mark.parametrize("kernel", LAYERS, ids=lambda kernel: kernel.name)
@settings(max_examples=20, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_any_shape_is_within_the_bound_wherever_it_lies(
    tier: kernels_c.Tier, kernel: object, data: st.DataObject
) -> None:
    """Guards included: case.run_and_verify looks at them, and at the inputs."""
    row = KERNELS[kernel.name]  # type: ignore[attr-defined]
    shape = data.draw(_SIZES[row.signature.rank])
    if row.name == "attention_f32":
        count, more, width = shape
        shape = count, count + more, width + 1
    offsets = data.draw(st.tuples(*[st.integers(0, 15).map(lambda n: 4 * n)] * 2))
    case = make_case(row, shape, offsets)
    case.run_and_verify(
        f"{row.name} {tier.name} {shape} {offsets}", call_of(case, f"c-{tier.name}")
    )


@pytest.mark.parametrize("shape", [(7, 61, 40), (1, 128, 128), (33, 16, 7)], ids=str)
def test_a_linear_layer_gives_the_same_bits_at_every_alignment(
    tier: kernels_c.Tier, shape: Shape
) -> None:
    m, n, k = shape
    weights = tier.pack_linear(noise(k * n, 1), noise(n, 2), n, k)
    found = set()
    for place in range(0, 64, 4):
        x, packed = filled("f", noise(m * k, 0), place), filled("f", weights, 60 - place)
        out = Memory("f", m * n, place * 5 % 64)
        tier.linear(x.view, packed.view, out.view, m, n, k)
        assert out.guards_intact()
        found.add(out.view.tobytes())
    assert len(found) == 1


# --- Layer normalisation -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (128, 33), (64, 508), (3, 1000)], ids=str)
def test_down_the_columns_is_along_the_rows_of_the_transpose(
    tier: kernels_c.Tier, shape: Shape
) -> None:
    rows, cols = shape
    x, gain, bias = noise(rows * cols, 0, -2.0, 5.0), noise(rows, 1), noise(rows, 2)
    turned = [x[r * cols + c] for c in range(cols) for r in range(rows)]
    truth = layernorm.reference(turned, gain.tolist(), bias.tolist(), cols)
    terms = layernorm_terms(turned, gain.tolist(), bias.tolist(), cols)
    source, out = filled("f", x), Memory("f", len(x))
    tier.layernorm_columns(source.view, gain, bias, out.view, rows)
    assert out.guards_intact()
    got = [out.view[r * cols + c] for c in range(cols) for r in range(rows)]
    assert_near(got, truth, terms, bound_of(KERNELS["layernorm_f32"], tier).at(shape))
    tier.layernorm_columns(source.view, gain, bias, source.view, rows)
    assert source.view == out.view
    assert source.guards_intact()


@pytest.mark.parametrize("offset", [1.0, 1e3, -1e6])
def test_a_mean_far_from_zero_costs_no_more_than_the_bound(
    tier: kernels_c.Tier, offset: float
) -> None:
    """Sums of squares without the mean taken out would leave nothing of the variance."""
    x = array("f", [v + offset for v in noise(3 * 128, 0)])
    gain, bias = noise(128, 1), noise(128, 2)
    lists = x.tolist(), gain.tolist(), bias.tolist()
    out = Memory("f", len(x))
    tier.layernorm(x, gain, bias, out.view, 3)
    truth, terms = layernorm.reference(*lists, 3), layernorm_terms(*lists, 3)
    assert_near(out.view, truth, terms, bound_of(KERNELS["layernorm_f32"], tier).at((3, 128)))


def test_layernorm_in_place_and_with_another_epsilon(tier: kernels_c.Tier) -> None:
    for cols in range(1, 70):
        x, gain, bias = noise(3 * cols, 0), noise(cols, 1), noise(cols, 2)
        truth = layernorm.reference(x.tolist(), gain.tolist(), bias.tolist(), 3, float32(0.5))
        terms = layernorm_terms(x.tolist(), gain.tolist(), bias.tolist(), 3, 0.5)
        out, in_place = Memory("f", len(x)), filled("f", x)
        tier.layernorm(x, gain, bias, out.view, 3, epsilon=0.5)
        tier.layernorm(in_place.view, gain, bias, in_place.view, 3, epsilon=0.5)
        assert_near(out.view, truth, terms, bound_of(KERNELS["layernorm_f32"], tier).at((3, cols)))
        assert in_place.bytes == out.bytes
        assert in_place.guards_intact() and out.guards_intact()


@pytest.mark.parametrize("spoiler", [NAN, INF, -INF])
def test_a_row_that_holds_no_number_becomes_nan_and_no_other(
    ieee_tier: kernels_c.Tier, spoiler: float
) -> None:
    for cols in (1, 7, 16, 37):
        x, gain, bias = noise(3 * cols, 0), noise(cols, 1), noise(cols, 2)
        clean, out = Memory("f", len(x)), Memory("f", len(x))
        ieee_tier.layernorm(x, gain, bias, clean.view, 3)
        for place in range(cols, 2 * cols):
            spoiled = x[:]
            spoiled[place] = spoiler
            ieee_tier.layernorm(spoiled, gain, bias, out.view, 3)
            assert all(map(math.isnan, out.view[cols : 2 * cols])), (cols, place)
            assert out.view[:cols] == clean.view[:cols]
            assert out.view[2 * cols :] == clean.view[2 * cols :]


# --- Linear layers -------------------------------------------------------------------------------

EPILOGUE_SHAPES = [(1, 1, 1), (1, 100, 7), (5, 33, 0), (6, 16, 64), (17, 61, 40), (3, 130, 129)]


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", EPILOGUE_SHAPES, ids=str)
def test_epilogues(tier: kernels_c.Tier, shape: Shape, with_bias: bool) -> None:
    m, n, k = shape
    x, w, held = noise(m * k, 0), noise(k * n, 1), noise(m * n, 3)
    bias = noise(n, 2) if with_bias else None
    packed = filled("f", tier.pack_linear(w, bias, n, k))
    offsets = (bias or array("f", bytes(4 * n))).tolist()
    sums = linear.reference(x.tolist(), w.tolist(), offsets, m, n, k)
    terms = linear.reference(*map(magnitudes, (x, w, offsets)), m, n, k)
    limit = bound_of(LINEAR, tier).at(shape)
    truths = {
        "none": (sums, terms),
        "gelu": (gelu_tanh.reference(sums), terms),
        "add": ([s + h for s, h in zip(sums, held, strict=True)],
                [t + abs(h) for t, h in zip(terms, held, strict=True)]),
    }  # fmt: skip
    for epilogue, (truth, allowed) in truths.items():
        out = filled("f", held)
        tier.linear(x, packed.view, out.view, m, n, k, epilogue)
        assert out.guards_intact() and packed.guards_intact()
        assert_near(out.view, truth, allowed, limit)


@pytest.mark.parametrize("shape", EPILOGUE_SHAPES, ids=str)
def test_epilogues_of_int8(tier: kernels_c.Tier, shape: Shape) -> None:
    m, n, k = shape
    draw = random.Random(5)
    x, w = (draw.choices(range(-127, 128), k=count) for count in (m * k, k * n))
    x_scales, scales, bias, held = (
        noise(m, 0, 0.001, 0.02),
        noise(n, 1, 0.001, 0.02),
        noise(n, 2),
        noise(m * n, 3),
    )
    packed = tier.pack_linear_i8(array("b", w), scales, bias, n, k)
    zeros = [0.0] * n
    products = linear_i8.reference(x, x_scales.tolist(), w, scales.tolist(), zeros, m, n, k)
    sums = [p + b for p, b in zip(products, bias.tolist() * m, strict=True)]
    terms = [abs(p) + abs(b) for p, b in zip(products, bias.tolist() * m, strict=True)]
    truths = {
        "none": (sums, terms),
        "gelu": (gelu_tanh.reference(sums), terms),
        "add": ([s + h for s, h in zip(sums, held, strict=True)],
                [t + abs(h) for t, h in zip(terms, held, strict=True)]),
    }  # fmt: skip
    for epilogue, (truth, allowed) in truths.items():
        source, out = filled("b", x), filled("f", held)
        tier.linear_i8(source.view, x_scales, packed, out.view, m, n, k, epilogue)
        assert out.guards_intact() and source.guards_intact()
        assert_near(out.view, truth, allowed, bound_of(LINEAR_I8, tier).at(shape))


@pytest.mark.parametrize("step", [0, 1, 5, 8, 13, 40])
def test_rows_of_x_may_overlap_or_lie_apart(tier: kernels_c.Tier, step: int) -> None:
    """A convolution is a product whose rows overlap."""
    for m, n, k in ((1, 5, 8), (9, 17, 13), (20, 40, 8)):
        span = (m - 1) * step + k
        x, w, bias = noise(span, 0), noise(k * n, 1), noise(n, 2)
        rows = [v for i in range(m) for v in x[i * step : i * step + k]]
        out, source = Memory("f", m * n), filled("f", x)
        tier.linear(source.view, tier.pack_linear(w, bias, n, k), out.view, m, n, k, x_row=step)
        apart = Memory("f", m * n)
        tier.linear(array("f", rows), tier.pack_linear(w, bias, n, k), apart.view, m, n, k)
        assert out.guards_intact()
        assert out.bytes == apart.bytes
        bytes_ = array("b", [round(v * 127) for v in x])
        of_rows = array("b", [round(v * 127) for v in rows])
        factors, scales = noise(m, 3, 0.1, 1.0), noise(n, 4, 0.1, 1.0)
        w8 = tier.pack_linear_i8(array("b", [round(v * 127) for v in w]), scales, bias, n, k)
        tier.linear_i8(bytes_, factors, w8, out.view, m, n, k, x_row=step)
        tier.linear_i8(of_rows, factors, w8, apart.view, m, n, k)
        assert out.bytes == apart.bytes


@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 300, 1032, 5000])
def test_int8_sums_of_the_largest_values_are_exact(tier: kernels_c.Tier, k: int) -> None:
    """Saturating in 16 bits, or a sum of products past 2^24 in float32, would show."""
    draw = random.Random(k)
    for m, n in ((1, 1), (1, 33), (3, 17)):
        for choose in ((127, 127), (-127, -127), (127, -127), (-127, 127), None):
            if choose:
                x, w = [choose[0]] * (m * k), [choose[1]] * (k * n)
            else:
                x, w = (draw.choices((-127, 127), k=count) for count in (m * k, k * n))
            packed = tier.pack_linear_i8(array("b", w), array("f", [1.0] * n), None, n, k)
            out = Memory("f", m * n)
            ones = array("f", [1.0] * m)
            tier.linear_i8(array("b", x), ones, packed, out.view, m, n, k)
            sums = linear_i8.reference(x, [1.0] * m, w, [1.0] * n, [0.0] * n, m, n, k)
            assert out.view.tolist() == [float32(v) for v in sums], (m, n, choose)


def test_int8_products_of_every_pair_of_values(tier: kernels_c.Tier) -> None:
    every = range(-127, 128)
    ones, out = array("f", [1.0] * 255), Memory("f", 255 * 255)
    packed = tier.pack_linear_i8(array("b", every), ones, None, 255, 1)
    tier.linear_i8(array("b", every), ones, packed, out.view, 255, 255, 1)
    assert out.view.tolist() == [x * y for x in every for y in every]


@pytest.mark.parametrize("odd", [None, 0, -1])
def test_a_weight_comes_back_as_it_is(tier: kernels_c.Tier, odd: int | None) -> None:
    """Every finite float16; and all of them, but for one that float16 does not hold."""
    halves = struct.unpack("65536e", array("H", range(65536)).tobytes())
    w = array("f", filter(math.isfinite, halves))
    if odd is not None:
        w[odd] = 1.0 + 2.0**-11
    out = Memory("f", len(w))
    tier.linear(array("f", [1.0]), tier.pack_linear(w, None, len(w), 1), out.view, 1, len(w), 1)
    assert out.view.tolist() == w.tolist()


@pytest.mark.parametrize("is_float16", [False, True])
@pytest.mark.parametrize("shape", [(3, 9, 5), (7, 33, 16), (1, 20, 64)], ids=str)
def test_nan_and_infinity_go_through_a_linear_layer(
    ieee_tier: kernels_c.Tier, shape: Shape, is_float16: bool
) -> None:
    m, n, k = shape
    x, w, bias = noise(m * k, 0), noise(k * n, 1), noise(n, 2)
    if is_float16:
        w = rounded_to_float16(w)
    clean, out = Memory("f", m * n), Memory("f", m * n)
    ieee_tier.linear(x, ieee_tier.pack_linear(w, bias, n, k), clean.view, m, n, k)
    for spoiler in (NAN, INF):
        spoiled = x[:]
        spoiled[(m - 1) * k + k // 2] = spoiler  # the last row
        ieee_tier.linear(spoiled, ieee_tier.pack_linear(w, bias, n, k), out.view, m, n, k)
        assert out.view[: (m - 1) * n] == clean.view[: (m - 1) * n]
        assert not any(map(math.isfinite, out.view[(m - 1) * n :]))
        spoiled = w[:]
        spoiled[(k - 1) * n + n // 2] = spoiler  # one column
        ieee_tier.linear(x, ieee_tier.pack_linear(spoiled, bias, n, k), out.view, m, n, k)
        for place, (got, before) in enumerate(zip(out.view, clean.view, strict=True)):
            assert got == before if place % n != n // 2 else not math.isfinite(got)


def test_a_scale_that_is_nan_spoils_its_row_alone(ieee_tier: kernels_c.Tier) -> None:
    """What quantize_rows gives a row that holds NaN."""
    m, n, k = 3, 21, 40
    x, w = array("b", [1, -2] * (m * k // 2)), array("b", [3, -4, 5] * (k * n // 3))
    scales, bias = noise(n, 1), noise(n, 2)
    packed = ieee_tier.pack_linear_i8(w, scales, bias, n, k)
    clean, out = Memory("f", m * n), Memory("f", m * n)
    ieee_tier.linear_i8(x, array("f", [0.5] * 3), packed, clean.view, m, n, k)
    for epilogue in ("none", "gelu"):
        ieee_tier.linear_i8(x, array("f", [0.5, NAN, 0.5]), packed, out.view, m, n, k, epilogue)
        assert all(map(math.isnan, out.view[n : 2 * n]))
        assert not any(map(math.isnan, [*out.view[:n], *out.view[2 * n :]]))


# --- Quantisation by rows ------------------------------------------------------------------------


def quantized(tier: kernels_c.Tier, x: Sequence[float], rows: int) -> tuple[list[int], list[float]]:
    source, out, scales = filled("f", x), Memory("b", len(x)), Memory("f", rows)
    tier.quantize_rows(source.view, out.view, scales.view, rows)
    assert out.guards_intact() and scales.guards_intact() and source.guards_intact()
    return out.view.tolist(), scales.view.tolist()


def test_quantize_rows_of_nan_infinity_and_zeros(ieee_tier: kernels_c.Tier) -> None:
    for cols in (1, 2, 7, 8, 16, 33, 67):
        x = noise(3 * cols, 0, 1.0, 2.0)
        for spoiler in (NAN, -NAN, INF, -INF):
            for place in range(cols, 2 * cols):
                spoiled = x[:]
                spoiled[place] = spoiler
                out, scales = quantized(ieee_tier, spoiled, 3)
                assert math.isnan(scales[1]), (cols, place, spoiler)
                assert out[cols : 2 * cols] == [0] * cols
                truth, _ = quantize_rows.reference(x.tolist(), 3)
                assert out[:cols] == truth[:cols] and out[2 * cols :] == truth[2 * cols :]
        out, scales = quantized(ieee_tier, [0.0, -0.0] * cols, 2)
        assert (out, scales) == ([0] * 2 * cols, [0.0, 0.0])


@pytest.mark.parametrize("largest", [1e-30, 1e-6, 1.0, 1e6, 1e30, LARGEST])
def test_quantize_rows_at_any_magnitude(tier: kernels_c.Tier, largest: float) -> None:
    """Ties too: halves of steps, where the scale is a power of two."""
    x = [float32(v * largest) for v in noise(64, 0)]
    rows = [*x, float32(largest), *[float32(largest / 127.0 * (n + 0.5)) for n in range(-9, 9)]]
    out, scales = quantized(tier, rows, 1)
    truth, expected = quantize_rows.reference(rows, 1)
    assert max(abs(a - b) for a, b in zip(out, truth, strict=True)) <= (tier.name == "fastmath")
    assert scales[0] == pytest.approx(expected[0], rel=2e-7)


# --- Attention -----------------------------------------------------------------------------------


def attended(
    tier: kernels_c.Tier, case: AttentionCase, pieces: Sequence[int], context: int
) -> tuple[list[float], Memory, Memory]:
    """All queries of a case, `pieces` at a time, on caches with room for `context` positions."""
    count, length, width = case.shape
    d, start = width // case.heads, length - count
    _, rows, blocks = case._python
    keys, values = Memory("f", width * context), Memory("f", width * context)
    for place in range(start):
        for c in range(width):
            there = (c // d * context + place) * d + c % d
            keys.view[there] = rows[place * width + c]
            values.view[there] = blocks[place * width + c]
    qkv, got = case.inputs[0], []
    for piece in pieces:
        part = filled("f", qkv[: piece * 3 * width])
        qkv = qkv[piece * 3 * width :]
        out = Memory("f", piece * width)
        sizes = piece, start, context, width, case.heads
        tier.attention(part.view, keys.view, values.view, out.view, *sizes)
        assert out.guards_intact() and keys.guards_intact() and values.guards_intact()
        got += out.view.tolist()
        start += piece
    return got, keys, values


@pytest.mark.parametrize(
    "shape", [(40, 40, 64), (21, 50, 36), (5, 1024, 32), (64, 300, 128)], ids=str
)
def test_a_prompt_in_pieces_is_the_prompt_at_once(tier: kernels_c.Tier, shape: Shape) -> None:
    """Caches with more room than positions: what is behind them is neither read nor written."""
    case = make_case(KERNELS["attention_f32"], shape)
    assert isinstance(case, AttentionCase)
    count, length, width = shape
    unit = bound_of(case.kernel, tier).unit
    for pieces in ([count], [1] * count, [3, count - 3], [count - 1, 1]):
        for context in (length, length + 13):
            got, keys, values = attended(tier, case, pieces, context)
            worst = worst_error(got, case.reference, case.inverse_units(unit))
            assert worst.error <= bound_of(case.kernel, tier).at(shape)
            d = width // case.heads
            for h in range(case.heads):
                tail = slice((h * context + length) * d, (h + 1) * context * d)
                for cache in (keys, values):
                    assert cache.view[tail].tobytes() == b"\xff" * 4 * (context - length) * d


def test_attention_to_one_position_is_its_value(tier: kernels_c.Tier) -> None:
    for width, heads in ((1, 1), (12, 3), (33, 1), (128, 4)):
        qkv, out = noise(3 * width, 0, -9.0, 9.0), Memory("f", width)
        keys, values = Memory("f", width), Memory("f", width)
        tier.attention(qkv, keys.view, values.view, out.view, 1, 0, 1, width, heads)
        assert out.view == qkv[2 * width :]
        assert keys.view == qkv[width : 2 * width] and values.view == out.view


def test_nan_reaches_what_attends_to_it(ieee_tier: kernels_c.Tier) -> None:
    count, width, heads = 19, 64, 2
    qkv = noise(count * 3 * width, 0)
    clean, out = Memory("f", count * width), Memory("f", count * width)
    sizes = count, 0, count, width, heads

    def attend(x: array[float], to: Memory) -> None:
        keys, values = (Memory("f", count * width) for _ in "kv")
        ieee_tier.attention(x, keys.view, values.view, to.view, *sizes)

    attend(qkv, clean)
    for part, first_hit in ((0, False), (1, True)):  # a query, a key
        spoiled = qkv[:]
        spoiled[7 * 3 * width + part * width + 33] = NAN  # of the second head
        attend(spoiled, out)
        for i in range(count):
            head = slice(i * width + 32, (i + 1) * width)
            if i == 7 or (first_hit and i > 7):
                assert all(map(math.isnan, out.view[head])), (part, i)
            else:
                assert out.view[head] == clean.view[head], (part, i)
            other = slice(i * width, i * width + 32)
            assert out.view[other] == clean.view[other]


# --- Embedding, argmax, gelu_max -----------------------------------------------------------------


def test_embedding_from_a_position_on_or_without(tier: kernels_c.Tier) -> None:
    for width in (1, 7, 16, 33, 128):
        table, positions = noise(9 * width, 0), noise(7 * width, 1)
        tokens = array("i", [8, 0, 3, 3])
        out = Memory("f", 4 * width)
        tier.embedding(tokens, table, positions, out.view, width, start=3)
        rows = [v for t in tokens for v in table[t * width : (t + 1) * width]]
        assert out.view.tolist() == [
            float32(v + p) for v, p in zip(rows, positions[3 * width :], strict=True)
        ]
        tier.embedding(tokens, table, None, out.view, width)
        assert out.view.tolist() == rows
        assert out.guards_intact()


def test_argmax_finds_the_first_of_the_largest_wherever_it_is(tier: kernels_c.Tier) -> None:
    for n in (*range(1, 70), 256, 1003):
        for place in {0, n // 3, n // 2, n - 1}:
            x = array("f", [-1.0 - i % 5 for i in range(n)])
            x[place] = 7.0
            assert tier.argmax(x) == place
            x[n - 1] = 7.0
            assert tier.argmax(x) == place
        assert tier.argmax(array("f", [-LARGEST] * n)) == 0
        assert tier.argmax(array("f", [-0.0] * (n - 1) + [0.0])) == 0


def test_argmax_of_nan_and_infinity(ieee_tier: kernels_c.Tier) -> None:
    for n in (*range(1, 70), 300):
        assert ieee_tier.argmax(array("f", [-INF] * n)) == 0
        for place in {0, n // 2, n - 1}:
            x = array("f", [1.0] * n)
            x[place] = INF
            assert ieee_tier.argmax(x) == place
            x[place] = NAN
            assert ieee_tier.argmax(x) == place
            x[-1] = -NAN
            x[0] = INF if place else NAN
            assert ieee_tier.argmax(x) == place


@pytest.mark.parametrize(("low", "high"), [(-8.0, 8.0), (-3.0, -0.76), (-0.7, -0.01), (-9.0, -4.0)])
def test_gelu_max_of_any_range(tier: kernels_c.Tier, low: float, high: float) -> None:
    """GELU falls down to -0.75 and rises from there: a column's largest may be of its smallest."""
    bound = bound_of(KERNELS["gelu_max_f32"], tier)
    for rows, cols in ((1, 1), (2, 9), (5, 16), (9, 67), (31, 8)):
        x = noise(rows * cols, cols, low, high)
        source, out = filled("f", x), Memory("f", cols)
        tier.gelu_max(source.view, out.view, rows)
        assert out.guards_intact()
        largest = [max(magnitudes(x[c::cols])) for c in range(cols)]
        assert_near(out.view, gelu_max.reference(x.tolist(), rows), largest, bound.at((rows, cols)))


def test_gelu_max_of_nan(ieee_tier: kernels_c.Tier) -> None:
    for cols in (1, 7, 16, 37):
        x = noise(4 * cols, 0)
        clean, out = Memory("f", cols), Memory("f", cols)
        ieee_tier.gelu_max(x, clean.view, 4)
        for row in range(4):
            for c in {0, cols // 2, cols - 1}:
                spoiled = x[:]
                spoiled[row * cols + c] = NAN
                ieee_tier.gelu_max(spoiled, out.view, 4)
                assert math.isnan(out.view[c])
                assert [*out.view[:c], *out.view[c + 1 :]] == [
                    *clean.view[:c],
                    *clean.view[c + 1 :],
                ]


def test_quantize_rows_of_the_tiniest_is_defined(ieee_tier: kernels_c.Tier) -> None:
    """127 / max overflows there: no step may come from an infinity times zero."""
    for value in (TINIEST, 1e-40, 1e-38, 3e-37):
        for cols in (2, 9, 33):
            out, scales = quantized(ieee_tier, [float32(value)] + [0.0] * (cols - 1), 1)
            assert out[1:] == [0] * (cols - 1)
            assert 0 <= out[0] <= 127
            assert scales[0] == pytest.approx(float32(value) / 127.0, abs=TINIEST)
