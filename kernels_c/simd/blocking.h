// How a matrix product is cut up: its sizes and strides, and blocks that fit this machine's caches.
#pragma once

#include "caches.h"
#include "micro_kernel.h"

namespace gemm {

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }
inline size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

/* A product and where its matrices lie; rows are lda, ldb and ldo apart. */
template <class Lane>
struct Product {
    const typename Lane::In *a;
    size_t lda;
    const typename Lane::In *b;
    size_t ldb;
    typename Lane::Out *out;
    size_t ldo;
    size_t m, n, k;
};

/* Sizes of the blocks, from this machine's caches, in units of Packed: a block of a (mc x kc) takes a
   third of L2, a block of b (kc x nc) an eighth of L3, which other cores use as well, and a panel of b
   (kc x NR) three quarters of L1. Beyond 320 steps a longer panel gained nothing. Tiles of 512 bits finish twice
   as fast, so that visits to out, which few steps make frequent, weigh twice: a panel in L2 of 1024 steps
   was 6 % faster than one of 320 at 1000, and 12 % at 2048. So it is where there is one panel alone: a is then
   what streams past. */
struct Blocking {
    size_t kc, mc, nc;
};

inline Blocking blocking(bool one_panel) {
    const Caches &cache = caches();
    const bool in_l1 = LANES == 8 && !one_panel;
    const size_t step = NR * 4,
                 panel = in_l1 ? cache.l1 / 4 * 3 : cache.l2 / 8 * (one_panel ? 2 : 1);
    Blocking s;
    s.kc = smaller(in_l1 ? 320 : 1024, larger(8, panel / step / 8 * 8));
    s.mc = larger(1, cache.l2 / 3 / (s.kc * 4) / MR) * MR;
    s.nc = larger(1, cache.l3 / 8 / (s.kc * 4) / NR) * NR;
    return s;
}

}  // namespace gemm
