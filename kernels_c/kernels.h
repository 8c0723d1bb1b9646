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

/* nothing: what a call without arguments costs */
void empty_call(void);

/* 1 if this CPU (and its operating system) can run the AVX2 and FMA tiers, else 0 */
int cpu_has_avx2_fma(void);

/* 1 if it can run the AVX-512 tiers (F, BW, DQ, VL and VNNI: Ice Lake, Zen 4 and later), else 0 */
int cpu_has_avx512_vnni(void);

/* what this module was built from and with, as JSON */
const char *build_info(void);

// [end of declarations]

#ifdef __cplusplus
}
#endif
