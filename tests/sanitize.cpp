// The parts of models at awkward shapes, in heap memory that holds exactly what the sizes say. Built with the
// sources of a tier and the sanitizers by sanitize.py; what they find ends the process.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "kernels.h"

namespace {

/* No spare capacity: the byte behind the last element is nobody's. */
template <class T>
struct Exact {
    T *data;
    explicit Exact(size_t n) : data(static_cast<T *>(malloc(n * sizeof(T) + (n == 0)))) {
        for (size_t i = 0; i < n; ++i) data[i] = static_cast<T>(0);
    }
    ~Exact() { free(data); }
    Exact(const Exact &) = delete;
    operator T *() { return data; }
};

uint32_t state = 1;

/* -127 to 127 */
int drawn() {
    state = state * 1664525u + 1013904223u;
    return static_cast<int>((state >> 16) % 255) - 127;
}

struct Floats : Exact<float> {
    explicit Floats(size_t n) : Exact<float>(n) {
        for (size_t i = 0; i < n; ++i) data[i] = static_cast<float>(drawn()) / 64.0f;
    }
};

struct Bytes : Exact<int8_t> {
    explicit Bytes(size_t n) : Exact<int8_t>(n) {
        for (size_t i = 0; i < n; ++i) data[i] = static_cast<int8_t>(drawn());
    }
};

void rows_and_columns(size_t rows, size_t cols) {
    Floats x(rows * cols), gain(cols), bias(cols), gains(rows), biases(rows), out(rows * cols);
    layernorm_f32(x, gain, bias, out, rows, cols, 1e-5f);
    layernorm_columns_f32(x, gains, biases, out, rows, cols, 1e-5f);
    layernorm_f32(x, gain, bias, x, rows, cols, 0.0f);
    Floats scales(rows), largest(cols), y(rows * cols);
    Bytes steps(rows * cols);
    quantize_rows_f32_i8(y, steps, scales, rows, cols);
    if (rows) gelu_max_f32(y, largest, rows, cols);
    if (rows * cols) argmax_f32(y, rows * cols);
    for (size_t i = 0; i < rows * cols; ++i) y[i] = i % 3 ? NAN : -INFINITY;
    quantize_rows_f32_i8(y, steps, scales, rows, cols);
    if (rows * cols) argmax_f32(y, rows * cols);
}

void layers(size_t m, size_t n, size_t k, size_t x_row) {
    const size_t span = m ? (m - 1) * x_row + k : 0;
    Floats x(span), w(k * n), bias(n), out(m * n), packed(packed_linear_f32(n, k));
    Bytes bytes(span), w8(k * n), packed8(packed_linear_i8(n, k));
    Floats x_scales(m), scales(n);
    for (int epilogue = EPILOGUE_NONE; epilogue <= EPILOGUE_ADD; ++epilogue) {
        const float *const offset = epilogue == EPILOGUE_ADD ? nullptr : bias.data;
        // All weights are float16 first; then the last is not, and one row goes another way.
        if (epilogue != EPILOGUE_NONE && k * n > 0) w[k * n - 1] = 1.0f / 3.0f;
        pack_linear_f32(w, offset, packed, n, k);
        linear_f32(x, packed, out, m, n, k, x_row, epilogue);
        pack_linear_i8(w8, scales, offset, packed8, n, k);
        linear_i8_f32(bytes, x_scales, packed8, out, m, n, k, x_row, epilogue);
    }
}

void attention(size_t count, size_t start, size_t spare, size_t width, size_t heads) {
    const size_t context = start + count + spare;
    Floats qkv(count * 3 * width), keys(width * context), values(width * context);
    Floats scores(heads * ATTENTION_ROWS * context), out(count * width);
    attention_f32(qkv, keys, values, scores, out, count, start, context, width, heads);
}

void embedding(size_t count, size_t start, size_t width) {
    Exact<int32_t> tokens(count);
    for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<int32_t>(i * 7 % 5);
    Floats table(5 * width), positions((start + count) * width), out(count * width);
    embedding_f32(tokens, table, positions, out, count, start, width);
    embedding_f32(tokens, table, nullptr, out, count, start, width);
}

}  // namespace

int main() {
    const size_t odd[] = {1, 2, 7, 8, 9, 15, 17, 31, 33, 67, 129};
    for (size_t rows : odd)
        for (size_t cols : odd) rows_and_columns(rows, cols), embedding(rows, cols % 4, cols);
    for (size_t n : odd)
        for (size_t k : {0, 1, 3, 5, 31, 64, 130})
            for (size_t m : {0, 1, 2, 5, 6, 7, 13, 19}) {
                layers(m, n, k, k);
                layers(m, n, k, k / 2);
                layers(m, n, k, k + 3);
            }
    for (size_t count : {0, 1, 3, 15, 16, 17, 40})
        for (size_t start : {0, 1, 7, 30})
            for (size_t spare : {0, 5})
                for (size_t d : {1, 5, 8, 16, 19, 32, 33})
                    for (size_t heads : {1, 3}) attention(count, start, spare, d * heads, heads);
#ifdef STRAY_READ
    Floats few(5), gain(6), bias(6), out(6);
    layernorm_f32(few, gain, bias, out, 1, 6, 0.0f);
#endif
    return 0;
}
