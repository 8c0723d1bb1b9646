// Rows of a table: what stands for a token, and for its position.
#include <string.h>

#include "kernels.h"

/* embedding_f32
 *   formula    out[i] = table[tokens[i]] + positions[start + i]; without the second where positions is NULL
 *   shapes     tokens: [count]; table: [?, width]; positions: [start + count, width]; out: [count, width]
 *   max error  1 ULP
 *   NaN, inf   as the sum does
 */
void embedding_f32(const int32_t *tokens, const float *table, const float *positions, float *out,
                   size_t count, size_t start, size_t width) {
    for (size_t i = 0; i < count; ++i, out += width) {
        const float *const row = table + static_cast<size_t>(tokens[i]) * width;
        if (positions == nullptr) {
            memcpy(out, row, width * sizeof(float));
            continue;
        }
        const float *const position = positions + (start + i) * width;
        for (size_t c = 0; c < width; ++c) out[c] = row[c] + position[c];
    }
}
