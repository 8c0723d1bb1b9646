// Whether this CPU may load the tiers built with -mavx2 -mfma -mf16c, or with AVX-512 besides. Asked through the
// `scalar` tier, the one module that is safe to import on every x86-64. And a call that does nothing, in every tier.
#include "kernels.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

void empty_call(void) {}

int cpu_has_avx2_fma(void) {
#if defined(__x86_64__) || defined(__i386__)
    // Also checks that the operating system saves the ymm registers.
    unsigned eax, ebx, ecx, edx;  // not every Clang's __builtin_cpu_supports knows F16C
    const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
    return f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

int cpu_has_avx512_vnni(void) {
#if defined(__x86_64__) || defined(__i386__)
    return cpu_has_avx2_fma() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#else
    return 0;
#endif
}
