// Softmax as the textbook writes it: largest element, exponentials and their sum, division.
#include <cmath>

#include "kernels.h"

/* softmax_f32
 *   formula    out[r, c] = exp(x[r, c] - max_r) / sum over c of exp(x[r, c] - max_r)
 *   shapes     x, out: [rows, cols]
 *   max error  70 ULP of the true value. Up to 64 of them come from rounding x - max when the two
 *              are 64 to 104 apart: half a unit in the last place of 100 is 2^-18.
 *   NaN, inf   a row that holds NaN or +inf, or only -inf, becomes NaN; a single -inf gives 0
 */
void softmax_f32(const float *x, float *out, size_t rows, size_t cols) {
    if (cols == 0) return;  // rows may then be any number
    for (size_t r = 0; r < rows; ++r, x += cols, out += cols) {
        float largest = x[0];
        for (size_t c = 1; c < cols; ++c) largest = x[c] > largest ? x[c] : largest;
        double sum = 0.0;  // a float sum stops growing near 2^24 terms
        for (size_t c = 0; c < cols; ++c) {
            out[c] = std::exp(x[c] - largest);
            sum += out[c];
        }
        const float total = static_cast<float>(sum);
        for (size_t c = 0; c < cols; ++c) out[c] /= total;
    }
}
