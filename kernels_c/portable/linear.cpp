// Linear layers, plain loops. "Packed" is the bias, then w as it is.
#include <cmath>

#include "kernels.h"

namespace {

/* GELU as gelu_tanh_f32 has it, of one element. */
inline float gelu(float x) {
    const float u = 0.7978845608028654f * (x + 0.044715f * x * x * x), factor = 1.0f + std::tanh(u);
    return factor == 0.0f ? -0.0f : 0.5f * x * factor;
}

}  // namespace

size_t packed_linear_f32(size_t n, size_t k) { return (k + 1) * n; }

void pack_linear_f32(const float *w, const float *bias, float *packed, size_t n, size_t k) {
    for (size_t j = 0; j < n; ++j) packed[j] = bias ? bias[j] : 0.0f;
    for (size_t i = 0; i < k * n; ++i) packed[n + i] = w[i];
}

/* linear_f32
 *   formula    out[m, n] = epilogue(x[m, k] w[k, n] + bias[n]): the sum, GELU(sum), or out[m, n] + sum
 *   shapes     x: m rows of k, x_row apart; out: [m, n]
 *   max error  2 k + 8 ULP of (|x| |w| + |bias| + |out|)
 *   NaN, inf   propagate as the sum of products does
 */
void linear_f32(const float *x, const float *packed, float *out, size_t m, size_t n, size_t k,
                size_t x_row, int epilogue) {
    if (n == 0) return;  // m and k may then be any number
    for (size_t i = 0; i < m; ++i, x += x_row, out += n) {
        const float *w = packed + n;
        for (size_t j = 0; j < n; ++j)
            out[j] = epilogue == EPILOGUE_ADD ? out[j] + packed[j] : packed[j];
        for (size_t p = 0; p < k; ++p, w += n)
            for (size_t j = 0; j < n; ++j) out[j] += x[p] * w[j];
        if (epilogue == EPILOGUE_GELU)
            for (size_t j = 0; j < n; ++j) out[j] = gelu(out[j]);
    }
}

/* Two rows of floats, scales and bias, before w. */
size_t packed_linear_i8(size_t n, size_t k) { return (k + 2 * sizeof(float)) * n; }

void pack_linear_i8(const int8_t *w, const float *scales, const float *bias, int8_t *packed,
                    size_t n, size_t k) {
    auto *const factors = reinterpret_cast<float *>(packed);
    int8_t *const to = packed + 2 * n * sizeof(float);
    for (size_t j = 0; j < n; ++j) factors[j] = scales[j], factors[n + j] = bias ? bias[j] : 0.0f;
    for (size_t i = 0; i < k * n; ++i) to[i] = w[i];
}

/* linear_i8_f32
 *   formula    out[m, n] = epilogue(x[m, k] w[k, n] * x_scales[m] * scales[n] + bias[n])
 *   shapes     x: m rows of k bytes, x_row apart; out: [m, n]
 *   max error  8 ULP of (|x w| x_scales scales + |bias| + |out|)
 *   NaN, inf   a row whose scale is NaN or infinite becomes NaN
 */
int linear_i8_f32(const int8_t *x, const float *x_scales, const int8_t *packed, float *out,
                  size_t m, size_t n, size_t k, size_t x_row, int epilogue) {
    constexpr size_t COLS = 64;
    const auto *const scales = reinterpret_cast<const float *>(packed);
    const int8_t *const w = packed + 2 * n * sizeof(float);
    if (n == 0) return 0;
    for (size_t i = 0; i < m; ++i, x += x_row, out += n)
        for (size_t first = 0; first < n; first += COLS) {
            int32_t sum[COLS] = {};
            const size_t cols = n - first < COLS ? n - first : COLS;
            for (size_t p = 0; p < k; ++p)
                for (size_t j = 0; j < cols; ++j) sum[j] += x[p] * w[p * n + first + j];
            for (size_t j = 0; j < cols; ++j) {
                float &o = out[first + j];
                const float v = static_cast<float>(sum[j]) * x_scales[i] * scales[first + j] +
                                scales[n + first + j];
                o = epilogue == EPILOGUE_ADD ? o + v : epilogue == EPILOGUE_GELU ? gelu(v) : v;
            }
        }
    return 0;
}

/* quantize_rows_f32_i8
 *   formula    scales[r] = max |x[r, c]| / 127, out[r, c] = round_half_even(x[r, c] * (127 / max |x[r, c]|))
 *   shapes     x, out: [rows, cols]; scales: [rows]
 *   max error  0 steps
 *   NaN, inf   a row that holds one has the scale NaN and zeros; a row of zeros has the scale 0
 */
void quantize_rows_f32_i8(const float *x, int8_t *out, float *scales, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; ++r) {
        const float *const row = x + r * cols;
        float largest = 0.0f, poison = 0.0f;
        for (size_t c = 0; c < cols; ++c) {
            const float magnitude = std::fabs(row[c]);
            largest = magnitude > largest ? magnitude : largest;
            poison += row[c] - row[c];  // NaN where one is NaN or infinite
        }
        const bool finite = poison == 0.0f;
        float scale = finite && largest > 0.0f ? 127.0f / largest : 0.0f;
        scale =
            scale < 3.4028235e38f ? scale : 3.4028235e38f;  // of subnormals it would be infinite
        scales[r] = finite ? largest / 127.0f : poison;
        for (size_t c = 0; c < cols; ++c) {
            float v = finite ? row[c] * scale : 0.0f;
            v = v > 127.0f ? 127.0f : v;
            v = v < -127.0f ? -127.0f : v;
            out[r * cols + c] = static_cast<int8_t>(std::nearbyint(v));
        }
    }
}
