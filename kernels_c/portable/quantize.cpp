// Float to int8 and back, symmetric (no zero point): the plain loops.
#include <cmath>

#include "kernels.h"

/* quantize_f32_i8
 *   formula    out[i] = clip(round_half_even(x[i] * scale), -127, 127), the product in float32
 *   max error  0 steps
 *   NaN, inf   a product that is NaN gives 0, +-inf gives +-127
 */
void quantize_f32_i8(const float *x, int8_t *out, size_t n, float scale) {
    for (size_t i = 0; i < n; ++i) {
        float v = x[i] * scale;
        v = v == v ? v : 0.0f;
        v = v > 127.0f ? 127.0f : v;  // before converting: int32 overflows first
        v = v < -127.0f ? -127.0f : v;
        out[i] = static_cast<int8_t>(std::nearbyint(v));
    }
}

/* dequantize_i32_f32
 *   formula    out[i] = float(x[i]) * scale
 *   max error  2 ULP (one rounding to float, one of the product)
 */
void dequantize_i32_f32(const int32_t *x, float *out, size_t n, float scale) {
    for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(x[i]) * scale;
}
