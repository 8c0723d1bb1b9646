// What the ladder measures beside the kernels of kernels.h: one of them without a thing that it has, so
// that what that thing is worth can be said. The registry's steps name them, and build_ffi.py reads the
// declarations between the two markers for the tiers that this folder makes.
#pragma once

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// [declarations]

/* matmul_f32 in tiles of registers alone: nothing packed, no blocks for the caches, one thread */
int matmul_tiled_f32(const float *a, const float *b, float *out, size_t m, size_t n, size_t k);

// [end of declarations]

#ifdef __cplusplus
}
#endif
