// Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) in two passes: the mean, then the squares of
// what differs from it.
#include <cmath>

#include "kernels.h"

/* layernorm_f32
 *   formula    out[r, c] = (x[r, c] - mean_r) / sqrt(variance_r + epsilon) * gain[c] + bias[c]
 *   shapes     x, out: [rows, cols]; gain, bias: [cols]; out may be x
 *   max error  4 ULP of the terms
 *   NaN, inf   a row that holds one becomes NaN
 */
void layernorm_f32(const float *x, const float *gain, const float *bias, float *out, size_t rows,
                   size_t cols, float epsilon) {
    if (cols == 0) return;  // rows may then be any number
    for (size_t r = 0; r < rows; ++r, x += cols, out += cols) {
        double sum = 0.0, squares = 0.0;
        for (size_t c = 0; c < cols; ++c) sum += x[c];
        const double mean = sum / static_cast<double>(cols);
        for (size_t c = 0; c < cols; ++c) squares += (x[c] - mean) * (x[c] - mean);
        const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(cols) + epsilon);
        const auto center = static_cast<float>(mean), factor = static_cast<float>(inverse);
        for (size_t c = 0; c < cols; ++c) out[c] = (x[c] - center) * factor * gain[c] + bias[c];
    }
}

/* layernorm_columns_f32
 *   formula    out[r, c] = (x[r, c] - mean_c) / sqrt(variance_c + epsilon) * gain[r] + bias[r]
 *   shapes     x, out: [rows, cols]; gain, bias: [rows]; out may be x
 *   max error  4 ULP of the terms
 *   NaN, inf   a column that holds one becomes NaN
 */
void layernorm_columns_f32(const float *x, const float *gain, const float *bias, float *out,
                           size_t rows, size_t cols, float epsilon) {
    for (size_t c = 0; c < cols; ++c) {
        double sum = 0.0, squares = 0.0;
        for (size_t r = 0; r < rows; ++r) sum += x[r * cols + c];
        const double mean = sum / static_cast<double>(rows);
        for (size_t r = 0; r < rows; ++r) {
            const double off = x[r * cols + c] - mean;
            squares += off * off;
        }
        const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(rows) + epsilon);
        const auto center = static_cast<float>(mean), factor = static_cast<float>(inverse);
        for (size_t r = 0; r < rows; ++r) {
            const size_t i = r * cols + c;
            out[i] = (x[i] - center) * factor * gain[r] + bias[r];
        }
    }
}
