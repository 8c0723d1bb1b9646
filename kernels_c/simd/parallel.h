// The second core: what the avx2_omp tier adds to avx2. Built without -fopenmp, everything here is the
// plain single-threaded call. The number of threads is OpenMP's, OMP_NUM_THREADS, but never more than
// the process has cores. build_ffi.py reads the declarations between the two markers.
#pragma once

#include <stddef.h>

extern "C" {

// [declarations]

/* threads that work may be spread over: 1 without OpenMP, inside an OpenMP region of the caller's, and where
   the caller lets floating-point exceptions trap */
int team_size(void);

// [end of declarations]

}  // extern "C"

/* Threads for a call made now: team_size(), or 1 while helpers sleep and there is not the work that makes waking
   them worth it. `work` is what the call takes one thread, in units of the least that is worth a second one;
   what was done alone counts for the next. */
int threads_for(size_t work);

/* Calls run(body, i) for each i in [0, count), on up to `threads` threads as they become free; returns when
   all have returned. Alone when another thread of the process is inside such a call, and from 65,536 pieces
   on, which nobody hands out. Each piece runs in the floating-point state that the caller has now (how to
   round, whether subnormals are zeros), and the exceptions that occur in it occur to the caller. */
void run_in_team(size_t count, int threads, void (*run)(const void *body, size_t i),
                 const void *body);

/* body(i) for i in [0, count). */
template <class Body>
inline void parallel_for(size_t count, int threads, const Body &body) {
#ifdef _OPENMP
    if (threads > 1 && count > 1) {
        run_in_team(
            count, threads, [](const void *b, size_t i) { (*static_cast<const Body *>(b))(i); },
            &body);
        return;
    }
#endif
    (void)threads;
    for (size_t i = 0; i < count; ++i) body(i);
}

/* body(begin, end) over parts of [0, n), which start at multiples of 64: no two threads write one
   cache line of an aligned buffer. Below `alone` elements one thread is faster than two. */
template <class Body>
inline void parallel_ranges(size_t n, size_t alone, const Body &body) {
    constexpr size_t MOST_FOR_EACH = 64;
    const auto threads = static_cast<size_t>(threads_for(n / alone));
    if (threads <= 1) {
        body(size_t{0}, n);
        return;
    }
    // As many for each thread, of `alone` elements or a little more.
    const size_t whole = n / alone / threads, most = whole < MOST_FOR_EACH ? whole : MOST_FOR_EACH;
    const size_t parts = threads * (most > 0 ? most : 1);
    const size_t part = ((n + parts - 1) / parts + 63) / 64 * 64;
    parallel_for((n + part - 1) / part, static_cast<int>(threads), [&](size_t i) {
        const size_t begin = i * part, end = begin + part < n ? begin + part : n;
        body(begin, end);
    });
}
