// int8 linear layers. Weights stay bytes, in the order in which one register of x after the other meets them: a
// quarter of the traffic of floats, which is what bounds a single row. x is widened once a call.
#include <string.h>

#include <type_traits>

#include "linear.h"
#include "workspace.h"

#if defined(__AVX512VNNI__)
#include "int8_bytes.h"
#else
#include "int8_pairs.h"
#endif

namespace {

using namespace linear;

#if defined(__AVX512VNNI__)
/* Weights are what vpdpbusd takes; x is shifted to 0 ... 255, which the row before the panel takes off. */
struct TileLane : gemm::Int8Lane {
    using Wide = uint8_t;  // what an element of x becomes
    static constexpr size_t WIDENED = 64;
    static void widen(const int8_t *x, Wide *to) {
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(x), _mm512_set1_epi8(-128)));
    }
    static Wide widen(int8_t x) { return static_cast<Wide>(x ^ -128); }
};
using RowLane = TileLane;
#else
/* Two int16 of k in a lane; weights are widened as they are loaded, which runs beside the multiplications. */
struct TileLane : gemm::Int8Lane {
    using Stored = int16_t;  // two bytes
    static Vec load_b(const Stored *p) {
        return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    }
    using Wide = int16_t;
    static constexpr size_t WIDENED = 16;
    static void widen(const int8_t *x, Wide *to) {
        _mm256_storeu_si256(
            reinterpret_cast<__m256i *>(to),
            _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(x))));
    }
    static Wide widen(int8_t x) { return x; }
};
/* Of one row the loads are what takes the time, so bytes are multiplied as they are: |x| times w with the sign of x.
   Two products are at most 2 * 128 * 127, so vpmaddubsw, which saturates at 2^15 - 1, is exact. */
struct RowLane {
    using Stored = int32_t;  // four bytes
    static constexpr size_t K_STEP = 4;
    static constexpr bool HEADER = false;
    static I32 load_b(const Stored *p) { return load(p); }
    static I32 multiply_add(I32 x, I32 w, I32 sum) {
        const I32 pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
        return add(sum, madd_i16(pairs, _mm256_set1_epi16(1)));
    }
    using Wide = int8_t;
    static constexpr size_t WIDENED = 32;
    static void widen(const int8_t *x, Wide *to) { memcpy(to, x, WIDENED); }
    static Wide widen(int8_t x) { return x; }
};
#endif

constexpr size_t ROW = NR * sizeof(float);

/* Panels for a lane: scales[NR], bias[NR], where sums start [NR] where they do not at zero, then the weights. */
template <class Lane>
struct Panels {
    static constexpr size_t HEAD = (2 + Lane::HEADER) * ROW;

    static size_t steps(size_t k) { return ceil_div(k, Lane::K_STEP); }
    static size_t size(size_t k) { return HEAD + steps(k) * NR * Lane::K_STEP; }
    static const typename Lane::Stored *weights(const int8_t *panel) {
        return reinterpret_cast<const typename Lane::Stored *>(panel + HEAD);
    }

    static void pack(const int8_t *w, const float *scales, const float *bias, int8_t *packed,
                     size_t n, size_t k) {
        constexpr size_t STEP = Lane::K_STEP;
        for (size_t j = 0; j < n; j += NR, packed += size(k)) {
            auto *const factors = reinterpret_cast<float *>(packed);
            for (size_t v = 0; v < NR && j + v < n; ++v) {
                factors[v] = scales[j + v];
                if (bias != nullptr) factors[NR + v] = bias[j + v];
                int32_t sum = 0;
                for (size_t p = 0; p < k; ++p) {
                    const int8_t weight = w[p * n + j + v];
                    packed[HEAD + (p / STEP * NR + v) * STEP + p % STEP] = weight;
                    sum += weight;
                }
                if (Lane::HEADER) reinterpret_cast<int32_t *>(factors)[2 * NR + v] = -128 * sum;
            }
        }
    }
};

/* Where the panels for one row start: behind the others, but where both are the same. */
size_t rows_start(size_t n, size_t k) {
    return std::is_same_v<RowLane, TileLane> ? 0 : ceil_div(n, NR) * Panels<TileLane>::size(k);
}

/* count elements of x, and zeros up to the next whole step. */
template <class Lane>
void widen(const int8_t *x, size_t count, typename Lane::Wide *to) {
    size_t i = 0;
    for (; i + Lane::WIDENED <= count; i += Lane::WIDENED) Lane::widen(x + i, to + i);
    for (; i < count; ++i) to[i] = Lane::widen(x[i]);
    for (; i % Lane::K_STEP != 0; ++i) to[i] = Lane::widen(int8_t{0});
}

/* Sums of a tile, to what they stand for. */
void finish(const int32_t *sums, const float *x_scales, const int8_t *panel, float *out, size_t n,
            size_t rows, size_t cols, int epilogue) {
    const auto *const scales = reinterpret_cast<const float *>(panel), *const bias = scales + NR;
    for (size_t v = 0; v * LANES < cols; ++v) {
        const size_t first = v * LANES, count = smaller(LANES, cols - first);
        const F32 scale = load(scales + first), start = load(bias + first);
        for (size_t i = 0; i < rows; ++i) {
            const F32 sum =
                from_i32_bits(load(reinterpret_cast<const float *>(sums + i * NR + first)));
            float *const to = out + i * n + first;
            const bool whole = count == LANES;
            F32 value = fmadd(mul(sum, splat(x_scales[i])), scale, start);
            if (epilogue == EPILOGUE_ADD)
                value = add(value, whole ? load(to) : load_partial(to, count));
            whole ? store(to, value) : store_partial(to, count, value);
        }
    }
}

/* One row: see linear.cpp. Software prefetch, 1 to 4 KB ahead, gained nothing. */
template <class Lane>
void sums_of_row(const int32_t *x, const int8_t *panel, size_t steps, int32_t *sums) {
    constexpr size_t STEPS = 4;
    const auto *w = Panels<Lane>::weights(panel);
    I32 sum[STEPS][2] = {};
    if (Lane::HEADER)
        for (size_t v = 0; v < 2; ++v)
            sum[0][v] = load(reinterpret_cast<const int32_t *>(panel + 2 * ROW) + v * LANES);
    size_t p = 0;
    for (; p + STEPS <= steps; p += STEPS, w += STEPS * NR)
#pragma GCC unroll 4
        for (size_t s = 0; s < STEPS; ++s) {
            const I32 x_p = splat_i32(x[p + s]);
            sum[s][0] = Lane::multiply_add(x_p, Lane::load_b(w + s * NR), sum[s][0]);
            sum[s][1] = Lane::multiply_add(x_p, Lane::load_b(w + s * NR + LANES), sum[s][1]);
        }
    for (; p < steps; ++p, w += NR)
        for (size_t v = 0; v < 2; ++v)
            sum[0][v] = Lane::multiply_add(splat_i32(x[p]), Lane::load_b(w + v * LANES), sum[0][v]);
    for (size_t v = 0; v < 2; ++v)
        store(sums + v * LANES, add(add(sum[0][v], sum[1][v]), add(sum[2][v], sum[3][v])));
}

/* Memory for `count` elements of x as a lane has them; nullptr where there is none. */
template <class Lane>
typename Lane::Wide *reserve(size_t count) {
    static thread_local Workspace workspace;
    return static_cast<typename Lane::Wide *>(
        workspace.reserve(larger(count, 1) * sizeof(typename Lane::Wide)));
}

constexpr size_t ALONE_I8 = ALONE * (1 + TileLane::K_STEP) / 2;

int one_row(const int8_t *x, const float *x_scales, const int8_t *packed, float *out, size_t n,
            size_t k, int epilogue) {
    using P = Panels<RowLane>;
    auto *const wide = reserve<RowLane>(P::steps(k) * RowLane::K_STEP);
    if (wide == nullptr) return 1;
    widen<RowLane>(x, k, wide);
    const auto *const a = reinterpret_cast<const int32_t *>(wide);
    each_strip(1, n, k, ALONE_I8, [=](size_t begin, size_t end) {
        alignas(64) int32_t sums[NR];
        for (size_t panel = begin; panel < end; ++panel) {
            const int8_t *const w = packed + panel * P::size(k);
            const size_t j = panel * NR;
            sums_of_row<RowLane>(a, w, P::steps(k), sums);
            finish(sums, x_scales, w, out + j, n, 1, smaller(NR, n - j), epilogue);
        }
        if (epilogue == EPILOGUE_GELU)
            gelu_row(out + begin * NR, smaller(n, end * NR) - begin * NR);
    });
    return 0;
}

}  // namespace

size_t packed_linear_i8(size_t n, size_t k) {
    return rows_start(n, k) + ceil_div(n, NR) * Panels<RowLane>::size(k);
}

void pack_linear_i8(const int8_t *w, const float *scales, const float *bias, int8_t *packed,
                    size_t n, size_t k) {
    memset(packed, 0, packed_linear_i8(n, k));
    Panels<TileLane>::pack(w, scales, bias, packed, n, k);
    if (rows_start(n, k) > 0)
        Panels<RowLane>::pack(w, scales, bias, packed + rows_start(n, k), n, k);
}

/* linear_i8_f32
 *   formula    out[m, n] = epilogue(x[m, k] w[k, n] * x_scales[m] * scales[n] + bias[n])
 *   shapes     x: m rows of k bytes, x_row apart; out: [m, n]
 *   max error  8 ULP of (|x w| x_scales scales + |bias| + |out|)
 *   NaN, inf   a row whose scale is NaN or infinite becomes NaN
 */
int linear_i8_f32(const int8_t *x, const float *x_scales, const int8_t *packed, float *out,
                  size_t m, size_t n, size_t k, size_t x_row, int epilogue) {
    if (m == 0 || n == 0) return 0;
    if (m == 1) return one_row(x, x_scales, packed + rows_start(n, k), out, n, k, epilogue);
    using P = Panels<TileLane>;
    constexpr size_t STEP = TileLane::K_STEP;
    // All rows at once where each starts with a step: of rows that overlap nothing is widened twice.
    const bool flat = x_row % STEP == 0 && x_row <= k + STEP;
    const size_t steps = P::steps(k), count = flat ? (m - 1) * x_row + k : k;
    const size_t apart = flat ? x_row / STEP : steps;  // rows, in steps
    auto *const wide = reserve<TileLane>(((m - 1) * apart + steps) * STEP);
    if (wide == nullptr) return 1;
    for (size_t i = 0; i < (flat ? 1 : m); ++i)
        widen<TileLane>(x + i * x_row, count, wide + i * steps * STEP);
    const auto *const a = reinterpret_cast<const int32_t *>(wide);

    each_strip(m, n, k, ALONE_I8, [=](size_t begin, size_t end) {
        alignas(64) int32_t sums[MR * NR];
        for (size_t panel = begin; panel < end; ++panel) {
            const int8_t *const w = packed + panel * P::size(k);
            const size_t j = panel * NR, cols = smaller(NR, n - j);
            for (size_t i = 0, rows; i < m; i += rows) {
                rows = next_rows(m - i);
                gemm::run<TileLane, 2>(rows, {steps, a + i * apart, apart, 1, P::weights(w), NR, 0,
                                              sums, NR, 1, false, nullptr});
                float *const to = out + i * n + j;
                finish(sums, x_scales + i, w, to, n, rows, cols, epilogue);
                if (epilogue == EPILOGUE_GELU) gelu_rows(to, n, rows, cols);
            }
        }
    });
    return 0;
}
