// The shape of an element-wise kernel: out[i] = f(x[i]), f given on whole registers.
#pragma once

#include "caches.h"
#include "group.h"
#include "parallel.h"

/* Elements from p to the next multiple of a register's size. */
inline size_t to_boundary(const void *p) {
    return -reinterpret_cast<uintptr_t>(p) % sizeof(F32) / sizeof(float);
}

/* x may be out. STREAM writes past the caches.
 *
 * Wherever out starts, the loop writes whole registers at multiples of their size: one that lies across two
 * cache lines costs two accesses, up to 1.5 times as long in L2. What stands before the first of them and after
 * the last is computed as two more registers, which overlap them: an element's bits are the same in any lane.
 * They are read first and written last, for where x is out. */
template <bool STREAM, class F>
inline void map_f32(const float *x, float *out, size_t n, F f) {
    if (n < LANES) {
        if (n > 0) store_partial(out, n, f(load_partial(x, n)));
        return;
    }
    size_t i = to_boundary(out);
    const bool has_ends = i > 0 || n % LANES > 0;
    Pair<F32> ends(zero());
    if (has_ends) ends = {f(load(x)), f(load(x + n - LANES))};
    constexpr size_t WIDTH = 4 * LANES;
    for (; i + WIDTH <= n; i += WIDTH) {
        const Quad v = f(load_group<Quad>(x + i));
        STREAM ? stream_group(out + i, v) : store_group(out + i, v);
    }
    for (; i + LANES <= n; i += LANES) store(out + i, f(load(x + i)));
    if (has_ends) store(out, ends.a), store(out + n - LANES, ends.b);
    if (STREAM) _mm_sfence();
}

/* Whether `bytes` of operands and result are too much for the last cache to be worth writing into: from
   three quarters of it, what is written would be gone before anyone reads it, and fetching the lines
   first costs a third of the traffic. Inside the caches a streaming store loses 2-4x. */
inline bool worth_streaming(size_t bytes) { return bytes > caches().l3 / 4 * 3; }

/* Over all threads, on one below `alone` elements. In place nothing is streamed: the lines are read
   anyhow. */
template <class F>
inline void parallel_map_f32(const float *x, float *out, size_t n, size_t alone, F f) {
    const bool streamed = x != out && n > 4096 && worth_streaming(2 * n * sizeof(float));
    parallel_ranges(n, alone, [=](size_t begin, size_t end) {
        if (streamed)
            map_f32<true>(x + begin, out + begin, end - begin, f);
        else
            map_f32<false>(x + begin, out + begin, end - begin, f);
    });
}
