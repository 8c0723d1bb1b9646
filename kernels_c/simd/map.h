// The shape of an element-wise kernel: out[i] = f(x[i]), f given on whole registers.
#pragma once

#include "caches.h"
#include "group.h"
#include "parallel.h"

/* By whole registers, four at a time so that the latency of f overlaps. The tail runs through the same
   f, so it has the same bits as the bulk. x may be out. STREAM writes past the caches. */
template <bool STREAM, class F>
inline void map_f32(const float *x, float *out, size_t n, F f) {
    size_t i = 0;
    if (STREAM) {  // whole cache lines only: the stores need aligned addresses
        // A thread's part may be shorter than the way to the next line.
        const size_t to_line = -reinterpret_cast<uintptr_t>(out) % 64 / sizeof(float);
        const size_t before = to_line < n ? to_line : n;
        for (; i < before; i += LANES) {
            const size_t count = before - i < LANES ? before - i : LANES;
            if (count == LANES)
                store(out + i, f(load(x + i)));
            else
                store_partial(out + i, count, f(load_partial(x + i, count)));
        }
        i = before;
    }
    constexpr size_t WIDTH = 4 * LANES;
    for (; i + WIDTH <= n; i += WIDTH) {
        const Quad v = f(load_group<Quad>(x + i));
        STREAM ? stream_group(out + i, v) : store_group(out + i, v);
    }
    for (; i + LANES <= n; i += LANES) store(out + i, f(load(x + i)));
    if (i < n) store_partial(out + i, n - i, f(load_partial(x + i, n - i)));
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
