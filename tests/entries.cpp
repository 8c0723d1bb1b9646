// Every native entry at whatever sizes, alignments, values and aliases some bytes say, in heap memory that holds
// exactly what the sizes say, and beside the plain loops of portable/, which must agree. fuzz.py and sanitize.py
// compile this with a tier's sources and a detector: libFuzzer makes the bytes, or main() draws them.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <thread>
#include <vector>

#include "kernels.h"
#include "plain.h"  // the same declarations with plain_ before each name
#ifdef SIMD
#include "simd/ablations.h"
#include "simd/limits.h"
#include "simd/parallel.h"
#endif

namespace {

#ifdef THREADS
constexpr size_t SIDE = 260, LARGE = 300000;  // enough for a team
#else
constexpr size_t SIDE = 140, LARGE = 60000;
#endif

/* What to do, read from bytes that may end at any time: then zeros follow. */
class Bytes {
public:
    Bytes(const uint8_t *data, size_t size) : next_(data), end_(data + size) {}
    unsigned byte() { return next_ < end_ ? *next_++ : 0; }
    bool flag() { return byte() & 1; }
    /* Around the widths of registers, tiles and blocks more often than elsewhere. */
    size_t size(size_t most) {
        const size_t widths[] = {0, 1, 2, 6, 8, 14, 16, 32, 48, 64, 96, 128};
        const unsigned how = byte(), off = byte();
        if (how % 2 == 0) return (how * 256u + off) * (most + 1) / 65536;
        const size_t n = widths[how / 2 % 12] + off % 5;
        return n < 2 ? 0 : n - 2 < most ? n - 2 : most;
    }
    float real() {
        const float special[] = {0.0f,     -0.0f,    NAN,   INFINITY, -INFINITY, 1e-45f,
                                 -1e-40f,  1.2e-38f, 88.7f, -104.0f,  -3e3f,     65504.0f};
        const unsigned b = byte();
        return b < 12 ? special[b] : (static_cast<float>(b) - 128.0f) / 16.0f;
    }

private:
    const uint8_t *next_, *const end_;
};

uint32_t drawn(uint32_t &state) { return state = state * 1664525u + 1013904223u; }

/* n elements with nothing behind the last, `offset` bytes from where malloc aligns. */
template <class T>
class Exact {
public:
    explicit Exact(size_t n, size_t offset = 0)
        : n_(n), memory_(static_cast<char *>(malloc(offset + n * sizeof(T) + (n + offset == 0)))),
          data_(reinterpret_cast<T *>(memory_ + offset)) {}
    /* Values of -8 to 8, or bytes of -127 to 127, and among floats here and there a special one. */
    Exact(Bytes &in, size_t n, bool tame = false) : Exact(n, in.byte() % 16 * sizeof(T)) {
        uint32_t state = in.byte();
        for (size_t i = 0; i < n; ++i) {
            const auto v = static_cast<int>(drawn(state) >> 16) % 255 - 127;
            data_[i] = sizeof(T) == 1 ? static_cast<T>(v) : static_cast<T>(v) / static_cast<T>(16);
        }
        if (sizeof(T) == 4 && !tame)
            for (unsigned count = in.byte() % 4; count > 0 && n > 0; --count) {
                const size_t place = in.size(n - 1);
                data_[place] = static_cast<T>(in.real());
            }
    }
    Exact(const Exact &) = delete;
    ~Exact() { free(memory_); }
    operator T *() const { return data_; }
    size_t size() const { return n_; }

private:
    size_t n_;
    char *memory_;
    T *data_;
};
using Floats = Exact<float>;
using Chars = Exact<int8_t>;

[[noreturn]] void differ(const char *what, size_t i, double got, double wanted) {
    fprintf(stderr, "%s: element %zu is %.9g, should be %.9g\n", what, i, got, wanted);
    abort();
}

/* Equal, both NaN, or within `units` of 2^-23 of what went into the sum; of subnormals the first 2^-126. */
void near(const char *what, const float *got, const float *wanted, size_t n, double units,
          double terms = 0) {
    for (size_t i = 0; i < n; ++i) {
        const double g = got[i], w = wanted[i];
        if (g == w || (isnan(g) && isnan(w))) continue;
        const double magnitude = fabs(w) > terms ? fabs(w) : terms;
        if (!(fabs(g - w) <= (magnitude + 0x1p-126) * units * 0x1p-23)) differ(what, i, g, w);
    }
}
template <class T>
void same(const char *what, const T *got, const T *wanted, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (got[i] != wanted[i]) differ(what, i, double(got[i]), double(wanted[i]));
}

/* The largest finite product of magnitudes times k: what sums of products are measured by. */
double terms(const float *a, size_t n, const float *b, size_t m, size_t k) {
    double x = 0, y = 0;
    for (size_t i = 0; i < n; ++i) x = isfinite(a[i]) && fabs(a[i]) > x ? fabs(a[i]) : x;
    for (size_t i = 0; i < m; ++i) y = isfinite(b[i]) && fabs(b[i]) > y ? fabs(b[i]) : y;
    return x * y * double(k + 1) + x + y;
}

void element_wise(Bytes &in, void (*kernel)(const float *, float *, size_t),
                  void (*plain)(const float *, float *, size_t), double units) {
    const size_t n = in.size(LARGE);
    const Floats x(in, n), apart(n, in.byte() % 16 * 4), wanted(n);
    plain(x, wanted, n);
    float *const out = in.flag() ? x : apart;
    // GELU's bound is in units of the input where the plain loop rounds a sum of that size.
    const double least = units > 0 ? 9.0 : 0.0;
    kernel(x, out, n);
    near("element-wise", out, wanted, n, units, least);
}

void rows_and_columns(Bytes &in) {
    const size_t rows = in.size(40), cols = in.size(300), n = rows * cols;
    const Floats x(in, n), gain(in, cols), bias(in, cols), gains(in, rows), biases(in, rows);
    Floats out(n), wanted(n);
    plain_softmax_f32(x, wanted, rows, cols);
    softmax_f32(x, out, rows, cols);
    near("softmax", out, wanted, n, 80);
    const float epsilon = in.flag() ? 0.0f : 1e-5f;
    layernorm_f32(x, gain, bias, out, rows, cols, epsilon);
    layernorm_columns_f32(x, gains, biases, out, rows, cols, epsilon);
    const Chars steps(n), wanted_steps(n);
    const Floats scales(rows), wanted_scales(rows);
    plain_quantize_rows_f32_i8(x, wanted_steps, wanted_scales, rows, cols);
    quantize_rows_f32_i8(x, steps, scales, rows, cols);
    same<int8_t>("quantize_rows", steps, wanted_steps, n);
    near("quantize_rows scales", scales, wanted_scales, rows, 1);
    if (rows > 0) {
        const Floats most(cols), wanted_most(cols);
        plain_gelu_max_f32(x, wanted_most, rows, cols);
        gelu_max_f32(x, most, rows, cols);
        near("gelu_max", most, wanted_most, cols, 8, 9);
    }
    if (argmax_f32(x, n) != plain_argmax_f32(x, n))
        differ("argmax", 0, double(argmax_f32(x, n)), double(plain_argmax_f32(x, n)));
    softmax_f32(x, x, rows, cols);
    layernorm_f32(x, gain, bias, x, rows, cols, epsilon);
    layernorm_columns_f32(x, gains, biases, x, rows, cols, epsilon);
}

void quantize(Bytes &in) {
    const size_t n = in.size(LARGE);
    const float scale = in.real();
    const float finite = isfinite(scale) ? scale : 1.0f;
    const Floats x(in, n), floats(n), wanted_floats(n);
    const Chars steps(n, in.byte() % 16), wanted(n);
    plain_quantize_f32_i8(x, wanted, n, finite);
    quantize_f32_i8(x, steps, n, finite);
    same<int8_t>("quantize", steps, wanted, n);
    const Exact<int32_t> sums(n, in.byte() % 16 * 4);
    uint32_t state = in.byte();
    for (size_t i = 0; i < n; ++i) sums[i] = static_cast<int32_t>(drawn(state));
    plain_dequantize_i32_f32(sums, wanted_floats, n, finite);
    dequantize_i32_f32(sums, floats, n, finite);
    near("dequantize", floats, wanted_floats, n, 1);
}

void products(Bytes &in) {
    const size_t m = in.size(SIDE), n = in.size(SIDE), k = in.size(SIDE);
    const Floats a(in, m * k), b(in, k * n), out(m * n, in.byte() % 16 * 4), wanted(m * n);
    plain_matmul_f32(a, b, wanted, m, n, k);
    const double size = terms(a, m * k, b, k * n, k);
    matmul_f32(a, b, out, m, n, k);
    near("matmul", out, wanted, m * n, double(k) + 1, size);
#ifdef SIMD
    matmul_tiled_f32(a, b, out, m, n, k);
    near("matmul_tiled", out, wanted, m * n, double(k) + 1, size);
#endif
    const Chars x(in, m * k), w(in, k * n);
    const Exact<int32_t> sums(m * n, in.byte() % 16 * 4), wanted_sums(m * n);
    plain_matmul_i8_i32(x, w, wanted_sums, m, n, k);
    matmul_i8_i32(x, w, sums, m, n, k);
    same<int32_t>("matmul_i8", sums, wanted_sums, m * n);
}

void layers(Bytes &in) {
    const size_t m = in.size(40), n = in.size(SIDE), k = in.size(SIDE);
    const size_t step = in.byte() % 3, row = step == 0 ? k : step == 1 ? k / 2 : k + 3;
    const size_t span = m ? (m - 1) * row + k : 0;
    const int epilogue = static_cast<int>(in.byte() % 3);
    const Floats x(in, span), w(in, k * n), bias(in, n), out(in, m * n), wanted(m * n);
    // Weights that are all float16 go another way.
    const float *const offset = in.flag() ? static_cast<float *>(bias) : nullptr;
    if (k * n > 0 && in.flag()) w[k * n - 1] = 1.0f / 3.0f;
    const double size = terms(x, span, w, k * n, k) + 1e3;
    memcpy(wanted, out, m * n * sizeof(float));
    const Floats packed(packed_linear_f32(n, k)), plain(plain_packed_linear_f32(n, k));
    pack_linear_f32(w, offset, packed, n, k);
    plain_pack_linear_f32(w, offset, plain, n, k);
    linear_f32(x, packed, out, m, n, k, row, epilogue);
    plain_linear_f32(x, plain, wanted, m, n, k, row, epilogue);
    near("linear", out, wanted, m * n, 2 * double(k) + 40, size);
    const Chars x8(in, span), w8(in, k * n), packed8(packed_linear_i8(n, k)),
        plain8(plain_packed_linear_i8(n, k));
    const Floats x_scales(in, m), scales(in, n, true), more(m * n);
    memcpy(more, wanted, m * n * sizeof(float));
    pack_linear_i8(w8, scales, offset, packed8, n, k);
    plain_pack_linear_i8(w8, scales, offset, plain8, n, k);
    linear_i8_f32(x8, x_scales, packed8, wanted, m, n, k, row, epilogue);
    plain_linear_i8_f32(x8, x_scales, plain8, more, m, n, k, row, epilogue);
    near("linear_i8", wanted, more, m * n, 64, 2e7);
}

void attention(Bytes &in) {
    const size_t count = in.size(40), start = in.size(40), context = start + count + in.byte() % 6;
    const size_t heads = 1 + in.byte() % 4, width = (1 + in.size(40)) * heads;
    const Floats qkv(in, count * 3 * width, true), scores(heads * ATTENTION_ROWS * context);
    const Floats keys(in, width * context, true), values(in, width * context, true);
    const Floats keys_too(width * context), values_too(width * context);
    memcpy(keys_too, keys, width * context * sizeof(float));
    memcpy(values_too, values, width * context * sizeof(float));
    const Floats out(count * width), wanted(count * width);
    plain_attention_f32(qkv, keys_too, values_too, scores, wanted, count, start, context, width,
                        heads);
    attention_f32(qkv, keys, values, scores, out, count, start, context, width, heads);
    near("attention", out, wanted, count * width, 4e3, 8);
    same<float>("keys", keys, keys_too, width * context);
    const size_t rows = 1 + in.size(30);
    const Exact<int32_t> tokens(count);
    for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<int32_t>(in.size(rows - 1));
    const Floats table(in, rows * width), positions(in, (start + count) * width);
    const float *const added = in.flag() ? static_cast<float *>(positions) : nullptr;
    plain_embedding_f32(tokens, table, added, wanted, count, start, width);
    embedding_f32(tokens, table, added, out, count, start, width);
    near("embedding", out, wanted, count * width, 0);
}

/* Matrices of zeros are enough: what gpt_step adds to the kernels above is where it points them. */
void decoder(Bytes &in) {
    const size_t count = 1 + in.size(20), start = in.size(20), heads = 1 + in.byte() % 3;
    const size_t width = (1 + in.size(20)) * heads, hidden = 1 + in.size(70);
    const size_t words = 1 + in.size(50), context = start + count, most = 3 * width;
    const bool all = in.flag(), quantized = in.flag();
    const Floats row(in, width, true), tokens(in, words * width, true);
    const Floats positions(in, context * width, true);
    const auto packed = [&](size_t n, size_t k) {
        const size_t size = quantized ? packed_linear_i8(n, k) : 4 * packed_linear_f32(n, k);
        const std::vector<float> zeros(k * n + n);
        const std::vector<int8_t> ones(k * n + 1, 1);
        auto *const to = static_cast<int8_t *>(malloc(size + (size == 0)));
        if (quantized) pack_linear_i8(ones.data(), zeros.data(), nullptr, to, n, k);
        else pack_linear_f32(zeros.data(), nullptr, reinterpret_cast<float *>(to), n, k);
        return to;
    };
    int8_t *const matrices[] = {packed(3 * width, width), packed(width, width),
                                packed(hidden, width), packed(width, hidden), packed(words, width)};
    const Floats keys(context * width), values(context * width), x(count * width);
    const Floats normal(count * width), wide(count * (most > hidden ? most : hidden)), scales(count);
    const Chars bytes(count * (width > hidden ? width : hidden));
    const Floats scores(heads * ATTENTION_ROWS * context), logits((all ? count : 1) * words);
    for (size_t i = 0; i < context * width; ++i) keys[i] = values[i] = 0.0f;
    const gpt_layer layer = {row,         row,         matrices[0], matrices[1], row,
                             row,         matrices[2], matrices[3], keys,        values};
    const gpt_model model = {1,     width, heads,  hidden, context, words, quantized, 1e-5f, tokens,
                             positions, &layer, row, row, matrices[4], x, normal, wide, bytes,
                             scales, scores};
    const Exact<int32_t> said(count);
    for (size_t i = 0; i < count; ++i) said[i] = static_cast<int32_t>(in.size(words - 1));
    gpt_step(&model, said, count, start, all, logits);
    for (size_t i = 0; i < logits.size(); ++i)
        if (isnan(logits[i])) differ("gpt_step", i, double(logits[i]), 0.0);
    for (int8_t *matrix : matrices) free(matrix);
}

#ifdef SIMD
void probes(Bytes &in) {
    const size_t n = in.size(20) * 128, passes = 1 + in.byte() % 3;
    auto *const x = static_cast<float *>(aligned_alloc(64, n * 4 + 64));
    auto *const out = static_cast<float *>(aligned_alloc(64, n * 4 + 64));
    for (size_t i = 0; i < n; ++i) x[i] = 0.5f;
    limit_empty(x, out, n), limit_read_f32(x, n, passes), limit_update_f32(x, n, passes);
    limit_copy_f32(x, out, n, passes), limit_stream_f32(x, out, n, passes);
    limit_clock(passes), limit_fma_f32(passes), limit_madd_i16(passes), limit_dot_i8(passes);
    free(x), free(out);
}
#endif

void run(Bytes in) {
    switch (in.byte() % 9) {
        case 0: return element_wise(in, relu_f32, plain_relu_f32, 0);
        case 1: return element_wise(in, gelu_tanh_f32, plain_gelu_tanh_f32, 8);
        case 2: return element_wise(in, gelu_erf_f32, plain_gelu_erf_f32, 8);
        case 3: return rows_and_columns(in);
        case 4: return quantize(in);
        case 5: return products(in);
        case 6: return layers(in);
        case 7: return attention(in);
        default: break;
    }
#ifdef SIMD
    if (in.flag()) return probes(in);
#endif
    decoder(in);
}

}  // namespace

#ifdef THREADS
/* As many as OMP_NUM_THREADS says, whatever the machine has. */
extern "C" int omp_get_num_procs(void) { return 64; }
/* The team is there, and awake. */
void wake_team() {
    if (threads_for(1 << 20) > 1) parallel_for(64, team_size(), [](size_t) {});
}
#else
void wake_team() {}
#endif

#ifdef FUZZER
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run(Bytes(data, size));
    return 0;
}
#else
/* What each detector must find. */
int plant(const std::string &what) {
    const Floats few(5);
    if (what == "never-written") return argmax_f32(few, 5) == 3;
    for (size_t i = 0; i < 5; ++i) few[i] = 0.0f;
    if (what == "stray-read") return argmax_f32(few, 6) == 3;
    if (what == "wrong-result") few[3] = 1.0f, near("planted", few, few + 1, 3, 1);
    if (what == "race") {
        int calls = 0;
        const auto call = [&] { ++calls; };
        std::thread one(call), two(call);
        one.join(), two.join();
    }
    return 0;
}

/* entries COUNT CALLERS: so many drawn inputs, by each of so many threads; entries FILE; entries plant WHAT */
int main(int count, char **arguments) {
    if (!strcmp(arguments[1], "plant")) return plant(arguments[2]);
    if (count == 2) {
        std::vector<uint8_t> bytes;
        FILE *const file = fopen(arguments[1], "rb");
        for (int c; file != nullptr && (c = fgetc(file)) != EOF;)
            bytes.push_back(static_cast<uint8_t>(c));
        run(Bytes(bytes.data(), bytes.size()));
        return file == nullptr;
    }
    const auto draw = [&](uint32_t seed) {
        uint8_t bytes[512];
        for (long left = atol(arguments[1]); left > 0; --left) {
            for (uint8_t &byte : bytes) byte = static_cast<uint8_t>(drawn(seed) >> 24);
            wake_team();
            run(Bytes(bytes, sizeof bytes));
        }
    };
    std::vector<std::thread> callers;
    for (long i = 0; i < atol(arguments[2]); ++i)
        callers.emplace_back(draw, static_cast<uint32_t>(i + 1));
    for (std::thread &caller : callers) caller.join();
    return 0;
}
#endif
