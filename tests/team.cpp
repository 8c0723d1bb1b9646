// What the threads of a team see of their caller. team_child.py calls this, built together with
// kernels_c/simd/parallel.cpp.
#include "parallel.h"

#include <immintrin.h>
#include <sched.h>

#include <atomic>

/* Work for which helpers who sleep are woken. */
static constexpr size_t MUCH = 1 << 20;

extern "C" {

/* The MXCSR of each of `count` pieces, each on a thread of its own: nobody ends a piece before all have
   begun. All but the caller also divide 1 by `divisor`. */
void states_of_threads(size_t count, float divisor, unsigned *states) {
    static thread_local bool is_caller = false;
    is_caller = true;
    std::atomic<size_t> begun{0};
    threads_for(MUCH);
    parallel_for(count, static_cast<int>(count), [&](size_t i) {
        states[i] = _mm_getcsr();
        ++begun;
        while (begun < count) sched_yield();
        volatile float quotient = is_caller ? 1.0f : 1.0f / divisor;
        (void)quotient;
    });
    is_caller = false;
}

/* On how many threads 2000 pieces of some 10 us ran, of the `threads` that were asked for. */
size_t threads_of_pieces(int threads) {
    static std::atomic<unsigned> call{0};
    static thread_local unsigned seen = 0;
    const unsigned now = ++call;
    std::atomic<size_t> found{0};
    threads_for(MUCH);
    parallel_for(2000, threads, [&](size_t) {
        if (seen != now) seen = now, ++found;
        for (int i = 0; i < 300; ++i) _mm_pause();
    });
    return found;
}

/* How many of `count` pieces ran exactly once; runs[count] are zeros. */
size_t pieces_run_once(size_t count, unsigned char *runs) {
    threads_for(MUCH);
    parallel_for(count, 3, [&](size_t i) { __atomic_fetch_add(runs + i, 1, __ATOMIC_RELAXED); });
    size_t once = 0;
    for (size_t i = 0; i < count; ++i) once += runs[i] == 1;
    return once;
}

}  // extern "C"
