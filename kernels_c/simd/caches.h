// The cache sizes of the machine that this runs on: what blocking and streaming are derived from.
#pragma once

#include <stddef.h>

struct Caches {
    size_t l1, l2, l3;  // bytes of data that one core can reach; l1 <= l2 <= l3
};

/* Read once, from the processor. BAREMETAL_CACHES=L1,L2,L3 (bytes) overrides it: tests use that to reach
   every block edge with small matrices. */
const Caches &caches();
