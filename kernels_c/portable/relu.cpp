// ReLU, the plain loop.
#include "kernels.h"

/* relu_f32
 *   formula    out[i] = max(x[i], 0)
 *   max error  0 ULP
 *   NaN, inf   NaN and -0.0 pass unchanged, -inf gives 0
 */
void relu_f32(const float *x, float *out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = x[i] < 0.0f ? 0.0f : x[i];
}
