// The second core: what the avx2_omp tier adds to avx2. Built without -fopenmp, every function here
// is the plain single-threaded call. The number of threads is OpenMP's: OMP_NUM_THREADS.
#pragma once

#include <stddef.h>

/* Threads that a parallel region would get: 1 without OpenMP, inside another parallel region and
   in a forked child (the runtime's threads do not survive fork, and waiting for them hangs). */
int available_threads();

/* Work below this many elements runs on one thread: entering a parallel region costs about 3000
   cycles, and one core needs less than twice that for this many elements of the cheapest kernel
   (ReLU in the second-level cache: about 6 elements a cycle). */
constexpr size_t PARALLEL_ELEMENTS = 32768;

/* body(begin, end) over parts of [0, n), one part per thread; parts start at multiples of 64, so
   that no two threads write one cache line of an aligned buffer. */
template <class Body>
inline void parallel_ranges(size_t n, Body body) {
#ifdef _OPENMP
    const int threads = n < PARALLEL_ELEMENTS ? 1 : available_threads();
    if (threads > 1) {
        const size_t part = ((n + threads - 1) / threads + 63) / 64 * 64;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; ++t) {
            const size_t begin = t * part, end = begin + part < n ? begin + part : n;
            if (begin < end) body(begin, end);
        }
        return;
    }
#endif
    body(size_t{0}, n);
}

/* body(i) for i in [0, count), spread over `threads` threads as they become free. */
template <class Body>
inline void parallel_for(size_t count, int threads, Body body) {
#ifdef _OPENMP
    if (threads > 1 && count > 1) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
        for (size_t i = 0; i < count; ++i) body(i);
        return;
    }
#endif
    (void)threads;
    for (size_t i = 0; i < count; ++i) body(i);
}

/* Which of the threads of a parallel_for runs this. */
int thread_index();
