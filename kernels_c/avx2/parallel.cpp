// The part of parallel.h that talks to the OpenMP runtime.
#include "parallel.h"

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>

namespace {
bool in_forked_child = false;
const int registered = pthread_atfork(nullptr, nullptr, [] { in_forked_child = true; });
}  // namespace

int available_threads() {
    // A failed registration (no memory) costs speed, never a hang.
    const bool alone = in_forked_child || registered != 0 || omp_in_parallel();
    return alone ? 1 : omp_get_max_threads();
}

int thread_index() { return omp_get_thread_num(); }
#else
int available_threads() { return 1; }
int thread_index() { return 0; }
#endif
