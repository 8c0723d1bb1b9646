// Float to int8 and back, symmetric (no zero point), 32 elements at a time.
#include "kernels.h"
#include "parallel.h"
#include "vec.h"

namespace {

/* Eight products, NaN made 0, clipped before converting (int32 would overflow first); vcvtps2dq
   rounds half to even. */
inline __m256i quantize_lanes(__m256 x, __m256 scale) {
    const __m256 v = _mm256_mul_ps(x, scale);
    const __m256 number = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
    const __m256 clipped = _mm256_max_ps(splat(-127.0f), _mm256_min_ps(splat(127.0f), number));
    return _mm256_cvtps_epi32(clipped);
}

void quantize_range(const float *x, int8_t *out, size_t n, __m256 scale) {
    // The packs interleave the 128-bit halves; this puts the groups of four back in order.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const __m256i q0 = quantize_lanes(_mm256_loadu_ps(x + i), scale);
        const __m256i q1 = quantize_lanes(_mm256_loadu_ps(x + i + LANES), scale);
        const __m256i q2 = quantize_lanes(_mm256_loadu_ps(x + i + 2 * LANES), scale);
        const __m256i q3 = quantize_lanes(_mm256_loadu_ps(x + i + 3 * LANES), scale);
        const __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(q0, q1), _mm256_packs_epi32(q2, q3));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + i),
                            _mm256_permutevar8x32_epi32(bytes, order));
    }
    for (; i < n; i += LANES) {
        const size_t count = n - i < LANES ? n - i : LANES;
        const __m256 v = count < LANES ? load_partial(x + i, count) : _mm256_loadu_ps(x + i);
        alignas(32) int32_t lanes[LANES];
        _mm256_store_si256(reinterpret_cast<__m256i *>(lanes), quantize_lanes(v, scale));
        for (size_t j = 0; j < count; ++j) out[i + j] = static_cast<int8_t>(lanes[j]);
    }
}

void dequantize_range(const int32_t *x, float *out, size_t n, __m256 scale) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(x + i));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_cvtepi32_ps(v), scale));
    }
    if (i < n) {
        const __m256i v = _mm256_maskload_epi32(x + i, first_lanes(n - i));
        store_partial(out + i, n - i, _mm256_mul_ps(_mm256_cvtepi32_ps(v), scale));
    }
}

}  // namespace

/* quantize_f32_i8
 *   formula    out[i] = clip(round_half_even(x[i] * scale), -127, 127), the product in float32
 *   max error  0 steps
 *   NaN, inf   a product that is NaN gives 0, +-inf gives +-127
 */
void quantize_f32_i8(const float *x, int8_t *out, size_t n, float scale) {
    parallel_ranges(n, [=](size_t begin, size_t end) {
        quantize_range(x + begin, out + begin, end - begin, splat(scale));
    });
}

/* dequantize_i32_f32
 *   formula    out[i] = float(x[i]) * scale
 *   max error  2 ULP (one rounding to float, one of the product)
 */
void dequantize_i32_f32(const int32_t *x, float *out, size_t n, float scale) {
    parallel_ranges(n, [=](size_t begin, size_t end) {
        dequantize_range(x + begin, out + begin, end - begin, splat(scale));
    });
}
