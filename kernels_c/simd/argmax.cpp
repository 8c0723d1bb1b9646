// The largest element: which token is the likeliest, and the strongest activation of a feature.
#include <cmath>

#include "kernels.h"

/* argmax_f32
 *   formula    the index of the largest element, the first of equals; 0 where n is 0
 *   max error  0 steps
 *   NaN, inf   the first NaN counts as the largest
 */
size_t argmax_f32(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 0; i < n; ++i) {
        if (x[i] != x[i]) return i;
        if (x[i] > x[best]) best = i;
    }
    return best;
}

/* gelu_max_f32
 *   formula    out[c] = max over r of GELU(x[r, c]), the tanh form
 *   shapes     x: [rows, cols]; out: [cols]; rows > 0
 *   max error  4 ULP of the input
 *   NaN, inf   a column that holds NaN becomes NaN
 */
void gelu_max_f32(const float *x, float *out, size_t rows, size_t cols) {
    for (size_t c = 0; c < cols; ++c) {
        float largest = -1.0f;  // less than any GELU
        for (size_t r = 0; r < rows; ++r) {
            float v;
            gelu_tanh_f32(x + r * cols + c, &v, 1);
            largest = v > largest || v != v || largest != largest
                          ? (largest != largest ? largest : v)
                          : largest;
        }
        out[c] = largest;
    }
}
