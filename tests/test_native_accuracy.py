"""The element-wise kernels and softmax, every tier: the documented error bound over all of float32,
NaN and infinity, and the same bits at every length and alignment."""

from __future__ import annotations

import importlib
import math
import random
from array import array
from collections.abc import Callable, Iterable
from functools import cache

import mpmath as mp
import pytest

import kernels_c
from bench.measure.calls import call_of
from bench.measure.cases.buffers import values
from bench.measure.cases.case import Case
from bench.measure.cases.errors_in_ulp import worst_error
from bench.measure.cases.make import make_case
from bench.suite.registry import KERNELS, Kernel
from kernels_py import quantize, softmax
from tests.native import (
    DEQUANTIZE_BOUNDS,
    ELEMENTWISE,
    INF,
    LARGEST,
    NAN,
    QUANTIZE,
    SMALLEST_NORMAL,
    SOFTMAX,
    TINIEST,
    UNARY,
    Elementwise,
    Memory,
    assert_within,
    bound_of,
    filled,
    float32,
    floats_of,
    pattern_of,
    pointer,
    same_bits_everywhere,
)

each_unary = pytest.mark.parametrize("kernel", UNARY, ids=lambda kernel: kernel.name)
each_elementwise = pytest.mark.parametrize("kernel", ELEMENTWISE, ids=lambda kernel: kernel.name)

# Around each width that a loop may be cut at: 8 and 32 elements, with tails.
LENGTHS = range(68)
OFFSETS = range(16)
# Long enough for avx2_omp to use its threads; odd.
LONG = 100_003


def unary(tier: kernels_c.Tier, kernel: Kernel, x: Iterable[float]) -> list[float]:
    source = filled("f", list(x))
    out = Memory("f", len(source.view))
    tier.unary(kernel.name, source.view, out.view)
    assert out.guards_intact()
    return out.view.tolist()


# --- Lengths and alignments ----------------------------------------------------------------------


@cache
def long_input(typecode: str) -> array[float]:
    draw = random.Random(1)
    if typecode == "i":
        return array(
            "i", [draw.randrange(-(2**31), 2**31) >> draw.randrange(32) for _ in range(LONG)]
        )
    x = values(LONG, -12.0, 12.0)
    special = [0.0, -0.0, TINIEST, -TINIEST, 1e-39, -1e-39, LARGEST, -LARGEST, 1e-20, -1e4]
    for i in range(0, LONG, 7):
        x[i] = special[i // 7 % len(special)]
    return x


@each_elementwise
def test_every_length_and_alignment_gives_the_bits_of_one_long_call(
    tier: kernels_c.Tier, kernel: Elementwise
) -> None:
    """Guards included: what stands around the output stays as it was, and so does the input."""
    if not same_bits_everywhere(tier, kernel.name):
        pytest.skip("vector and scalar libm round differently; see the test below")
    count = OFFSETS[-1] + LENGTHS[-1]
    x = filled(kernel.in_code, long_input(kernel.in_code)[:4096])
    in_one_call = kernel.run(tier, x.view)
    x_before = bytes(x.raw)
    out = Memory(kernel.out_code, count)
    size = out.view.itemsize
    untouched = bytes(out.raw)
    first = len(out._before)
    from_x = [pointer(tier, kernel.in_code, x.view) + o for o in OFFSETS]
    to_out = [pointer(tier, kernel.out_code, out.view) + o for o in OFFSETS]
    for n in LENGTHS:
        for x_offset in OFFSETS:
            expected = in_one_call[x_offset * size : (x_offset + n) * size]
            for out_offset in OFFSETS:
                kernel.call(tier.lib, from_x[x_offset], to_out[out_offset], n)
                begin = first + out_offset * size
                end = begin + n * size
                assert out.raw[begin:end] == expected, (n, x_offset, out_offset)
                out.raw[begin:end] = untouched[begin:end]
                assert out.raw == untouched, (n, x_offset, out_offset)
    assert x.raw == x_before


@each_unary
def test_every_length_is_within_the_bound(tier: kernels_c.Tier, kernel: Kernel) -> None:
    x = long_input("f")
    result: list[float] = []
    inputs: list[float] = []
    for n in LENGTHS:
        result += unary(tier, kernel, x[:n])
        inputs += x[:n]
    assert_within(bound_of(kernel, tier), (), result, reference(kernel, inputs), inputs)


@each_elementwise
def test_a_long_call_gives_the_bits_of_its_pieces(
    tier: kernels_c.Tier, kernel: Elementwise
) -> None:
    """Threads and their seams change nothing."""
    if not same_bits_everywhere(tier, kernel.name):
        pytest.skip("vector and scalar libm round differently")
    x = long_input(kernel.in_code)
    pieces = [kernel.run(tier, x[i : i + 1009]) for i in range(0, LONG, 1009)]
    assert kernel.run(tier, x) == b"".join(pieces)


@each_unary
def test_in_place_equals_out_of_place(tier: kernels_c.Tier, kernel: Kernel) -> None:
    for n in (*LENGTHS, LONG):
        x = long_input("f")[:n]
        memory = filled("f", x)
        tier.unary(kernel.name, memory.view, memory.view)
        assert memory.guards_intact()
        assert memory.view.tobytes() == array("f", unary(tier, kernel, x)).tobytes(), n


def test_softmax_gives_the_same_bits_at_every_alignment_and_in_place(tier: kernels_c.Tier) -> None:
    if tier.name == "fastmath" and "clang" in tier.build_info()["compiler"].lower():
        pytest.skip(
            "Clang makes two loops, for buffers apart and in place, with sums in other orders"
        )
    data = values(LENGTHS[-1], -20.0, 20.0)
    sources = [filled("f", data, 4 * offset) for offset in OFFSETS]
    targets = [Memory("f", LENGTHS[-1], 4 * offset) for offset in OFFSETS]
    from_x = [pointer(tier, "f", memory.view) for memory in sources]
    to_out = [pointer(tier, "f", memory.view) for memory in targets]
    poison = bytes(targets[0].bytes)
    for n in LENGTHS:
        in_place = filled("f", data[:n])
        tier.softmax(in_place.view, in_place.view)
        expected = in_place.view.tobytes() + poison[4 * n :]
        for x in from_x:
            for out, target in zip(to_out, targets, strict=True):
                tier.lib.softmax_f32(x, out, 1, n)
                assert target.bytes == expected, n
                target.bytes[:] = poison
    assert all(memory.guards_intact() for memory in (*sources, *targets))
    assert all(memory.view.tobytes() == data.tobytes() for memory in sources)


# --- Error bounds over all of float32 ------------------------------------------------------------

STRIDE = 26227  # prime; leaves 319 points in every binade of either sign
GELU_STRIDE = 97  # prime; for the 19 million floats of [-14, -3]
SEAM_NEIGHBOURS = 24
LN2 = math.log(2.0)


def rounding_seams() -> list[float]:
    """Where exp(-2u) of the tanh form and exp(-x^2/2) of the erf form step to the next power of
    two in their range reduction; the ends of clamps and tables, and of exp itself."""
    steps = [(n + 0.5) * LN2 for n in range(160)]
    erf_form = [math.sqrt(2.0 * y) for y in steps]
    tanh_form = []
    for y in steps:
        low, high = 0.0, 12.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            above = 2.0 * math.sqrt(2.0 / math.pi) * (middle + 0.044715 * middle**3) > y
            low, high = (low, middle) if above else (middle, high)
        tanh_form.append(low)
    ends = [11.0, 14.5, 13.0, 5.5, 88.38, 87.34, 103.97, 10.05, 9.0, 1.0, 0.25, 3.0, 6.0]
    return [*erf_form, *tanh_form, *ends, SMALLEST_NORMAL, 2.0**-64, 2.0**42, 2.0**64]


@cache
def sweep() -> array[float]:
    """Every binade of both signs, [-14, -3] densely, the seams with their neighbours, the ends."""
    patterns = [p for p in range(0, 2**32, STRIDE) if p & 0x7F800000 != 0x7F800000]
    patterns += range(pattern_of(-3.0), pattern_of(-14.0), GELU_STRIDE)
    for seam in rounding_seams():
        middle = pattern_of(seam)
        around = range(middle - SEAM_NEIGHBOURS, middle + SEAM_NEIGHBOURS + 1)
        patterns += [p | sign for p in around for sign in (0, 0x80000000)]
    for magnitude in (0, 1, 2, 3, 0x7FFFFF, 0x800000, 0x800001, 0x7F7FFFFE, 0x7F7FFFFF):
        patterns += [magnitude, magnitude | 0x80000000]
    return floats_of(patterns)


def reference(kernel: Kernel, x: Iterable[float]) -> list[float]:
    module = importlib.import_module(f"kernels_py.{kernel.module}")
    truth: list[float] = module.reference(list(x))
    return truth


@cache
def sweep_reference(name: str) -> list[float]:
    return reference(KERNELS[name], sweep())


@each_unary
def test_the_largest_error_over_float32_is_within_the_documented_bound(
    tier: kernels_c.Tier, kernel: Kernel
) -> None:
    result = unary(tier, kernel, sweep())
    assert_within(bound_of(kernel, tier), (), result, sweep_reference(kernel.name), sweep())


def test_the_sweep_has_hundreds_of_points_in_every_binade() -> None:
    points = dict.fromkeys(range(-149, 128), 0)
    for x in sweep():
        if x:
            points[math.frexp(x)[1] - 1] += 1
    assert min(points[e] for e in range(-126, 128)) >= 600
    assert sum(-14.0 <= x <= -3.0 for x in sweep()) > 190_000


def exact_gelu_tanh(x: mp.mpf) -> mp.mpf:
    u = mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)
    return x / (1 + mp.exp(-2 * u))


# By other formulas than the references, or in 50 digits.
EXACT: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "relu_f32": lambda x: max(x, mp.mpf(0)),
    "gelu_tanh_f32": exact_gelu_tanh,
    "gelu_erf_f32": lambda x: x * mp.ncdf(x),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_double_reference_agrees_with_fifty_digits(name: str) -> None:
    """To 1e-12, a ten-thousandth of a float32 ULP, wherever the result is a normal float32."""
    draw = random.Random(2)
    x = [*draw.sample(list(sweep()), 400), *[draw.uniform(-14.0, -3.0) for _ in range(200)]]
    x += [LARGEST, -LARGEST, TINIEST, -TINIEST, 0.0]
    x = list(array("f", x))
    compared = 0
    with mp.workdps(50):
        for v, got in zip(x, reference(KERNELS[name], x), strict=True):
            truth = EXACT[name](mp.mpf(v))
            if abs(truth) >= SMALLEST_NORMAL:
                compared += 1
                assert abs(got - truth) <= 1e-12 * abs(truth), v
            else:
                assert abs(got - truth) <= 1e-6 * TINIEST + 1e-9 * abs(truth), v
    assert compared > 100


# --- Quantise and dequantise ---------------------------------------------------------------------

SCALES = (1.0, 127 / 8.0, 0.1, -3.7, 0.0, -0.0, TINIEST, 1e-39, 1e-30, 3e38, -LARGEST, 2.0**24)


@cache
def quantize_sweep(scale: float) -> tuple[array[float], list[int]]:
    """All of float32 in 20,000 steps, and every tie and its neighbours where scale allows one."""
    x = floats_of(p for p in range(0, 2**32, 214729) if p & 0x7F800000 != 0x7F800000)
    for step in range(-260, 261):
        tie = step / 2.0 / scale if scale else 0.0
        if abs(tie) < LARGEST / 2:
            middle = pattern_of(tie)
            x += floats_of(p % 2**32 for p in range(middle - 2, middle + 3))
    x = array("f", [v for v in x if math.isfinite(v)])
    return x, quantize.reference(list(x), scale)


@pytest.mark.parametrize("scale", SCALES)
def test_quantize_follows_the_definition(tier: kernels_c.Tier, scale: float) -> None:
    scale = float32(scale)
    x, truth = quantize_sweep(scale)
    source, out = filled("f", x), Memory("b", len(x))
    tier.quantize(source.view, out.view, scale)
    assert out.guards_intact()
    worst = worst_error(out.view, truth, [1.0] * len(x))
    at = worst.index
    assert worst.error <= bound_of(QUANTIZE, tier).at(()), (x[at], out.view[at], truth[at])


def test_quantize_rounds_its_scale_to_float32_first(tier: kernels_c.Tier) -> None:
    x = values(1003, -12.0, 12.0)
    results = []
    for scale in (0.1, float32(0.1)):
        out = Memory("b", len(x))
        tier.quantize(x, out.view, scale)
        results.append(out.view.tobytes())
    assert results[0] == results[1]


def test_quantize_rounds_ties_to_even(tier: kernels_c.Tier) -> None:
    """The three elements before them put the ties into a vector and into its tail."""
    ties = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, 127.5, -127.5, 125.5]
    even = [0, 2, 2, 0, -2, -2, 126, -126, 127, -127, 126]
    for before in range(40):
        out = Memory("b", before + len(ties))
        tier.quantize(array("f", [0.0] * before + ties), out.view, 1.0)
        assert out.view.tolist()[before:] == even


def test_quantize_of_nan_and_infinity(ieee_tier: kernels_c.Tier) -> None:
    for n in LENGTHS[1:]:
        for x, scale, expected in (
            (NAN, 2.0, 0),
            (-NAN, 2.0, 0),
            (INF, 2.0, 127),
            (-INF, 2.0, -127),
            (INF, -2.0, -127),
            (-INF, 1e-45, -127),
            (INF, 0.0, 0),
        ):
            out = Memory("b", n)
            ieee_tier.quantize(array("f", [x] * n), out.view, scale)
            assert out.view.tolist() == [expected] * n, (x, scale, n)


@pytest.mark.parametrize("scale", (1.0, 1 / 127.0**2, -0.1, 3e-45, 1e-38, 1e28, 0.0, 1.9999999))
def test_dequantize_is_within_its_bound(tier: kernels_c.Tier, scale: float) -> None:
    scale = float32(scale)
    x = long_input("i")[:20_000]
    x += array("i", [0, 1, -1, 2**31 - 1, -(2**31), 2**24 + 1, -(2**24) - 1, 2**25 + 2, 33554435])
    out = Memory("f", len(x))
    tier.dequantize(x, out.view, scale)
    assert out.guards_intact()
    truth = [v * scale for v in x]
    bound = DEQUANTIZE_BOUNDS[tier.build_info()["folder"]]
    assert_within(bound, (), out.view, truth, x)


# --- NaN, infinity, zeros, subnormals ------------------------------------------------------------

# Positive and negative, quiet.
NANS = floats_of((0x7FC00000, 0xFFC00000, 0x7FC12345))


@each_unary
def test_nan_propagates_and_touches_no_neighbour(ieee_tier: kernels_c.Tier, kernel: Kernel) -> None:
    x = long_input("f")[:67]
    clean = unary(ieee_tier, kernel, x)
    for place in range(67):
        for n in {67, place + 1}:
            spoiled = x[:n]
            spoiled[place] = NANS[place % len(NANS)]
            result = unary(ieee_tier, kernel, spoiled)
            assert math.isnan(result.pop(place)), (place, n)
            assert result == clean[:place] + clean[place + 1 : n], (place, n)


def test_relu_of_special_values(ieee_tier: kernels_c.Tier) -> None:
    x = array("f", [INF, -INF, 0.0, -0.0, TINIEST, -TINIEST, 1e-39, -1e-39, LARGEST, -LARGEST])
    expected = array("f", [INF, 0.0, 0.0, -0.0, TINIEST, 0.0, 1e-39, 0.0, LARGEST, 0.0])
    for before in range(40):
        result = unary(ieee_tier, KERNELS["relu_f32"], [1.0] * before + list(x))
        assert array("f", result[before:]).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ("gelu_tanh_f32", "gelu_erf_f32"))
def test_gelu_of_infinity(ieee_tier: kernels_c.Tier, name: str) -> None:
    for n in LENGTHS[1:]:
        assert unary(ieee_tier, KERNELS[name], [INF] * n) == [INF] * n
        assert unary(ieee_tier, KERNELS[name], [-INF] * n) == [0.0] * n


@pytest.mark.parametrize("name", ("gelu_tanh_f32", "gelu_erf_f32"))
def test_gelu_of_zeros_and_subnormals(tier: kernels_c.Tier, name: str) -> None:
    """Half of them, within the bound: nothing is flushed to zero."""
    x = array("f", [0.0, -0.0, *[s * TINIEST * 2**e for e in range(24) for s in (1, -1)]])
    result = unary(tier, KERNELS[name], x)
    assert_within(bound_of(KERNELS[name], tier), (), result, [v / 2 for v in x], x)
    assert result[:2] == [0.0, 0.0]
    assert all(got != 0.0 for got, v in zip(result, x, strict=True) if abs(v) >= 16 * TINIEST)


def test_no_tier_switches_the_process_to_flush_to_zero() -> None:
    """Linking with -ffast-math would, for every library in the process (GCC before 13)."""
    for name in kernels_c.TIERS:
        if kernels_c.why_unavailable(name) is None:
            kernels_c.load_tier(name).relu(values(LONG, -1.0, 1.0), array("f", bytes(4 * LONG)))
    smallest_double = float("5e-324")
    assert smallest_double * 1.0 != 0.0
    assert float(2**-1022) / 2.0 != 0.0
    out = array("f", [0.0])
    scalar = kernels_c.load_tier("scalar")
    scalar.dequantize(array("i", [3]), out, TINIEST)
    assert out[0] == 3 * TINIEST
    scalar.matmul(array("f", [2.0**-100]), array("f", [2.0**-40]), out, 1, 1, 1)
    assert out[0] == 2.0**-140


# --- Softmax -------------------------------------------------------------------------------------


def softmax_of(tier: kernels_c.Tier, x: Iterable[float], rows: int = 1) -> list[float]:
    source = filled("f", list(x))
    out = Memory("f", len(source.view))
    tier.softmax(source.view, out.view, rows)
    assert out.guards_intact()
    return out.view.tolist()


@cache
def softmax_data(cols: int, spread: float, largest: float) -> tuple[array[float], list[float]]:
    """A row below `largest`, reaching `spread` down from it, and its true softmax."""
    draw = random.Random(cols)
    x = array("f", [largest - spread * draw.random() for _ in range(cols)])
    x[draw.randrange(cols)] = largest
    return x, softmax.reference(list(x))


@pytest.mark.parametrize("spread", (0.0, 1.0, 20.0, 88.0, 104.0, 200.0, 1e4))
def test_softmax_is_within_its_bound(tier: kernels_c.Tier, spread: float) -> None:
    """104 reaches the last subnormal result, 1e4 far beyond; the largest element goes through 512,
    where avx2 changes its method."""
    bound = bound_of(SOFTMAX, tier)
    for cols in (1, 2, 7, 8, 9, 33, 67, 1003):
        for largest in (
            0.0,
            1.0,
            -60.0,
            60.0,
            100.0,
            511.9,
            -511.9,
            512.0,
            -513.0,
            3e3,
            -1e4,
            1e30,
        ):
            x, truth = softmax_data(cols, spread, largest)
            assert_within(bound, (1, cols), softmax_of(tier, x), truth, x)


def test_the_softmax_reference_agrees_with_fifty_digits() -> None:
    for spread in (1.0, 80.0, 1e4):
        x, got = softmax_data(67, spread, 60.0)
        with mp.workdps(50):
            powers = [mp.exp(mp.mpf(v)) for v in x]
            total = mp.fsum(powers)
            for p, g in zip(powers, got, strict=True):
                assert abs(g - p / total) <= 1e-12 * (p / total) + 1e-60


def test_softmax_gives_subnormal_results(tier: kernels_c.Tier) -> None:
    x = array("f", [0.0, -88.0, -95.0, -100.0, -103.0, -110.0])
    result = softmax_of(tier, x)
    assert all(0.0 < v < SMALLEST_NORMAL for v in result[1:5])
    assert result[5] == 0.0


def test_softmax_does_not_see_a_constant(tier: kernels_c.Tier) -> None:
    """Added without rounding: x in steps of 2^-10, the constant a power of two up to 2^12."""
    draw = random.Random(3)
    x = [draw.randrange(-8192, 8193) / 1024.0 for _ in range(517)]
    truth = softmax.reference(x)
    for constant in (0.0, *[s * 2.0**e for e in range(13) for s in (1, -1)]):
        shifted = [v + constant for v in x]
        assert list(array("f", shifted)) == shifted
        bound = bound_of(SOFTMAX, tier)
        assert_within(bound, (1, len(x)), softmax_of(tier, shifted), truth, shifted)


def test_softmax_sums_to_one(tier: kernels_c.Tier) -> None:
    """Each result may be off by the bound, so the sum by as many ULP of one."""
    allowed = bound_of(SOFTMAX, tier).at((1, 1)) * 2.0**-23
    for n in (1, 2, 3, 67, 1003, LONG):
        for spread in (0.0, 1.0, 20.0):
            total = math.fsum(softmax_of(tier, values(n, -spread, spread)))
            assert abs(total - 1.0) <= allowed


@cache
def million() -> Case:
    return make_case(SOFTMAX, (1, 1_000_000))


def test_softmax_of_a_million(tier: kernels_c.Tier) -> None:
    case = million()
    case.run_and_verify(f"softmax 1M {tier.name}", call_of(case, f"c-{tier.name}"))


def test_many_rows_give_the_bits_of_one_by_one(tier: kernels_c.Tier) -> None:
    """Also where avx2_omp spreads the rows over threads."""
    for rows, cols in (*[(5, cols) for cols in LENGTHS[1:]], (3, 1003), (67, 1024), (40_000, 1)):
        x = values(rows * cols, -20.0, 20.0)
        together = softmax_of(tier, x, rows)
        step = max(1, rows // 100)
        for r in range(0, rows, step):
            row = slice(r * cols, (r + 1) * cols)
            assert softmax_of(tier, x[row]) == together[row], (rows, cols, r)


SPOILED = {
    "nan": (NAN, True),
    "-nan": (NANS[1], True),
    "inf": (INF, True),
    "-inf": (-INF, False),
}


@pytest.mark.parametrize("value", SPOILED)
def test_softmax_of_a_row_with(ieee_tier: kernels_c.Tier, value: str) -> None:
    """NaN or +inf: all of the row is NaN. A single -inf gives 0. Other rows do not notice."""
    spoiler, all_nan = SPOILED[value]
    for cols in (2, 8, 9, 32, 33, 67):
        x = values(3 * cols, -5.0, 5.0)
        clean = softmax_of(ieee_tier, x, 3)
        for place in range(cols):
            spoiled = x[:]
            spoiled[cols + place] = spoiler
            result = softmax_of(ieee_tier, spoiled, 3)
            row = result[cols : 2 * cols]
            assert result[:cols] == clean[:cols]
            assert result[2 * cols :] == clean[2 * cols :]
            if all_nan:
                assert all(map(math.isnan, row)), (cols, place)
            else:
                assert row[place] == 0.0
                assert abs(math.fsum(row) - 1.0) < 1e-5


def test_softmax_of_a_row_of_infinities(ieee_tier: kernels_c.Tier) -> None:
    for cols in LENGTHS[1:]:
        for spoiler in (INF, -INF, NAN):
            x = [0.5] * cols + [spoiler] * cols + [0.5] * cols
            result = softmax_of(ieee_tier, x, 3)
            assert all(map(math.isnan, result[cols : 2 * cols])), (cols, spoiler)
            assert not any(map(math.isnan, result[:cols] + result[2 * cols :]))


def test_softmax_of_subnormals_and_of_the_largest(tier: kernels_c.Tier) -> None:
    for row in (
        [TINIEST, -TINIEST, 1e-39, -1e-39, 0.0, -0.0],
        [LARGEST, LARGEST, LARGEST],
        [-LARGEST, -LARGEST],
        [LARGEST, -LARGEST, 0.0],
    ):
        x = list(array("f", row))
        truth = softmax.reference(x)
        assert_within(bound_of(SOFTMAX, tier), (1, len(x)), softmax_of(tier, x), truth, x)


@pytest.mark.parametrize("cols", [*range(1, 68), 131])
def test_softmax_finds_the_largest_wherever_it_is(tier: kernels_c.Tier, cols: int) -> None:
    """One row for each place of an element so large that missing it overflows or shows."""
    x = array("f", bytes(4 * cols * cols))
    for row in range(cols):
        x[row * cols + row] = 200.0
    out = array("f", bytes(4 * cols * cols))
    tier.softmax(x, out, rows=cols)
    expected = [float(row == col) for row in range(cols) for col in range(cols)]
    # The others are e^-200, below every float32.
    assert out.tolist() == expected


@pytest.mark.parametrize("n", [32768, 32769, 32781, 32831, 65537])
def test_softmax_of_a_row_that_threads_share(tier: kernels_c.Tier, n: int) -> None:
    """Long enough for avx2_omp to cut the row into parts; no element may be left out."""
    x = array("f", [i % 97 / 97.0 - 3.0 for i in range(n)])
    truth = softmax.reference(x.tolist())
    assert_within(bound_of(SOFTMAX, tier), (1, n), softmax_of(tier, x), truth, x)
