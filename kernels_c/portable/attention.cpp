// Causal attention with a cache (Vaswani and others, arXiv:1706.03762), head by head and query by query.
#include <cmath>

#include "kernels.h"

/* attention_f32
 *   formula    out[i] = sum over j <= start + i of softmax_j(q_i . k_j / sqrt(d)) v_j, d = width / heads
 *   shapes     qkv: [count, 3 width]; keys, values: [heads, context, d];
 *              scores: [heads, context, ATTENTION_ROWS]; out: [count, width]; start + count <= context
 *   max error  16 ULP of the terms, for |q|, |k| <= 1 and d <= 32
 *   NaN, inf   a query or key that holds NaN makes what attends to it NaN, an infinite one may
 */
void attention_f32(const float *qkv, float *keys, float *values, float *scores, float *out,
                   size_t count, size_t start, size_t context, size_t width, size_t heads) {
    if (count == 0 || width == 0) return;
    const size_t d = width / heads;
    const float scale = 1.0f / std::sqrt(static_cast<float>(d));
    for (size_t h = 0; h < heads; ++h, keys += context * d, values += context * d) {
        for (size_t i = 0; i < count; ++i)
            for (size_t c = 0; c < d; ++c) {
                keys[(start + i) * d + c] = qkv[i * 3 * width + width + h * d + c];
                values[(start + i) * d + c] = qkv[i * 3 * width + 2 * width + h * d + c];
            }
        for (size_t i = 0; i < count; ++i) {
            const float *const query = qkv + i * 3 * width + h * d;
            const size_t length = start + i + 1;
            for (size_t j = 0; j < length; ++j) {
                scores[j] = 0.0f;
                for (size_t c = 0; c < d; ++c) scores[j] += query[c] * scale * keys[j * d + c];
            }
            softmax_f32(scores, scores, 1, length);
            float *const row = out + i * width + h * d;
            for (size_t c = 0; c < d; ++c) row[c] = 0.0f;
            for (size_t j = 0; j < length; ++j)
                for (size_t c = 0; c < d; ++c) row[c] += scores[j] * values[j * d + c];
        }
    }
}
