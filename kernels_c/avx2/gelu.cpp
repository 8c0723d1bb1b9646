// GELU, both forms, rewritten so that nothing cancels: relative accuracy also where the result is
// tiny. Over portable/gelu.cpp this adds vector exponentials in place of libm's tanh and erf.
#include "exp.h"
#include "kernels.h"
#include "parallel.h"

namespace {

/* x / (1 + E) for x >= 0 and x E / (1 + E) below, E = e^(-2|u|), 2|u| = -|x| (C0 + C1 x^2): the
   same function as x/2 (1 + tanh u) without its cancellation, and E never overflows. An error of
   2|u| (up to 100) is a relative error of the result, so the argument is carried in two floats, each
   rounding error recovered by an fma. */
inline __m256 gelu_tanh(__m256 x) {
    // Beyond -11 the result is 0, beyond 11 it is x: the clamp keeps infinity out of the products.
    // min_ps and max_ps return their second operand when either is NaN.
    const __m256 v = _mm256_min_ps(splat(11.0f), _mm256_max_ps(splat(-11.0f), x));
    const __m256 abs_v = _mm256_andnot_ps(splat(-0.0f), v);
    const __m256 v2 = _mm256_mul_ps(v, v);
    const __m256 v2_lo = _mm256_fmsub_ps(v, v, v2);
    const __m256 c0 = splat(GELU_C0_HI), c1 = splat(GELU_C1_HI);
    const __m256 h = _mm256_fmadd_ps(c1, v2, c0);
    __m256 h_lo = _mm256_fmadd_ps(c1, v2, _mm256_sub_ps(c0, h));  // the difference is exact
    h_lo = _mm256_add_ps(h_lo, _mm256_fmadd_ps(splat(GELU_C1_LO), v2, splat(GELU_C0_LO)));
    h_lo = _mm256_fmadd_ps(c1, v2_lo, h_lo);
    const __m256 y = _mm256_mul_ps(abs_v, h);
    const __m256 y_lo = _mm256_fmadd_ps(abs_v, h_lo, _mm256_fmsub_ps(abs_v, h, y));

    // E is kept times 2^64 until the end: as a subnormal it would lose digits.
    const __m256 one = splat(1.0f), unscale = splat(0x1p-64f);
    const __m256 e_scaled = exp_scaled(y, y_lo, splat(-64.0f));
    const __m256 denominator = _mm256_fmadd_ps(e_scaled, unscale, one);
    // blendv picks by the sign bit of x.
    const __m256 numerator = _mm256_blendv_ps(x, _mm256_mul_ps(v, e_scaled), x);
    return _mm256_mul_ps(_mm256_div_ps(numerator, denominator), _mm256_blendv_ps(one, unscale, x));
}

/* max(x, 0) - |x| Q(|x|), Q(t) = erfc(t / sqrt 2) / 2 = e^(-t^2/2) R(t), and
   t R(t) = s p(w) with s = t / (t + A), w = s - S0 and p from coefficients.h.
   For x < 0 this is one product, for x > 0 the product is the smaller term: nothing cancels. */
inline __m256 gelu_erf(__m256 x) {
    const __m256 zero = _mm256_setzero_ps();
    const __m256 abs_x = _mm256_andnot_ps(splat(-0.0f), x);
    const __m256 t = _mm256_min_ps(splat(14.5f), abs_x);  // NaN passes as the second operand
    const __m256 t2 = _mm256_mul_ps(t, t);
    const __m256 t2_lo = _mm256_fmsub_ps(t, t, t2);
    const __m256 minus_half = splat(-0.5f);
    // 2^64 until the last product: no factor of the result becomes subnormal on the way.
    const __m256 e =
        exp_scaled(_mm256_mul_ps(minus_half, t2), _mm256_mul_ps(minus_half, t2_lo), splat(-64.0f));
    const __m256 s = _mm256_div_ps(t, _mm256_add_ps(t, splat(ERFC_A)));
    const __m256 w = _mm256_sub_ps(s, splat(ERFC_S0));
    __m256 p = splat(ERFC_P[10]);
    for (int i = 9; i >= 0; --i) p = _mm256_fmadd_ps(p, w, splat(ERFC_P[i]));
    return _mm256_fnmadd_ps(_mm256_mul_ps(s, e), _mm256_mul_ps(p, splat(0x1p-64f)),
                            _mm256_max_ps(zero, x));
}

}  // namespace

/* gelu_tanh_f32
 *   formula    out[i] = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
 *   max error  4 ULP of the true value
 *   NaN, inf   NaN passes, +inf gives +inf, -inf gives 0
 */
void gelu_tanh_f32(const float *x, float *out, size_t n) {
    parallel_ranges(n, [=](size_t begin, size_t end) {
        map_f32(x + begin, out + begin, end - begin, gelu_tanh);
    });
}

/* gelu_erf_f32
 *   formula    out[i] = x/2 * (1 + erf(x / sqrt(2)))
 *   max error  4 ULP of the true value
 *   NaN, inf   NaN passes, +inf gives +inf, -inf gives 0
 */
void gelu_erf_f32(const float *x, float *out, size_t n) {
    parallel_ranges(n, [=](size_t begin, size_t end) {
        map_f32(x + begin, out + begin, end - begin, gelu_erf);
    });
}
