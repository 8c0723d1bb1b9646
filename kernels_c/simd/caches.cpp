#include "caches.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>

namespace {

/* One level of CPUID's list of caches (Intel: leaf 4, AMD: 0x8000001D, the same layout; Intel SDM vol. 2A,
   CPUID). The C library's sysconf gives a whole package's third level on some processors, a dozen times
   what a core can reach. False at the end of the list. */
bool describe(unsigned leaf, unsigned index, unsigned *level, size_t *bytes) {
    unsigned a, b, c, d;
    __cpuid_count(leaf, index, a, b, c, d);
    const unsigned type = a & 0x1f;
    if (type == 0) return false;
    const size_t ways = (b >> 22) + 1, partitions = (b >> 12 & 0x3ff) + 1, line = (b & 0xfff) + 1;
    *level = type == 2 ? 0 : a >> 5 & 7;  // 2: instructions only
    *bytes = ways * partitions * line * (size_t{c} + 1);
    return true;
}

/* Where CPUID says nothing of a level (a virtual machine may hide its caches): small enough for every
   processor with AVX2. */
constexpr size_t CAUTIOUS[] = {0, 32 << 10, 256 << 10, 4 << 20};

Caches read_caches() {
    Caches c;
    const char *chosen = getenv("BAREMETAL_CACHES");
    if (chosen != nullptr && sscanf(chosen, "%zu,%zu,%zu", &c.l1, &c.l2, &c.l3) == 3) return c;

    size_t known[4] = {};
    // Of Clang 14 it is an int.
    const bool amd = static_cast<unsigned>(__get_cpuid_max(0x80000000, nullptr)) >= 0x8000001d;
    const unsigned leaf = amd ? 0x8000001d : 4;
    unsigned level;
    size_t bytes;
    if (amd || __get_cpuid_max(0, nullptr) >= 4)
        for (unsigned i = 0; i < 16 && describe(leaf, i, &level, &bytes); ++i)
            if (level >= 1 && level <= 3) known[level] = bytes;
    for (unsigned i = 1; i <= 3; ++i)
        if (known[i] == 0) known[i] = CAUTIOUS[i];
    // Two levels that are listed as equal, or a last one that is the second: never a smaller one above.
    c.l1 = known[1];
    c.l2 = known[2] > c.l1 ? known[2] : c.l1;
    c.l3 = known[3] > c.l2 ? known[3] : c.l2;
    return c;
}

}  // namespace

const Caches &caches() {
    static const Caches read = read_caches();
    return read;
}
