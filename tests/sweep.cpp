// Every float32 there is through a kernel, against the same formula in double. sweep.py builds and runs it.
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

double relu(double x) { return x > 0 ? x : x == x ? 0.0 : x; }

/* x / (1 + e^(-2u)): nothing cancels. Below -40 the result has long been 0, and the exponential
   overflows. */
double gelu_tanh(double x) {
    if (x < -40) return 0.0;
    const double u = 0.79788456080286535588 * x * (1 + 0.044715 * x * x);
    return x / (1 + exp(-2 * u));
}

/* x/2 erfc(-x / sqrt 2): nothing cancels. */
double gelu_erf(double x) { return x < -40 ? 0.0 : 0.5 * x * erfc(-x * 0.70710678118654752440); }

/* Distance in units of the spacing of float32 at the truth, 2^-149 among the subnormals. */
double ulps(double result, double truth) {
    if (isnan(result) || isnan(truth)) return isnan(result) && isnan(truth) ? 0 : INFINITY;
    if (isinf(result) || isinf(truth)) return result == truth ? 0 : INFINITY;
    int exponent;
    frexp(truth, &exponent);
    return ldexp(fabs(result - truth), 24 - (exponent > -125 ? exponent : -125));
}

/* The product of two float32 is exact in double, so it is rounded once; NaN gives 0. */
double quantized(double x, double scale) {
    const double number = rint(static_cast<float>(x * scale));
    return isnan(number) ? 0 : number > 127 ? 127 : number < -127 ? -127 : number;
}

constexpr size_t BLOCK = 4096;

void fill(float *x, uint64_t first) {
    for (size_t i = 0; i < BLOCK; ++i) {
        const uint32_t bits = static_cast<uint32_t>(first + i);
        memcpy(&x[i], &bits, sizeof bits);
    }
}

}  // namespace

extern "C" {

struct Worst {
    double error;
    uint32_t bits;  // of its input
    double result;
};

/* Bit patterns in blocks of 4096, every `step`th block from `begin` to `end`. A unary kernel;
   which: 0 relu, 1 gelu_tanh, 2 gelu_erf. */
void sweep_unary(void (*kernel)(const float *, float *, size_t), int which, uint64_t begin,
                 uint64_t end, uint64_t step, Worst *worst) {
    double (*const truths[])(double) = {relu, gelu_tanh, gelu_erf};
    alignas(64) float x[BLOCK], out[BLOCK];
    for (uint64_t block = begin; block < end; block += step) {
        fill(x, block * BLOCK);
        kernel(x, out, BLOCK);
        for (size_t i = 0; i < BLOCK; ++i) {
            const double error = ulps(out[i], truths[which](x[i]));
            if (error > worst->error)
                *worst = {error, static_cast<uint32_t>(block * BLOCK + i), out[i]};
        }
    }
}

/* The same for quantize_f32_i8; the error is in steps. */
void sweep_quantize(void (*kernel)(const float *, int8_t *, size_t, float), float scale,
                    uint64_t begin, uint64_t end, uint64_t step, Worst *worst) {
    alignas(64) float x[BLOCK];
    alignas(64) int8_t out[BLOCK];
    for (uint64_t block = begin; block < end; block += step) {
        fill(x, block * BLOCK);
        kernel(x, out, BLOCK, scale);
        for (size_t i = 0; i < BLOCK; ++i) {
            const double error = fabs(out[i] - quantized(x[i], scale));
            if (error > worst->error)
                *worst = {error, static_cast<uint32_t>(block * BLOCK + i), double(out[i])};
        }
    }
}
}
