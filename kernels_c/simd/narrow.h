// Products with a narrow right-hand side: out[m, n] = a[m, k] b[k, n] for n up to 4, n = 1 being the
// product of a matrix and a vector. A tile would be empty in most of its 16 columns; here the lanes run
// along k instead, so that every row of a is read once, in order.
#pragma once

#include "vec.h"

namespace gemm {

constexpr size_t NARROW_COLS = 4;
/* Steps of k between two visits to out: bounds the transposed copy of b on the stack (8 KB). */
constexpr size_t NARROW_STEPS = 512;
/* Up to here a row of a is too short to be worth a register along k. */
constexpr size_t NARROW_SHORT = 8;

/* out[ROWS, COLS] (= or +=) a[ROWS, k] times the transpose of b[COLS, k]; rows of a, b and out are lda,
   ldb and ldo apart. CHAINS sums for each result, so that with few results there are still enough of
   them to cover the latency of an FMA. */
template <size_t ROWS, size_t COLS, size_t CHAINS>
inline void dot_products(const float *a, size_t lda, const float *b, size_t ldb, float *out,
                         size_t ldo, size_t k, bool accumulate) {
    F32 sum[CHAINS][ROWS][COLS];
#pragma GCC unroll 4
    for (size_t c = 0; c < CHAINS; ++c)
#pragma GCC unroll 4
        for (size_t i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
            for (size_t j = 0; j < COLS; ++j) sum[c][i][j] = zero();
    const auto step = [&](size_t c, size_t p, auto load_lanes) {
        F32 b_p[COLS];
#pragma GCC unroll 4
        for (size_t j = 0; j < COLS; ++j) b_p[j] = load_lanes(b + j * ldb + p);
#pragma GCC unroll 4
        for (size_t i = 0; i < ROWS; ++i) {
            const F32 a_p = load_lanes(a + i * lda + p);
#pragma GCC unroll 4
            for (size_t j = 0; j < COLS; ++j) sum[c][i][j] = fmadd(a_p, b_p[j], sum[c][i][j]);
        }
    };
    const auto whole = [](const float *at) { return load(at); };
    size_t p = 0;
    for (; p + CHAINS * LANES <= k; p += CHAINS * LANES)
#pragma GCC unroll 4
        for (size_t c = 0; c < CHAINS; ++c) step(c, p + c * LANES, whole);
    for (; p + LANES <= k; p += LANES) step(0, p, whole);
    if (p < k) step(0, p, [=](const float *at) { return load_partial(at, k - p); });
    for (size_t i = 0; i < ROWS; ++i)
        for (size_t j = 0; j < COLS; ++j) {
            F32 all = sum[0][i][j];
            for (size_t c = 1; c < CHAINS; ++c) all = add(all, sum[c][i][j]);
            const float result = sum_of_lanes(all);
            float &o = out[i * ldo + j];
            o = accumulate ? o + result : result;
        }
}

/* k up to 8: a register of four columns for each row of out. Four are stored where only n belong to
   the row; the next row's store puts that right, and the last row is stored in part. */
inline void narrow_and_short(const float *a, size_t lda, const float *b, size_t ldb, float *out,
                             size_t ldo, size_t m, size_t n, size_t k) {
    alignas(16) float rows_of_b[NARROW_SHORT][4] = {};
    for (size_t p = 0; p < k; ++p) memcpy(rows_of_b[p], b + p * ldb, n * sizeof(float));
    for (size_t i = 0; i < m; ++i) {
        __m128 sum = _mm_setzero_ps();
        for (size_t p = 0; p < k; ++p)
            sum = _mm_fmadd_ps(_mm_set1_ps(a[i * lda + p]), _mm_load_ps(rows_of_b[p]), sum);
        float *const row = out + i * ldo;
        alignas(16) float last[4];
        _mm_store_ps(last, sum);
        if (ldo == n && i + 4 <= m)  // four rows on there are at least four floats left
            _mm_storeu_ps(row, sum);
        else
            memcpy(row, last, n * sizeof(float));
    }
}

template <size_t COLS>
void narrow(const float *a, size_t lda, const float *b, size_t ldb, float *out, size_t ldo,
            size_t m, size_t k) {
    // Four columns and three rows are the most sums that fit beside their operands.
    constexpr size_t ROWS = COLS == 4 ? 3 : 4;
    float transposed[COLS * NARROW_STEPS];
    // A single contiguous column is used where it lies, whole.
    const bool in_place = COLS == 1 && ldb == 1;
    const size_t kc_max = in_place ? k : NARROW_STEPS;
    for (size_t pc = 0; pc < k; pc += kc_max) {
        const size_t kc = k - pc < kc_max ? k - pc : kc_max;
        if (!in_place)
            for (size_t p = 0; p < kc; ++p)
                for (size_t j = 0; j < COLS; ++j)
                    transposed[j * NARROW_STEPS + p] = b[(pc + p) * ldb + j];
        const float *b_rows = in_place ? b : transposed;
        size_t i = 0;
        for (; i + ROWS <= m; i += ROWS)
            dot_products<ROWS, COLS, COLS == 1 ? 2 : 1>(a + i * lda + pc, lda, b_rows, NARROW_STEPS,
                                                        out + i * ldo, ldo, kc, pc > 0);
        for (; i < m; ++i)
            dot_products<1, COLS, 4>(a + i * lda + pc, lda, b_rows, NARROW_STEPS, out + i * ldo,
                                     ldo, kc, pc > 0);
    }
}

/* ROWS rows of out = a[ROWS, K] b[K, n]. */
template <size_t K, size_t ROWS>
void outer_rows(const float *a, size_t lda, const float *b, size_t ldb, float *out, size_t ldo,
                size_t n) {
    F32 a_v[ROWS][K];
#pragma GCC unroll 4
    for (size_t i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
        for (size_t p = 0; p < K; ++p) a_v[i][p] = splat(a[i * lda + p]);
    const auto step = [&](size_t j, auto load_lanes, auto store_lanes) {
        F32 sum[ROWS];
#pragma GCC unroll 4
        for (size_t i = 0; i < ROWS; ++i) sum[i] = zero();
#pragma GCC unroll 4
        for (size_t p = 0; p < K; ++p) {
            const F32 b_v = load_lanes(b + p * ldb + j);
#pragma GCC unroll 4
            for (size_t i = 0; i < ROWS; ++i) sum[i] = fmadd(a_v[i][p], b_v, sum[i]);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < ROWS; ++i) store_lanes(out + i * ldo + j, sum[i]);
    };
    size_t j = 0;
#pragma GCC unroll 2
    for (; j + LANES <= n; j += LANES)
        step(j, [](const float *at) { return load(at); }, [](float *at, F32 v) { store(at, v); });
    if (j < n)
        step(
            j, [=](const float *at) { return load_partial(at, n - j); },
            [=](float *at, F32 v) { store_partial(at, n - j, v); });
}

/* K steps, one to four: moving out is nearly all there is to do, so it is done along whole rows, two at a time.
   Tiles took 1.6 times as long at 1024 x 1024 x 1. */
template <size_t K>
void outer(const float *a, size_t lda, const float *b, size_t ldb, float *out, size_t ldo, size_t m,
           size_t n) {
    size_t i = 0;
    for (; i + 2 <= m; i += 2) outer_rows<K, 2>(a + i * lda, lda, b, ldb, out + i * ldo, ldo, n);
    if (i < m) outer_rows<K, 1>(a + i * lda, lda, b, ldb, out + i * ldo, ldo, n);
}

}  // namespace gemm
