// Whether this CPU may load the tiers built with -mavx2 -mfma. Asked through the `scalar` tier, the
// one module that is safe to import on every x86-64.
#include "kernels.h"

int cpu_has_avx2_fma(void) {
#if defined(__x86_64__) || defined(__i386__)
    // Also checks that the operating system saves the ymm registers.
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}
