// The blocked matrix product that matmul.cpp (float) and matmul_i8.cpp (int8) share. What differs
// between them is what one register lane holds; they say so in a Lane type:
//
//     In, Out            element types of a, b and of out
//     Packed             one step of k in a packed panel, 32 bits: a float, or two int16
//     K_STEP             how many k one Packed covers (1, or 2)
//     Vec                a register of 8 Out
//     pack(p, stride, count)   the Packed that starts at p: K_STEP elements `stride` apart, zeros
//                              from `count` on
//     zero, load, store, add, broadcast, multiply_add    on Vec
//
// Method: Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication (ACM TOMS 34(3),
// 2008), in the five-loop form of BLIS (Van Zee and van de Geijn, ACM TOMS 41(3), 2015). out is cut
// into columns of NC, k into KC, rows into MC; a block of b (KC x NC) and one of a (MC x KC) are
// copied into panels in the order in which the micro-kernel reads them, padded with zeros.
#pragma once

#include "parallel.h"
#include "vec.h"
#include "workspace.h"

namespace gemm {

// The micro-kernel holds MR x NR sums in 12 of the 16 registers; two more hold a step of b, one an
// element of a. 12 independent chains cover 2 FMA pipes of latency 4-5.
constexpr size_t MR = 6, NR = 2 * LANES;
// In steps of k, rows and columns: a panel of b (KC x NR, 16 KB) stays in L1, a block of a
// (MC x KC, 144 KB) in L2, a block of b (KC x NC, 4 MB) in L3.
constexpr size_t KC = 256, MC = 144, NC = 4080;
// Fewer multiply-adds than this run on one thread: 64^3, where one core is busy for several times the
// 3000 cycles that entering a parallel region costs.
constexpr size_t PARALLEL_MULTIPLY_ADDS = 1 << 18;

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
inline size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

/* A panel: `steps` times `width` Packed, of which the first `used` come from the matrix. Element
   (i, p) of the source stands at src[i * stride + p * k_stride]. */
template <class Lane>
void pack_panel(const typename Lane::In *src, size_t stride, size_t k_stride, size_t used,
                size_t width, size_t k, typename Lane::Packed *panel) {
    for (size_t p = 0; p < k; p += Lane::K_STEP, panel += width) {
        for (size_t i = 0; i < used; ++i)
            panel[i] = Lane::pack(src + i * stride + p * k_stride, k_stride, k - p);
        for (size_t i = used; i < width; ++i) panel[i] = typename Lane::Packed{};
    }
}

/* out[MR, NR] (= or +=) a_panel b_panel, rows of out ld_out apart.

   Every loop over the tile is unrolled by pragma: where one is not, g++ 12 keeps the sums in memory
   and the product runs at half its speed. A function of its own, so that it is compiled alike in both
   tiers. */
template <class Lane>
__attribute__((noinline)) void micro_kernel(size_t steps, const typename Lane::Packed *a,
                                            const typename Lane::Packed *b, typename Lane::Out *out,
                                            size_t ld_out, bool accumulate) {
    typename Lane::Vec acc[MR][2];
#pragma GCC unroll 6
    for (size_t i = 0; i < MR; ++i) acc[i][0] = acc[i][1] = Lane::zero();
    // One step of k and a pragma: steps written out by hand made g++ 12 spill the sums.
#pragma GCC unroll 4
    for (size_t p = 0; p < steps; ++p, a += MR, b += NR) {
        const auto b0 = Lane::load_packed(b), b1 = Lane::load_packed(b + LANES);
#pragma GCC unroll 6
        for (size_t i = 0; i < MR; ++i) {
            const auto a_i = Lane::broadcast(a + i);
            acc[i][0] = Lane::multiply_add(a_i, b0, acc[i][0]);
            acc[i][1] = Lane::multiply_add(a_i, b1, acc[i][1]);
        }
    }
#pragma GCC unroll 6
    for (size_t i = 0; i < MR; ++i, out += ld_out) {
        if (accumulate) {
            acc[i][0] = Lane::add(Lane::load(out), acc[i][0]);
            acc[i][1] = Lane::add(Lane::load(out + LANES), acc[i][1]);
        }
        Lane::store(out, acc[i][0]);
        Lane::store(out + LANES, acc[i][1]);
    }
}

/* The same for a tile of which only rows x cols belong to out: computed whole, copied in part. */
template <class Lane>
void edge_tile(size_t steps, const typename Lane::Packed *a, const typename Lane::Packed *b,
               typename Lane::Out *out, size_t ld_out, bool accumulate, size_t rows, size_t cols) {
    alignas(32) typename Lane::Out tile[MR * NR];
    micro_kernel<Lane>(steps, a, b, tile, NR, false);
    for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < cols; ++j) {
            typename Lane::Out &o = out[i * ld_out + j];
            o = accumulate ? o + tile[i * NR + j] : tile[i * NR + j];
        }
}

/* All tiles of out[rows, cols] from a packed block of a and one of b. */
template <class Lane>
void macro_kernel(size_t steps, const typename Lane::Packed *a, const typename Lane::Packed *b,
                  typename Lane::Out *out, size_t ld_out, bool accumulate, size_t rows,
                  size_t cols) {
    for (size_t j = 0; j < cols; j += NR) {
        for (size_t i = 0; i < rows; i += MR) {
            const auto *a_panel = a + i * steps, *b_panel = b + j * steps;
            typename Lane::Out *tile = out + i * ld_out + j;
            if (rows - i >= MR && cols - j >= NR)
                micro_kernel<Lane>(steps, a_panel, b_panel, tile, ld_out, accumulate);
            else
                edge_tile<Lane>(steps, a_panel, b_panel, tile, ld_out, accumulate,
                                smaller(MR, rows - i), smaller(NR, cols - j));
        }
    }
}

/* out[m, n] = a[m, k] b[k, n]; 0, or 1 when there is no memory for the panels. */
template <class Lane>
int multiply(const typename Lane::In *a, const typename Lane::In *b, typename Lane::Out *out,
             size_t m, size_t n, size_t k) {
    using Packed = typename Lane::Packed;
    if (m == 0 || n == 0) return 0;
    if (k == 0) {
        memset(out, 0, m * n * sizeof(*out));
        return 0;
    }
    const double multiply_adds = double(m) * double(n) * double(k);
    const int threads = multiply_adds < PARALLEL_MULTIPLY_ADDS ? 1 : available_threads();

    // Blocks of rows of equal height, a multiple of the thread count when that is more than one.
    size_t blocks = ceil_div(m, MC);
    if (threads > 1) blocks = ceil_div(blocks, threads) * threads;
    const size_t mc = ceil_div(ceil_div(m, blocks), MR) * MR;
    blocks = ceil_div(m, mc);
    const size_t kc_max = KC * Lane::K_STEP;
    const size_t steps_max = ceil_div(smaller(k, kc_max), Lane::K_STEP);
    const size_t a_size = mc * steps_max, b_size = ceil_div(smaller(n, NC), NR) * NR * steps_max;

    static thread_local Workspace workspace;
    auto *const b_panels =
        static_cast<Packed *>(workspace.reserve((b_size + a_size * threads) * sizeof(Packed)));
    if (b_panels == nullptr) return 1;
    Packed *const a_blocks = b_panels + b_size;

    for (size_t jc = 0; jc < n; jc += NC) {
        const size_t nc = smaller(NC, n - jc);
        for (size_t pc = 0; pc < k; pc += kc_max) {
            const size_t kc = smaller(kc_max, k - pc), steps = ceil_div(kc, Lane::K_STEP);
            parallel_for(ceil_div(nc, NR), threads, [=](size_t panel) {
                const size_t j = panel * NR;
                pack_panel<Lane>(b + pc * n + jc + j, 1, n, smaller(NR, nc - j), NR, kc,
                                 b_panels + j * steps);
            });
            parallel_for(blocks, threads, [=](size_t block) {
                const size_t ic = block * mc, rows = smaller(mc, m - ic);
                Packed *const a_block = a_blocks + thread_index() * a_size;
                for (size_t i = 0; i < rows; i += MR)
                    pack_panel<Lane>(a + (ic + i) * k + pc, k, 1, smaller(MR, rows - i), MR, kc,
                                     a_block + i * steps);
                macro_kernel<Lane>(steps, a_block, b_panels, out + ic * n + jc, n, pc > 0, rows,
                                   nc);
            });
        }
    }
    return 0;
}

}  // namespace gemm
