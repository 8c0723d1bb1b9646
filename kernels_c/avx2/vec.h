// One register of floats or integers, under names that do not say how wide it is. vec256.h gives them
// for AVX2; a port to another width is one more file like it.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include "vec512.h"
#else
#include "vec256.h"
#endif

inline F32 zero() { return splat(0.0f); }
inline F32 abs(F32 v) { return and_not(splat(-0.0f), v); }

/* Writes the first `count` lanes. Through the stack: a masked store takes a dozen cycles on Zen 2-4
   (uops.info, VMASKMOVPS m256), and the lanes it leaves out may still fault. */
inline void store_partial(float *p, size_t count, F32 v) {
    alignas(64) float lanes[LANES];
    store(lanes, v);
    memcpy(p, lanes, count * sizeof(float));
}

/* out[i] = f(x[i]) by whole registers, four at a time so that the latency of f overlaps. The tail
   runs through the same f, so it has the same bits as the bulk. x may be out. */
template <class F>
inline void map_f32(const float *x, float *out, size_t n, F f) {
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        const F32 v0 = f(load(x + i));
        const F32 v1 = f(load(x + i + LANES));
        const F32 v2 = f(load(x + i + 2 * LANES));
        const F32 v3 = f(load(x + i + 3 * LANES));
        store(out + i, v0);
        store(out + i + LANES, v1);
        store(out + i + 2 * LANES, v2);
        store(out + i + 3 * LANES, v3);
    }
    for (; i + LANES <= n; i += LANES) store(out + i, f(load(x + i)));
    if (i < n) store_partial(out + i, n - i, f(load_partial(x + i, n - i)));
}
