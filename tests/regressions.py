"""Changes for the regression gates to find, to miss, or to leave alone: each is text to replace.

Every changed kernel still passes its verification. The shares of time were read on one machine (AMD
Zen 5, g++ 12).
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.checkout import Checkout


@dataclass(frozen=True)
class Change:
    """file, old, new; `case` is a benchmark that it touches: kernel, variant, size."""

    file: str
    old: str
    new: str
    case: tuple[str, str, str]

    def apply(self, checkout: Checkout) -> None:
        checkout.replace(self.file, self.old, self.new)


# --- Half a percent more instructions: n -> 1.005 n ----------------------------------------------

GROWN_SCALAR = Change(
    "kernels_c/portable/quantize.cpp",
    "        out[i] = static_cast<int8_t>(std::nearbyint(v));\n    }\n",
    """        out[i] = static_cast<int8_t>(std::nearbyint(v));
    }
    for (size_t i = 0; i < n / 195; ++i) {
        float v = x[i] * scale;
        v = v == v ? v : 0.0f;
        v = v > 127.0f ? 127.0f : v;
        v = v < -127.0f ? -127.0f : v;
        out[i] = static_cast<int8_t>(std::nearbyint(v));
    }
""",
    ("quantize_f32_i8", "c-scalar", "10000"),
)

_RANGE = "        quantize_range(x + begin, out + begin, end - begin, splat(scale));\n"
GROWN_AVX2 = Change(
    "kernels_c/simd/quantize.cpp",
    _RANGE,
    _RANGE + _RANGE.replace("end - begin", "(end - begin) / 150 / 64 * 32"),
    ("quantize_f32_i8", "c-avx2", "10000"),
)

GROWN_PYTHON = Change(
    "kernels_py/relu.py",
    "            out[i] = x[i]\n    return out\n",
    """            out[i] = x[i]
    for i in range(len(x) // 195):
        if x[i] < 0.0:
            out[i] = 0.0
        else:
            out[i] = x[i]
    return out
""",
    ("relu_f32", "py-loop", "10000"),
)

# --- Slower by the clock, with the same number of instructions -----------------------------------

# The least and the largest element of a row along one chain instead of four: each instruction waits
# for the last. Where vmaxps takes one cycle (Zen 3) that costs nothing.
LATENCY = Change(
    "kernels_c/simd/softmax.cpp",
    """        Quad lows(min(first, last)), highs(max(first, last));
        size_t i = to_boundary(x);
        for (; i + QUAD <= n; i += QUAD) {
            const Quad v = load_group<Quad>(x + i);
            lows = min(lows, v), highs = max(highs, v);
        }
        low = min(min(lows.a.a, lows.a.b), min(lows.b.a, lows.b.b));
        high = max(max(highs.a.a, highs.a.b), max(highs.b.a, highs.b.b));
""",
    """        low = min(first, last), high = max(first, last);
        size_t i = to_boundary(x);
        for (; i + QUAD <= n; i += QUAD) {
#pragma GCC unroll 4
            for (size_t j = 0; j < 4; ++j) {
                const F32 v = load(x + i + j * LANES);
                low = min(low, v), high = max(high, v);
            }
        }
""",
    ("softmax_f32", "c-avx2", "10000"),
)

# In pieces that lie two kilobytes apart: no prefetcher follows, and a pass uses few sets of each
# cache. It takes 2.6 times as long.
CACHE_HOSTILE = Change(
    "kernels_c/simd/relu.cpp",
    "    parallel_map_f32(x, out, n, ALONE, [](auto v) { return max(decltype(v)(zero()), v); });\n",
    """    const auto relu = [](auto v) { return max(decltype(v)(zero()), v); };
    constexpr size_t WIDTH = 4 * LANES, PIECES = 16;
    const size_t whole = n / WIDTH * WIDTH;
    for (size_t first = 0; first < PIECES * WIDTH; first += WIDTH) {
        const float *from = x + first;
        float *to = out + first;
        for (; from < x + whole; from += PIECES * WIDTH, to += PIECES * WIDTH)
            store_group(to, relu(load_group<Quad>(from)));
    }
    parallel_map_f32(x + whole, out + whole, n - whole, ALONE, relu);
""",
    ("relu_f32", "c-avx2", "1000000"),
)

# --- Nothing that a compiler or an interpreter would notice --------------------------------------

_SPACERS = 'extern "C" void spacer_one(void) {}\nextern "C" void spacer_two(void) {}\n\n'
RENAMED_SCALAR = Change(
    "kernels_c/portable/quantize.cpp",
    "        out[i] = static_cast<int8_t>(std::nearbyint(v));\n",
    "        const float whole = std::nearbyint(v);  // half to even\n"
    "        out[i] = static_cast<int8_t>(whole);\n",
    GROWN_SCALAR.case,
)
SPACED_SCALAR = Change(
    "kernels_c/portable/relu.cpp",
    "/* relu_f32",
    f"{_SPACERS}/* relu_f32",
    ("relu_f32", "c-scalar", "100"),
)
SPACED_AVX2 = Change(
    "kernels_c/simd/relu.cpp", "/* relu_f32", f"{_SPACERS}/* relu_f32", CACHE_HOSTILE.case
)
RENAMED_PYTHON = Change(
    "kernels_py/relu.py",
    """    out = [0.0] * len(x)
    for i in range(len(x)):
        if x[i] < 0.0:
            out[i] = 0.0
        else:
            out[i] = x[i]
    return out
""",
    """    # One element after the other.
    result = [0.0] * len(x)
    for index in range(len(x)):
        if x[index] < 0.0:
            result[index] = 0.0
        else:
            result[index] = x[index]
    return result
""",
    GROWN_PYTHON.case,
)

GROWN = (GROWN_SCALAR, GROWN_AVX2, GROWN_PYTHON)
SAME_COUNT = (LATENCY, CACHE_HOSTILE)
NEUTRAL = (RENAMED_SCALAR, SPACED_SCALAR, SPACED_AVX2, RENAMED_PYTHON)
