// GELU, both forms, as Hendrycks and Gimpel (arXiv:1606.08415) write them, with libm's tanh and erf.
// In the fastmath tier those become vector functions, and tails go through the scalar ones: there, alone
// of all tiers, the bits of an element depend on the length (the error bound does not).
#include <cmath>

#include "kernels.h"

namespace {

/* x/2 * (1 + y). The factor is exactly 0 far below zero; there the product is -0, also at -inf,
   where infinity times zero would be NaN. */
inline float half_x_times_one_plus(float x, float y) {
    const float factor = 1.0f + y;
    return factor == 0.0f ? -0.0f : 0.5f * x * factor;
}

}  // namespace

/* gelu_tanh_f32
 *   formula    out[i] = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
 *   max error  4 ULP of the input. Not of the result: 1 + tanh cancels below zero, where every
 *              digit may be lost (this is also how PyTorch computes it).
 *   NaN, inf   NaN passes, +inf gives +inf, -inf gives 0
 */
void gelu_tanh_f32(const float *x, float *out, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const float u = 0.7978845608028654f * (x[i] + 0.044715f * x[i] * x[i] * x[i]);
        out[i] = half_x_times_one_plus(x[i], std::tanh(u));
    }
}

/* gelu_erf_f32
 *   formula    out[i] = x/2 * (1 + erf(x / sqrt(2)))
 *   max error  4 ULP of the input, for the same reason
 *   NaN, inf   NaN passes, +inf gives +inf, -inf gives 0
 */
void gelu_erf_f32(const float *x, float *out, size_t n) {
    for (size_t i = 0; i < n; ++i)
        out[i] = half_x_times_one_plus(x[i], std::erf(x[i] * 0.7071067811865476f));
}
