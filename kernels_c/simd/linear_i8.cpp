// int8 linear layers. Weights stay bytes, in the order in which one register of x after the other meets them: a
// quarter of the traffic of floats, which is what bounds a single row. x is widened once a call.
#include <string.h>

#include "linear.h"
#include "workspace.h"

#if defined(__AVX512VNNI__)
#include "int8_bytes.h"
#else
#include "int8_pairs.h"
#endif

namespace {

using namespace linear;
using gemm::Strip;

#if defined(__AVX512VNNI__)
/* Weights are what vpdpbusd takes; x is shifted to 0 ... 255, which the row before the panel takes off. */
struct Lane : gemm::Int8Lane {};
using Wide = uint8_t;  // what an element of x becomes
inline void widen_register(const int8_t *x, Wide *to) {
    _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(x), _mm512_set1_epi8(-128)));
}
constexpr size_t WIDENED = 64;
inline Wide widen_one(int8_t x) { return static_cast<Wide>(x ^ -128); }
#else
/* Two int16 of k in a lane; weights are widened as they are loaded, which runs beside the multiplications. */
struct Lane : gemm::Int8Lane {
    using Stored = int16_t;  // two bytes
    static Vec load_b(const Stored *p) {
        return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    }
};
using Wide = int16_t;
inline void widen_register(const int8_t *x, Wide *to) {
    _mm256_storeu_si256(
        reinterpret_cast<__m256i *>(to),
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(x))));
}
constexpr size_t WIDENED = 16;
inline Wide widen_one(int8_t x) { return x; }
#endif

/* A panel: scales[NR], bias[NR], where sums start [NR] where they do not at zero, then the weights. */
constexpr size_t K_STEP = Lane::K_STEP, ROW = NR * sizeof(float);
constexpr size_t HEAD = (2 + Lane::HEADER) * ROW;
inline size_t steps_of(size_t k) { return ceil_div(k, K_STEP); }
inline size_t panel_size(size_t k) { return HEAD + steps_of(k) * NR * K_STEP; }

const Lane::Stored *weights_of(const int8_t *panel) {
    return reinterpret_cast<const Lane::Stored *>(panel + HEAD);
}

/* count elements of x, and zeros up to the next whole step. */
void widen(const int8_t *x, size_t count, Wide *to) {
    size_t i = 0;
    for (; i + WIDENED <= count; i += WIDENED) widen_register(x + i, to + i);
    for (; i < count; ++i) to[i] = widen_one(x[i]);
    for (; i % K_STEP != 0; ++i) to[i] = widen_one(0);
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

/* One row: see linear.cpp. */
void one_row(const int32_t *x, const int8_t *panel, size_t steps, int32_t *sums) {
    constexpr size_t STEPS = 4;
    const auto *w = weights_of(panel);
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

}  // namespace

size_t packed_linear_i8(size_t n, size_t k) { return ceil_div(n, NR) * panel_size(k); }

void pack_linear_i8(const int8_t *w, const float *scales, const float *bias, int8_t *packed,
                    size_t n, size_t k) {
    memset(packed, 0, packed_linear_i8(n, k));
    for (size_t j = 0; j < n; j += NR, packed += panel_size(k)) {
        auto *const factors = reinterpret_cast<float *>(packed);
        for (size_t v = 0; v < NR && j + v < n; ++v) {
            factors[v] = scales[j + v];
            if (bias != nullptr) factors[NR + v] = bias[j + v];
            int32_t sum = 0;
            for (size_t p = 0; p < k; ++p) {
                const int8_t weight = w[p * n + j + v];
                packed[HEAD + p / K_STEP * NR * K_STEP + v * K_STEP + p % K_STEP] = weight;
                sum += weight;
            }
            if (Lane::HEADER) reinterpret_cast<int32_t *>(factors)[2 * NR + v] = -128 * sum;
        }
    }
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
    static thread_local Workspace workspace;
    // All rows at once where each starts with a step: of rows that overlap nothing is widened twice.
    const bool flat = x_row % K_STEP == 0 && x_row <= k + K_STEP;
    const size_t steps = steps_of(k), count = flat ? (m - 1) * x_row + k : k;
    const size_t apart = flat ? x_row / K_STEP : steps;  // rows, in steps
    const size_t wide = ((m - 1) * apart + larger(steps, 1)) * K_STEP;
    auto *const rows_of_x = static_cast<Wide *>(workspace.reserve(wide * sizeof(Wide)));
    if (rows_of_x == nullptr) return 1;
    for (size_t i = 0; i < (flat ? 1 : m); ++i)
        widen(x + i * x_row, count, rows_of_x + i * steps * K_STEP);
    const auto *const a = reinterpret_cast<const int32_t *>(rows_of_x);

    each_strip(m, n, k, ALONE * (1 + K_STEP) / 2, [=](size_t begin, size_t end) {
        alignas(64) int32_t sums[MR * NR];
        Strip<Lane> s;
        s.steps = steps, s.a_row = apart, s.a_step = 1, s.b_step = NR, s.b_tile = 0;
        s.out = sums, s.out_row = NR, s.tiles = 1, s.accumulate = false, s.panel = nullptr;
        for (size_t panel = begin; panel < end; ++panel) {
            const int8_t *const w = packed + panel * panel_size(k);
            const size_t j = panel * NR, cols = smaller(NR, n - j);
            s.b = weights_of(w);
            for (size_t i = 0, rows; i < m; i += rows) {
                rows = next_rows(m - i);
                s.a = a + i * apart;
                rows == 1 ? one_row(s.a, w, steps, sums) : gemm::run<Lane, 2>(rows, s);
                float *const to = out + i * n + j;
                finish(sums, x_scales + i, w, to, n, rows, cols, epilogue);
                if (m > 1 && epilogue == EPILOGUE_GELU) gelu_rows(to, n, rows, cols);
            }
        }
        if (m == 1 && epilogue == EPILOGUE_GELU)
            gelu_row(out + begin * NR, smaller(n, end * NR) - begin * NR);
    });
    return 0;
}
