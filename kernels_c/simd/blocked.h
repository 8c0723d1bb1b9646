// The product of large matrices: b, and where it must be a, copied into panels that are read from cache.
#pragma once

#include "blocking.h"
#include "pack.h"
#include "workspace.h"

namespace gemm {

/* Rows of a whole number of pages share a few sets of every cache, and a tile of 14 has more rows than a
   first level has ways: read in place, 1024 x 1024 lost 14 %. */
template <class Lane>
bool rows_collide(size_t lda) {
    return lda * sizeof(typename Lane::In) % 4096 == 0;
}

/* Whether the blocks of a are copied: with so many columns that costs a percent, and one stream instead of a
   tile's many brings two to four. */
template <class Lane>
bool packs_a(const Product<Lane> &p) {
    return Lane::PACKED_A || p.n >= 32 * NR || (rows_collide<Lane>(p.lda) && p.n >= 8 * NR);
}

/* What the panels of a product need, in Packed. */
template <class Lane>
struct Panels {
    Blocking block;  // k in elements, not in steps
    size_t steps;    // of k in a full panel
    bool packed_a;
    bool shared_b;  // several blocks of rows use the same panels: all of them are kept
    size_t a_size, b_size;

    explicit Panels(const Product<Lane> &p) : block(blocking(p.n <= NR)) {
        steps = ceil_div(smaller(p.k, block.kc * Lane::K_STEP), Lane::K_STEP);
        block.kc *= Lane::K_STEP;
        block.mc = ceil_div(ceil_div(p.m, ceil_div(p.m, block.mc)), MR) * MR;  // of equal height
        packed_a = packs_a(p);
        shared_b = p.m > block.mc;
        const size_t panels = shared_b ? ceil_div(smaller(p.n, block.nc), NR) : 1;
        a_size = packed_a ? smaller(p.m, block.mc) * steps + 4 : 0;
        b_size = panels * panel_size();
    }
    size_t panel_size() const { return NR * (steps + Lane::HEADER); }
};

/* Rows [0, mc) of out's columns [0, cols), cols <= NR, from one panel of b. On the first block of rows the
   panel is made: float is packed by the first tile that reads it, whose stores are free beside its FMAs. */
template <class Lane>
void one_panel(Strip<Lane> s, const typename Lane::In *b, size_t ldb, size_t cols, size_t kc,
               size_t mc, bool first, bool packed_a, typename Lane::Packed *panel) {
    const auto *const a = s.a;
    auto *const out = s.out;
    const size_t width = cols <= LANES ? LANES : NR;
    // Read in place, rows that collide must be fewer than the ways of the first level.
    const size_t tallest = !packed_a && rows_collide<Lane>(s.a_row) ? smaller(MR, 8) : MR;
    bool pack_in_passing = false;
    if constexpr (!Lane::PACKED_A) pack_in_passing = first && cols == NR;
    if (first && !pack_in_passing) pack_b<Lane>(b, ldb, cols, width, kc, panel);
    s.b = panel, s.b_step = width, s.panel = panel;
    for (size_t i = 0, rows; i < mc; i += rows) {
        rows = next_rows(mc - i, tallest);
        s.out = out + i * s.out_row;
        s.a = a + i * (packed_a ? s.steps : s.a_row);
        s.a_step = packed_a ? rows : 1;
        if constexpr (!Lane::PACKED_A) {
            if (pack_in_passing) {
                Strip<Lane> reading = s;
                reading.b = b, reading.b_step = ldb;
                run<Lane, 2, true>(rows, reading);
                pack_in_passing = false;
                continue;
            }
        }
        if (cols < width)
            run_edge<Lane>(rows, cols, s);
        else
            width == NR ? run<Lane, 2>(rows, s) : run<Lane, 1>(rows, s);
    }
}

/* Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication (ACM TOMS 34(3), 2008), in
   the five-loop form of BLIS (Van Zee and van de Geijn, ACM TOMS 41(3), 2015). Unlike theirs, float reads
   a in place: a tile's rows of it are short contiguous runs.
   1 when there is no memory for the panels, else 0. */
template <class Lane>
int blocked(const Product<Lane> &p) {
    using Packed = typename Lane::Packed;
    const Panels<Lane> need(p);
    static thread_local Workspace workspace;
    auto *const b_panels =
        static_cast<Packed *>(workspace.reserve((need.b_size + need.a_size) * sizeof(Packed)));
    if (b_panels == nullptr) return 1;
    Packed *const a_block = b_panels + need.b_size;
    const Blocking &block = need.block;

    Strip<Lane> s{};
    s.tiles = 1, s.out_row = p.ldo, s.a_row = need.packed_a ? 1 : p.lda;
    for (size_t jc = 0; jc < p.n; jc += block.nc) {
        const size_t nc = smaller(block.nc, p.n - jc);
        for (size_t pc = 0; pc < p.k; pc += block.kc) {
            const size_t kc = smaller(block.kc, p.k - pc);
            s.steps = ceil_div(kc, Lane::K_STEP), s.accumulate = pc > 0;
            for (size_t ic = 0; ic < p.m; ic += block.mc) {
                const size_t mc = smaller(block.mc, p.m - ic);
                const auto *a = p.a + ic * p.lda + pc;
                s.a = in_place<Lane>(a);
                if (need.packed_a) {
                    pack_rows_of_a<Lane>(a, p.lda, mc, kc, s.steps, a_block);
                    s.a = a_block;
                }
                for (size_t j = 0; j < nc; j += NR) {
                    Packed *panel = b_panels + Lane::HEADER * NR;
                    if (need.shared_b) panel += j / NR * need.panel_size();
                    s.out = p.out + ic * p.ldo + jc + j;
                    one_panel<Lane>(s, p.b + pc * p.ldb + jc + j, p.ldb, smaller(NR, nc - j), kc,
                                    mc, ic == 0, need.packed_a, panel);
                }
            }
        }
    }
    return 0;
}

}  // namespace gemm
