// What the ladder measures beside the kernels of kernels.h: one of them with a single thing about it
// changed, so that what that thing is worth can be said. The registry's steps name them, and
// build_ffi.py reads the declarations between the two markers for the tiers that this folder makes.
#pragma once

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// [declarations]

/* matmul_f32 in the loop order of kernels_py/matmul.py: i, j, p */
int matmul_ijk_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k);

/* matmul_i8_i32 in the same order */
int matmul_i8_ijk_i32(const int8_t *a, const int8_t *b, int32_t *out, size_t m, size_t n, size_t k);

// [end of declarations]

#ifdef __cplusplus
}
#endif
