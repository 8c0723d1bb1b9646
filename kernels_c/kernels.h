// The one C ABI that every tier implements. build_ffi.py reads the declarations between the two
// markers, so a line here is all that Python needs to see a new kernel.
//
// Names are <kernel>_<dtype>. Buffers are C-contiguous and hold exactly what the sizes say; the
// callers in kernels_c/__init__.py have checked that. `x` and `out` may be the same buffer where both
// are float32, and must not overlap otherwise. Formula, error bound and treatment of NaN and
// infinity stand above each implementation. As the C library's functions, all compute in the floating-point
// state of the thread that calls, on every thread that helps; bounds and "half to even" are those of the
// state that a process starts with: rounding to nearest, subnormals kept.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// [declarations]

/* out[i] = max(x[i], 0) */
void relu_f32(const float *x, float *out, size_t n);

/* out[r, c] = exp(x[r, c]) / sum over c of exp(x[r, c]) */
void softmax_f32(const float *x, float *out, size_t rows, size_t cols);

/* out[i] = x[i] / 2 * (1 + tanh(sqrt(2/pi) * (x[i] + 0.044715 x[i]^3))) */
void gelu_tanh_f32(const float *x, float *out, size_t n);

/* out[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2))) */
void gelu_erf_f32(const float *x, float *out, size_t n);

/* out[m, n] = a[m, k] b[k, n], row-major, overwritten.
   0, or 1 when there was no memory for the packed panels (out is then undefined). */
int matmul_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k);

/* out[i] = x[i] * scale rounded half to even and clipped to [-127, 127]; NaN gives 0 */
void quantize_f32_i8(const float *x, int8_t *out, size_t n, float scale);

/* out[m, n] = a[m, k] b[k, n], exact while k <= 131071. Returns as matmul_f32 does. */
int matmul_i8_i32(const int8_t *a, const int8_t *b, int32_t *out, size_t m, size_t n, size_t k);

/* out[i] = x[i] * scale: what turns an int8 product back into float */
void dequantize_i32_f32(const int32_t *x, float *out, size_t n, float scale);

/* out[r, c] = (x[r, c] - mean of row r) / sqrt(variance of row r + epsilon) * gain[c] + bias[c] */
void layernorm_f32(const float *x, const float *gain, const float *bias, float *out, size_t rows,
                   size_t cols, float epsilon);

/* the same down the columns: mean and variance of column c, gain[r] and bias[r] */
void layernorm_columns_f32(const float *x, const float *gain, const float *bias, float *out,
                           size_t rows, size_t cols, float epsilon);

/* what linear_f32 puts into out: the sum, its GELU (tanh), or the sum added to what out holds */
enum { EPILOGUE_NONE = 0, EPILOGUE_GELU = 1, EPILOGUE_ADD = 2 };

/* floats that pack_linear_f32 writes */
size_t packed_linear_f32(size_t n, size_t k);

/* w[k, n] and bias[n] (or NULL: zeros) in the order in which this tier's linear_f32 reads them */
void pack_linear_f32(const float *w, const float *bias, float *packed, size_t n, size_t k);

/* out[m, n] = epilogue(x[m, k] w[k, n] + bias[n]); rows of x are x_row floats apart and may overlap */
void linear_f32(const float *x, const float *packed, float *out, size_t m, size_t n, size_t k,
                size_t x_row, int epilogue);

/* scales[r] = max |x[r, c]| / 127, out[r, c] = x[r, c] * (127 / max |x[r, c]|) rounded half to even */
void quantize_rows_f32_i8(const float *x, int8_t *out, float *scales, size_t rows, size_t cols);

/* bytes that pack_linear_i8 writes */
size_t packed_linear_i8(size_t n, size_t k);

/* w[k, n] of -127 to 127, scales[n] and bias[n] (or NULL) in the order in which this tier's
   linear_i8_f32 reads them */
void pack_linear_i8(const int8_t *w, const float *scales, const float *bias, int8_t *packed,
                    size_t n, size_t k);

/* out[m, n] = epilogue(x[m, k] w[k, n] * x_scales[m] * scales[n] + bias[n]), the product exact while
   k <= 131071; rows of x, of -127 to 127, are x_row bytes apart and may overlap. Returns as matmul_f32
   does. */
int linear_i8_f32(const int8_t *x, const float *x_scales, const int8_t *packed, float *out,
                  size_t m, size_t n, size_t k, size_t x_row, int epilogue);

/* queries whose scores attention_f32 needs memory for: [heads, context, ATTENTION_ROWS] */
enum { ATTENTION_ROWS = 16 };

/* Causal attention of `count` positions from `start` on. qkv[count, 3 width] holds their queries, keys
   and values; keys and values go into the caches [heads, context, width / heads] first, and each query
   attends to all positions up to its own: out[i] = sum over j of
   softmax_j(q_i . k_j / sqrt(width / heads)) v_j, for each head. start + count <= context. */
void attention_f32(const float *qkv, float *keys, float *values, float *scores, float *out,
                   size_t count, size_t start, size_t context, size_t width, size_t heads);

/* out[i] = table[tokens[i]] + positions[start + i]; without the second where positions is NULL */
void embedding_f32(const int32_t *tokens, const float *table, const float *positions, float *out,
                   size_t count, size_t start, size_t width);

/* the index of the largest element, the first of equals; of the first NaN where there is one */
size_t argmax_f32(const float *x, size_t n);

/* out[c] = max over r of GELU(x[r, c]), the tanh form; rows > 0 */
void gelu_max_f32(const float *x, float *out, size_t rows, size_t cols);

/* A decoder of GPT-2's kind, of one layer or more. Matrices are packed by this tier: for linear_i8_f32 where `quantized`. */
typedef struct {
    const float *gain_1, *bias_1; /* the layernorm before attention, [width] */
    const void *qkv, *projection; /* [width, 3 width], [width, width] */
    const float *gain_2, *bias_2; /* the layernorm before the feed-forward part */
    const void *up, *down;        /* [width, hidden], [hidden, width] */
    float *keys, *values;         /* the caches of attention_f32 */
} gpt_layer;

typedef struct {
    size_t layers, width, heads, hidden, context, vocabulary;
    int quantized;
    float epsilon;
    const float *tokens, *positions; /* [vocabulary, width], [context, width] */
    const gpt_layer *layer;
    const float *gain, *bias; /* the last layernorm */
    const void *head;         /* [width, vocabulary] */
    /* memory for as many rows as a call has tokens */
    float *x, *normal, *wide; /* width, width, the larger of 3 width and hidden */
    int8_t *bytes;            /* the larger of width and hidden */
    float *scales;            /* 1 */
    float *scores;            /* of attention_f32 */
} gpt_model;

/* logits[vocabulary] after tokens[count] at positions from `start` on, or logits[count, vocabulary] of
   each of them where `all`: a whole token, or a whole prompt, in one call. Returns as matmul_f32 does. */
int gpt_step(const gpt_model *model, const int32_t *tokens, size_t count, size_t start, int all,
             float *logits);

/* nothing: what a call without arguments costs */
void empty_call(void);

/* 1 if this CPU (and its operating system) can run the tiers with AVX2, FMA and F16C, else 0 */
int cpu_has_avx2_fma(void);

/* 1 if it can run the AVX-512 tiers (F, BW, DQ, VL and VNNI: Ice Lake, Zen 4 and later), else 0 */
int cpu_has_avx512_vnni(void);

/* what this module was built from and with, as JSON */
const char *build_info(void);

// [end of declarations]

#ifdef __cplusplus
}
#endif
