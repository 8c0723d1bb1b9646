// A decoder of GPT-2's kind, one token or many in one call: the chain of kernels, the same in every tier.
#include "kernels.h"

namespace {

/* The one linear layer of both precisions. */
int linear(const gpt_model &g, const float *x, const void *packed, float *out, size_t m, size_t n,
           size_t k, int epilogue) {
    if (!g.quantized) {
        linear_f32(x, static_cast<const float *>(packed), out, m, n, k, k, epilogue);
        return 0;
    }
    quantize_rows_f32_i8(x, g.bytes, g.scales, m, k);
    return linear_i8_f32(g.bytes, g.scales, static_cast<const int8_t *>(packed), out, m, n, k, k,
                         epilogue);
}

}  // namespace

int gpt_step(const gpt_model *model, const int32_t *tokens, size_t count, size_t start, int all,
             float *logits) {
    const gpt_model &g = *model;
    if (count == 0) return 0;
    int failed = 0;
    const size_t width = g.width;
    embedding_f32(tokens, g.tokens, g.positions, g.x, count, start, width);
    for (size_t i = 0; i < g.layers; ++i) {
        const gpt_layer &layer = g.layer[i];
        layernorm_f32(g.x, layer.gain_1, layer.bias_1, g.normal, count, width, g.epsilon);
        failed |= linear(g, g.normal, layer.qkv, g.wide, count, 3 * width, width, EPILOGUE_NONE);
        attention_f32(g.wide, layer.keys, layer.values, g.scores, g.normal, count, start, g.context,
                      width, g.heads);
        failed |= linear(g, g.normal, layer.projection, g.x, count, width, width, EPILOGUE_ADD);
        layernorm_f32(g.x, layer.gain_2, layer.bias_2, g.normal, count, width, g.epsilon);
        failed |= linear(g, g.normal, layer.up, g.wide, count, g.hidden, width, EPILOGUE_GELU);
        failed |= linear(g, g.wide, layer.down, g.x, count, width, g.hidden, EPILOGUE_ADD);
    }
    const size_t rows = all ? count : 1;
    layernorm_f32(g.x + (count - rows) * width, g.gain, g.bias, g.normal, rows, width, g.epsilon);
    failed |= linear(g, g.normal, g.head, logits, rows, g.vocabulary, width, EPILOGUE_NONE);
    return failed;
}
