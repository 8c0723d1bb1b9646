// Softmax: vector maximum, then exponential and sum in one pass, then one multiplication each. Over
// portable/softmax.cpp this adds the vector exponential and never forms x - max: the exponent of the
// row's largest element is taken off as a power of two instead, which is exact.
#include "exp.h"
#include "kernels.h"
#include "parallel.h"

namespace {

/* How to make a row's exponentials fit: e^(x - offset) 2^-shift is at most 1.42. */
struct RowScale {
    __m256 offset;
    __m256 shift;
};

/* The largest element. NaN may be lost here: it returns in the sum. */
float row_max(const float *x, size_t n) {
    const float minus_inf = -__builtin_inff();
    __m256 m0 = splat(minus_inf), m1 = m0, m2 = m0, m3 = m0;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        m0 = _mm256_max_ps(m0, _mm256_loadu_ps(x + i));
        m1 = _mm256_max_ps(m1, _mm256_loadu_ps(x + i + LANES));
        m2 = _mm256_max_ps(m2, _mm256_loadu_ps(x + i + 2 * LANES));
        m3 = _mm256_max_ps(m3, _mm256_loadu_ps(x + i + 3 * LANES));
    }
    for (; i + LANES <= n; i += LANES) m0 = _mm256_max_ps(m0, _mm256_loadu_ps(x + i));
    alignas(32) float lanes[LANES];
    _mm256_store_ps(lanes, _mm256_max_ps(_mm256_max_ps(m0, m1), _mm256_max_ps(m2, m3)));
    float largest = minus_inf;
    for (size_t j = 0; j < LANES; ++j) largest = lanes[j] > largest ? lanes[j] : largest;
    for (; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
    return largest;
}

/* Below 512 no offset is needed. From there on x - max is exact where it matters: elements within a
   factor of two of max by Sterbenz' lemma, all others are at least 256 away and give 0. (Any bound
   from 210, twice the range of float32 exponentials, to 580, exp_scaled's 700 less its clamp, would
   do.) */
RowScale row_scale(float largest) {
    const bool far = !(largest > -512.0f && largest < 512.0f);
    const float shift = far ? 0.0f : __builtin_rintf(largest * LOG2E);
    return {splat(far ? largest : 0.0f), splat(shift)};
}

inline __m256 row_exp(__m256 v, RowScale s) {
    return exp_scaled(_mm256_sub_ps(v, s.offset), _mm256_setzero_ps(), s.shift);
}

inline __m256d widened_sum(__m256 v) {
    return _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(v)),
                         _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
}

/* out = row_exp(x); returns its sum. Four registers are added in float (two roundings), then in
   double, so the sum stays within 1 ULP of float32 however long the row is. */
double exp_and_sum(const float *x, float *out, size_t n, RowScale s) {
    __m256d sum = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const __m256 e0 = row_exp(_mm256_loadu_ps(x + i), s);
        const __m256 e1 = row_exp(_mm256_loadu_ps(x + i + LANES), s);
        const __m256 e2 = row_exp(_mm256_loadu_ps(x + i + 2 * LANES), s);
        const __m256 e3 = row_exp(_mm256_loadu_ps(x + i + 3 * LANES), s);
        _mm256_storeu_ps(out + i, e0);
        _mm256_storeu_ps(out + i + LANES, e1);
        _mm256_storeu_ps(out + i + 2 * LANES, e2);
        _mm256_storeu_ps(out + i + 3 * LANES, e3);
        sum = _mm256_add_pd(
            sum, widened_sum(_mm256_add_ps(_mm256_add_ps(e0, e1), _mm256_add_ps(e2, e3))));
    }
    for (; i + LANES <= n; i += LANES) {
        const __m256 e = row_exp(_mm256_loadu_ps(x + i), s);
        _mm256_storeu_ps(out + i, e);
        sum = _mm256_add_pd(sum, widened_sum(e));
    }
    if (i < n) {
        const __m256 e = row_exp(load_partial(x + i, n - i), s);
        store_partial(out + i, n - i, e);
        const __m256 counted = _mm256_and_ps(e, _mm256_castsi256_ps(first_lanes(n - i)));
        sum = _mm256_add_pd(sum, widened_sum(counted));
    }
    alignas(32) double lanes[4];
    _mm256_store_pd(lanes, sum);
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

void scale_row(float *out, size_t n, double sum) {
    const __m256 inverse = splat(static_cast<float>(1.0 / sum));
    map_f32(out, out, n, [inverse](__m256 v) { return _mm256_mul_ps(v, inverse); });
}

void softmax_row(const float *x, float *out, size_t n) {
    scale_row(out, n, exp_and_sum(x, out, n, row_scale(row_max(x, n))));
}

/* One long row on several threads. The parts are fixed, and their sums added in order, so the bits
   do not depend on which thread ran what. */
void softmax_long_row(const float *x, float *out, size_t n, int threads) {
    constexpr size_t PARTS = 64;
    float maxima[PARTS];
    double sums[PARTS];
    const size_t part = (n / PARTS + 63) / 64 * 64;  // n is at least PARALLEL_ELEMENTS
    const auto begin = [=](size_t p) { return p * part < n ? p * part : n; };
    const auto each = [&](auto body) {
        parallel_for(PARTS, threads, [&](size_t p) { body(p, begin(p), begin(p + 1) - begin(p)); });
    };
    // The last part also takes what rounding left over.
    const auto length = [=](size_t p, size_t first, size_t count) {
        return p + 1 == PARTS ? n - first : count;
    };
    each([&](size_t p, size_t first, size_t count) {
        maxima[p] = row_max(x + first, length(p, first, count));
    });
    const RowScale scale = row_scale(row_max(maxima, PARTS));
    each([&](size_t p, size_t first, size_t count) {
        sums[p] = exp_and_sum(x + first, out + first, length(p, first, count), scale);
    });
    double sum = 0.0;
    for (const double s : sums) sum += s;
    each([&](size_t p, size_t first, size_t count) {
        scale_row(out + first, length(p, first, count), sum);
    });
}

}  // namespace

/* softmax_f32
 *   formula    out[r, c] = exp(x[r, c]) / sum over c of exp(x[r, c])
 *   shapes     x, out: [rows, cols]
 *   max error  3 ULP of the true value
 *   NaN, inf   a row that holds NaN or +inf, or only -inf, becomes NaN; a single -inf gives 0
 */
void softmax_f32(const float *x, float *out, size_t rows, size_t cols) {
    if (cols == 0) return;  // rows may then be any number
    const int threads = rows * cols < PARALLEL_ELEMENTS ? 1 : available_threads();
    if (threads > 1 && rows < static_cast<size_t>(threads)) {
        for (size_t r = 0; r < rows; ++r)
            softmax_long_row(x + r * cols, out + r * cols, cols, threads);
        return;
    }
    const size_t rows_at_once = 1 + PARALLEL_ELEMENTS / 4 / cols;  // dear enough to hand out
    parallel_for((rows + rows_at_once - 1) / rows_at_once, threads, [=](size_t group) {
        const size_t first = group * rows_at_once;
        const size_t last = first + rows_at_once < rows ? first + rows_at_once : rows;
        for (size_t r = first; r < last; ++r) softmax_row(x + r * cols, out + r * cols, cols);
    });
}
