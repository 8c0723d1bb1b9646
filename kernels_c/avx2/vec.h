// Names for the intrinsics that every file here repeats, and the two shapes of element-wise loop.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

constexpr size_t LANES = 8;  // 32-bit lanes in a 256-bit register

inline __m256 splat(float v) { return _mm256_set1_ps(v); }

/* All ones in the first `count` lanes, count < 8. */
inline __m256i first_lanes(size_t count) {
    alignas(32) static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(ones_then_zeros + LANES - count));
}

/* The first `count` floats, zeros after them; reads nothing beyond. */
inline __m256 load_partial(const float *p, size_t count) {
    return _mm256_maskload_ps(p, first_lanes(count));
}

/* Writes the first `count` lanes. Through the stack: a masked store takes a dozen cycles on Zen 2-4
   (uops.info, VMASKMOVPS m256), and the lanes it leaves out may still fault. */
inline void store_partial(float *p, size_t count, __m256 v) {
    alignas(32) float lanes[LANES];
    _mm256_store_ps(lanes, v);
    memcpy(p, lanes, count * sizeof(float));
}

/* out[i] = f(x[i]) by whole registers, four at a time so that the latency of f overlaps. The tail
   runs through the same f, so it has the same bits as the bulk. x may be out. */
template <class F>
inline void map_f32(const float *x, float *out, size_t n, F f) {
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const __m256 v0 = f(_mm256_loadu_ps(x + i));
        const __m256 v1 = f(_mm256_loadu_ps(x + i + LANES));
        const __m256 v2 = f(_mm256_loadu_ps(x + i + 2 * LANES));
        const __m256 v3 = f(_mm256_loadu_ps(x + i + 3 * LANES));
        _mm256_storeu_ps(out + i, v0);
        _mm256_storeu_ps(out + i + LANES, v1);
        _mm256_storeu_ps(out + i + 2 * LANES, v2);
        _mm256_storeu_ps(out + i + 3 * LANES, v3);
    }
    for (; i + LANES <= n; i += LANES) _mm256_storeu_ps(out + i, f(_mm256_loadu_ps(x + i)));
    if (i < n) store_partial(out + i, n - i, f(load_partial(x + i, n - i)));
}
