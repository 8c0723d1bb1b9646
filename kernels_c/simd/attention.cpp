// Causal attention with a cache (Vaswani and others, arXiv:1706.03762). Keys lie in columns, so that scores of
// neighbouring positions are the lanes of a register, and values in rows, as their sums are.
#include "direct.h"
#include "float_lane.h"
#include "kernels.h"
#include "parallel.h"
#include "softmax.h"

namespace {

using gemm::Float32Lane, gemm::Product, gemm::smaller;

void softmax_row(float *x, size_t n) {
    using namespace softmax;
    divide(x, n, exp_and_sum(x, x, n, scale_for(range_of(x, n))));
}

/* One head: what it reads and writes. */
struct Head {
    const float *qkv;  // [count, 3 width], from this head's first query on
    float *keys, *values, *scores, *out;
    size_t count, start, context, width, d;

    void remember() const {
        for (size_t i = 0; i < count; ++i) {
            const float *const key = qkv + i * 3 * width + width, *const value = key + width;
            for (size_t c = 0; c < d; ++c) keys[c * context + start + i] = key[c];
            memcpy(values + (start + i) * d, value, d * sizeof(float));
        }
    }

    /* Queries [first, first + rows), at most ATTENTION_ROWS. */
    void attend(size_t first, size_t rows) const {
        float *const to = out + first * width;
        const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(d));
        for (size_t i = 0; i < rows; ++i)  // out holds the scaled queries, until they are used
            for (size_t c = 0; c < d; ++c)
                to[i * width + c] = scale * qkv[(first + i) * 3 * width + c];
        const size_t longest = start + first + rows;
        product({to, width, keys, context, scores, context, rows, longest, d});
        for (size_t i = 0; i < rows; ++i) {
            const size_t length = start + first + i + 1;
            softmax_row(scores + i * context, length);
            for (size_t j = length; j < longest; ++j) scores[i * context + j] = 0.0f;
        }
        product({scores, context, values, d, to, width, rows, d, longest});
    }

    static void product(const Product<Float32Lane> &p) {
        gemm::direct(p, gemm::DIRECT_STEPS, p.n, 0);
    }
};

/* Multiply-adds from which a second thread pays: as gemm.h has it. */
constexpr size_t ALONE = size_t{52} * 52 * 52 * (LANES / 8);

}  // namespace

/* attention_f32
 *   formula    out[i] = sum over j <= start + i of softmax_j(q_i . k_j / sqrt(d)) v_j, d = width / heads
 *   shapes     qkv: [count, 3 width]; keys: [heads, d, context]; values: [heads, context, d];
 *              scores: [heads, ATTENTION_ROWS, context]; out: [count, width]; start + count <= context
 *   max error  16 ULP of the terms, for |q|, |k| <= 1 and d <= 32
 *   NaN, inf   a query or a key that holds one makes what attends to it NaN
 */
void attention_f32(const float *qkv, float *keys, float *values, float *scores, float *out,
                   size_t count, size_t start, size_t context, size_t width, size_t heads) {
    if (count == 0 || width == 0) return;
    const size_t d = width / heads;
    const int threads = threads_for(2 * count * (start + (count + 1) / 2) * width / ALONE);
    parallel_for(heads, threads, [=](size_t h) {
        const Head head{qkv + h * d,
                        keys + h * d * context,
                        values + h * d * context,
                        scores + h * ATTENTION_ROWS * context,
                        out + h * d,
                        count,
                        start,
                        context,
                        width,
                        d};
        head.remember();
        constexpr size_t ROWS = 2 * gemm::MR <= ATTENTION_ROWS ? 2 * gemm::MR : gemm::MR;
        for (size_t i = 0; i < count; i += ROWS) head.attend(i, smaller(ROWS, count - i));
    });
}
