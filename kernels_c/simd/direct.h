// The product without packing, for matrices so small or so thin that a copy of b would cost more than it
// saves.
#pragma once

#include "blocking.h"
#include "pack.h"

namespace gemm {

/* Steps of k that the direct product takes at a time: bounds what it keeps of b's edge on the stack. */
constexpr size_t DIRECT_STEPS = 256;
/* With a single row of tiles each element of b is used once, so b streams past at the speed of its
   cache level: some rows of it at a time, in pieces of 4096 columns. Of pieces of 1024 columns the hardware
   prefetches less (15 % slower at 1 x 2000 x 700); software prefetch lost 3-8 % in L3. */
constexpr size_t STREAM_COLS = 4096;

/* How many rows of b, which are ldb apart. Fewer make more visits to out; more are more lines than the first
   level has ways, where they share a set. */
inline size_t stream_steps(size_t m, size_t ldb) {
    constexpr size_t WAYS = 8, PAGE = 4096;
    if (m > 4) return ldb < 1024 ? 32 : 16;
    const size_t most = m == 1 && ldb <= 2048 ? 32 : 16;
    size_t apart = PAGE;  // rows until one starts at the same place of a page
    while (apart > 1 && ldb * sizeof(float) * (apart / 2) % PAGE == 0) apart /= 2;
    return smaller(most, WAYS * apart);
}
/* Steps of k that are so few that moving out is what takes the time. */
constexpr size_t FEW_STEPS = 16;

/* Columns before b's first whole cache line, where all of its rows have as many. Tiles that start on a line
   take 0.76 to 0.9 of the time past L2; within, the tiles at both ends cost as much as they save. */
template <class Lane>
size_t columns_to_line(const Product<Lane> &p) {
    constexpr size_t LINE = 64, SIZE = sizeof(*p.b);
    const size_t before = -reinterpret_cast<uintptr_t>(p.b) % LINE / SIZE;
    const bool pays = p.k * p.ldb * SIZE > caches().l2 && before + NR <= p.n;
    return pays && p.ldb * SIZE % LINE == 0 ? before : 0;
}

/* Nothing packed. Strips of out run along the rows of b, which are in L1 for all strips but the
   first, or are used only once. The first `head` columns of each strip are a tile of their own. */
template <class Lane>
void direct(const Product<Lane> &p, size_t kc_max, size_t nc_max, size_t head) {
    typename Lane::Packed edge[DIRECT_STEPS * NR];
    for (size_t jc = 0; jc < p.n; jc += nc_max) {
        const size_t nc = smaller(nc_max, p.n - jc), first = smaller(head, nc);
        const size_t rest = (nc - first) % NR, whole = (nc - first) / NR;
        const size_t width = rest <= LANES ? LANES : NR;  // of the last tile
        for (size_t pc = 0; pc < p.k; pc += kc_max) {
            const size_t kc = smaller(kc_max, p.k - pc);
            const auto *b = p.b + pc * p.ldb + jc;
            if (rest > 0 && width > nc) pack_b<Lane>(b + nc - rest, p.ldb, rest, width, kc, edge);
            Strip<Lane> s;
            s.steps = kc, s.accumulate = pc > 0;
            s.a_row = p.lda, s.a_step = 1, s.out_row = p.ldo, s.b_tile = NR;
            for (size_t i = 0, rows; i < p.m; i += rows) {
                rows = next_rows(p.m - i);
                s.a = p.a + i * p.lda + pc, s.out = p.out + i * p.ldo + jc;
                s.b = b, s.b_step = p.ldb, s.tiles = whole;
                if (first > 0) {
                    run_edge<Lane>(rows, first, s);
                    s.b += first, s.out += first;
                }
                if (rows <= 2 && s.tiles >= 2) {
                    s.b_tile = 2 * NR, s.tiles /= 2;
                    run_low(rows, s);
                    const size_t done = s.tiles * s.b_tile;
                    s.b += done, s.out += done;
                    s.b_tile = NR, s.tiles = whole % 2;
                }
                if (s.tiles) run<Lane, 2>(rows, s);
                if (rest == 0) continue;
                s.tiles = 1, s.out = p.out + i * p.ldo + jc + nc - rest;
                // It may begin among columns that are done; where there are none before it, it is packed.
                s.b = width > nc ? edge : b + nc - width;
                if (width > nc) s.b_step = width;
                if (rest == LANES)
                    run<Lane, 1>(rows, s);
                else
                    run_edge<Lane>(rows, rest, s, width > nc ? 0 : width - rest);
            }
        }
    }
}

}  // namespace gemm
